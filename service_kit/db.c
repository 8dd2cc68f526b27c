/*
 * Design.  One struct per connection, one FIFO of segments in the order in which they were sent.
 * libpq answers strictly in order, so the head of the FIFO is always the segment whose results are
 * arriving, and a segment is over when its PIPELINE_SYNC is there: an error before it means that
 * nothing of the segment was committed, the absence of one that all of it was.  COMMAND_OK of the
 * last statement is not a commit and is never taken for one.
 *
 * Nothing is destroyed inside libpq's read loop: breaking and closing are marked and carried out
 * at the end of the loop's turn.
 */
#include "service_kit/db.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "service_kit/log.h"
#include "service_kit/loop.h"

struct segment {
    struct segment *next;
    db_on_result *on_result;
    void *owner;
    size_t expected; /* statements sent */
    size_t finished; /* statements whose results ended */
    bool errored;    /* the server refused a statement, or the commit at Sync */
    struct db_result result;
};

struct db_connection {
    struct loop *loop;
    struct db_settings settings;
    const struct db_statement *statements;
    size_t statement_count;

    enum db_state state;
    PGconn *pg;
    struct loop_watch *watch;
    struct loop_timer timer; /* CONNECTING, PREPARING: limit of the attempt; DOWN: next attempt */
    struct loop_turn turn;
    bool break_pending, close_pending, flush_pending;
    int pause_ms;
    char error[256];

    struct segment *head, **tail;
    size_t in_flight;

    void (*on_state)(void *owner, bool ready);
    void *on_state_owner;
};

static void connect_start(struct db_connection *connection);
static void connect_step(struct db_connection *connection);
static void db_lost(struct db_connection *connection, const char *reason);

/* libpq's messages end with a newline and may have several lines: keep the first. */
static void set_error(struct db_connection *connection, const char *text) {
    size_t length = strcspn(text, "\n");
    if (length >= sizeof(connection->error))
        length = sizeof(connection->error) - 1;
    memmove(connection->error, text, length); /* it may be given its own text */
    connection->error[length] = '\0';
}

static void set_state(struct db_connection *connection, enum db_state state) {
    bool was_ready = connection->state == DB_READY;
    connection->state = state;
    bool ready = state == DB_READY;
    if (ready != was_ready && connection->on_state != NULL)
        connection->on_state(connection->on_state_owner, ready);
}

/* ---- segments ---- */

static struct segment *segment_push(struct db_connection *connection, size_t expected,
                                    db_on_result *on_result, void *owner) {
    struct segment *segment = calloc(1, sizeof(*segment));
    if (segment == NULL)
        return NULL;
    segment->expected = expected;
    segment->on_result = on_result;
    segment->owner = owner;
    *connection->tail = segment;
    connection->tail = &segment->next;
    connection->in_flight++;
    return segment;
}

/* Takes the head off, tells its owner, frees it. */
static void segment_finish(struct db_connection *connection, enum db_end end) {
    struct segment *segment = connection->head;
    connection->head = segment->next;
    if (connection->head == NULL)
        connection->tail = &connection->head;
    connection->in_flight--;
    segment->result.end = end;
    segment->on_result(segment->owner, &segment->result);
    for (size_t i = 0; i < DB_SEGMENT_STATEMENTS_MAX; i++)
        PQclear(segment->result.statements[i]);
    free(segment);
}

static void copy_field(char *target, size_t size, const char *source) {
    if (source == NULL)
        source = "";
    size_t length = strcspn(source, "\n");
    if (length >= size)
        length = size - 1;
    memcpy(target, source, length);
    target[length] = '\0';
}

static void segment_error(struct segment *segment, const PGresult *result) {
    struct db_result *out = &segment->result;
    if (segment->errored)
        return; /* the first one tells why */
    segment->errored = true;
    copy_field(out->sqlstate, sizeof(out->sqlstate), PQresultErrorField(result, PG_DIAG_SQLSTATE));
    copy_field(out->constraint, sizeof(out->constraint),
               PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME));
    copy_field(out->message, sizeof(out->message),
               PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
    if (out->message[0] == '\0')
        copy_field(out->message, sizeof(out->message), PQresultErrorMessage(result));
}

bool db_error_passes(const struct db_result *result) {
    static const char *const sqlstates[] = {
        "08000", /* connection; 08P01 says that what we sent makes no sense */
        "08003", /* connection */
        "08006", /* connection */
        "25006", /* read-only: a standby, after a failover */
        "40",    /* rolled back: serialization failure, deadlock */
        "53",    /* no resources: disk, memory, connections */
        "55P03", /* lock timeout */
        "57",    /* the server stops or starts; cancelled: statement timeout, or by hand */
        "58",    /* input or output error */
    };
    bool passes = false;
    for (size_t i = 0; i < sizeof(sqlstates) / sizeof(sqlstates[0]); i++)
        passes |= strncmp(result->sqlstate, sqlstates[i], strlen(sqlstates[i])) == 0;
    return result->end == DB_END_ERROR && passes;
}

void db_log_error(const char *event, const char *statement, const struct db_result *result) {
    struct log_line line;
    log_begin(&line, db_error_passes(result) ? LOG_WARN : LOG_ERROR, event);
    log_string(&line, "statement", statement);
    log_string(&line, "sqlstate", result->sqlstate);
    log_string(&line, "message", result->message);
    log_end(&line);
}

/* One result of the head segment; takes ownership. */
static void take_result(struct db_connection *connection, PGresult *result) {
    struct segment *segment = connection->head;
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
        if (segment->finished < DB_SEGMENT_STATEMENTS_MAX &&
            segment->result.statements[segment->finished] == NULL) {
            segment->result.statements[segment->finished] = result;
            return;
        }
        break; /* PREPARE results beyond the kept ones */
    case PGRES_PIPELINE_ABORTED:
        break;
    case PGRES_PIPELINE_SYNC:
        PQclear(result);
        if (!segment->errored && segment->finished != segment->expected) {
            /* Something was done, and nobody can say what. */
            static const char reason[] = "results do not match what was sent";
            copy_field(segment->result.message, sizeof(segment->result.message), reason);
            db_connection_break(connection, reason);
            segment_finish(connection, DB_END_LOST);
            return;
        }
        segment_finish(connection, segment->errored ? DB_END_ERROR : DB_END_OK);
        return;
    case PGRES_FATAL_ERROR:
    case PGRES_NONFATAL_ERROR:
    case PGRES_BAD_RESPONSE:
        segment_error(segment, result);
        break;
    case PGRES_EMPTY_QUERY:
    case PGRES_COPY_OUT:
    case PGRES_COPY_IN:
    case PGRES_COPY_BOTH:
    case PGRES_SINGLE_TUPLE:
        segment->errored = true;
        copy_field(segment->result.message, sizeof(segment->result.message),
                   "unexpected kind of result");
        db_connection_break(connection, "unexpected kind of result");
        break;
    }
    PQclear(result);
}

static void read_results(struct db_connection *connection) {
    bool after_null = false;
    while (connection->head != NULL && !PQisBusy(connection->pg)) {
        PGresult *result = PQgetResult(connection->pg);
        if (result == NULL) {
            if (after_null) { /* libpq has nothing for us, though we wait: it has lost count */
                if (PQstatus(connection->pg) == CONNECTION_BAD)
                    db_connection_break(connection, PQerrorMessage(connection->pg));
                return;
            }
            after_null = true;
            connection->head->finished++;
            continue;
        }
        after_null = false;
        take_result(connection, result);
    }
}

/* ---- the socket ---- */

static void flush(struct db_connection *connection) {
    connection->flush_pending = false;
    int rest = PQflush(connection->pg);
    if (rest < 0)
        db_lost(connection, PQerrorMessage(connection->pg));
    else if (rest == 1)
        loop_watch_write(connection->watch);
}

static void on_readable(void *owner) {
    struct db_connection *connection = owner;
    if (connection->state == DB_CONNECTING) {
        connect_step(connection);
        return;
    }
    if (!PQconsumeInput(connection->pg)) {
        read_results(connection); /* what came before the loss, for example why */
        db_lost(connection, PQerrorMessage(connection->pg));
        return;
    }
    read_results(connection);
    PGnotify *notify;
    while ((notify = PQnotifies(connection->pg)) != NULL)
        PQfreemem(notify);
    connection->flush_pending = true;
    loop_turn_schedule(connection->loop, &connection->turn);
}

static void on_writable(void *owner) {
    struct db_connection *connection = owner;
    if (connection->state == DB_CONNECTING)
        connect_step(connection);
    else
        flush(connection);
}

static bool watch_socket(struct db_connection *connection) {
    loop_watch_destroy(connection->watch);
    connection->watch = NULL;
    int fd = PQsocket(connection->pg);
    if (fd >= 0)
        connection->watch =
            loop_watch_create(connection->loop, fd, on_readable, on_writable, connection);
    return connection->watch != NULL;
}

static void on_notice(void *owner, const PGresult *result) {
    struct db_connection *connection = owner;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (severity == NULL || strcmp(severity, "WARNING") != 0)
        return;
    log_message(LOG_WARN, "db_warning", "message",
                PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
    if (connection->head != NULL)
        connection->head->result.warning = true;
}

/* ---- connecting ---- */

static void on_prepared(void *owner, const struct db_result *result) {
    struct db_connection *connection = owner;
    if (result->end == DB_END_LOST)
        return; /* db_lost is at work already */
    if (result->end != DB_END_OK) {
        db_connection_break(connection, result->message);
        return;
    }
    loop_timer_stop(connection->loop, &connection->timer);
    connection->pause_ms = 0;
    set_state(connection, DB_READY);
}

static void prepare(struct db_connection *connection) {
    if (PQsetnonblocking(connection->pg, 1) != 0 || PQenterPipelineMode(connection->pg) != 1) {
        db_lost(connection, PQerrorMessage(connection->pg));
        return;
    }
    PQsetNoticeReceiver(connection->pg, on_notice, connection);
    set_state(connection, DB_PREPARING);
    loop_watch_read(connection->watch, true);
    for (size_t i = 0; i < connection->statement_count; i++) {
        const struct db_statement *statement = &connection->statements[i];
        if (!PQsendPrepare(connection->pg, statement->name, statement->sql, 0, NULL)) {
            db_lost(connection, PQerrorMessage(connection->pg));
            return;
        }
    }
    if (segment_push(connection, connection->statement_count, on_prepared, connection) == NULL ||
        !PQpipelineSync(connection->pg)) {
        db_lost(connection, PQerrorMessage(connection->pg));
        return;
    }
    flush(connection);
}

static void connect_step(struct db_connection *connection) {
    PostgresPollingStatusType status = PQconnectPoll(connection->pg);
    if (status == PGRES_POLLING_FAILED) {
        db_lost(connection, PQerrorMessage(connection->pg));
        return;
    }
    if (!watch_socket(connection)) { /* the descriptor may be another one at each step */
        db_lost(connection, "no descriptor for the database's socket");
        return;
    }
    if (status == PGRES_POLLING_OK)
        prepare(connection);
    else if (status == PGRES_POLLING_READING)
        loop_watch_read(connection->watch, true);
    else
        loop_watch_write(connection->watch);
}

static void connect_start(struct db_connection *connection) {
    const struct db_settings *s = &connection->settings;
    char options[512];
    int length = snprintf(options, sizeof(options),
                          "-c statement_timeout=%d -c lock_timeout=%d"
                          " -c idle_in_transaction_session_timeout=%d -c search_path=%s"
                          " -c timezone=UTC -c client_min_messages=warning"
                          " -c client_connection_check_interval=1000 %s",
                          s->statement_timeout_ms, s->lock_timeout_ms, s->idle_in_transaction_ms,
                          s->search_path, s->options == NULL ? "" : s->options);
    assert(length > 0 && (size_t)length < sizeof(options));
    const char *const keys[] = {"host",
                                "port",
                                "dbname",
                                "user",
                                "password",
                                "application_name",
                                "options",
                                "client_encoding",
                                "keepalives_idle",
                                "keepalives_interval",
                                "keepalives_count",
                                "tcp_user_timeout",
                                "target_session_attrs",
                                NULL};
    const char *const values[] = {
        s->host, s->port, s->database, s->user, s->password, s->application_name, options,
        "UTF8",  "10",    "5",         "3",     "5000",      "read-write",        NULL};
    set_state(connection, DB_CONNECTING);
    loop_timer_start(connection->loop, &connection->timer, (int64_t)s->connect_timeout_ms * 1000);
    connection->pg = PQconnectStartParams(keys, values, 0);
    if (connection->pg == NULL) {
        db_lost(connection, "out of memory");
    } else if (PQstatus(connection->pg) == CONNECTION_BAD) {
        db_lost(connection, PQerrorMessage(connection->pg));
    } else if (!watch_socket(connection)) {
        db_lost(connection, "no descriptor for the database's socket");
    } else {
        loop_watch_write(connection->watch);
    }
}

/* A random number below `bound`, for jitter. */
static uint32_t random_below(uint32_t bound) {
    uint32_t value = 0;
    if (getrandom(&value, sizeof(value), 0) != sizeof(value))
        return 0;
    return value % bound;
}

static void on_timer(struct loop_timer *timer) {
    struct db_connection *connection =
        (struct db_connection *)((char *)timer - offsetof(struct db_connection, timer));
    if (connection->state == DB_DOWN)
        connect_start(connection);
    else
        db_lost(connection, "timeout while connecting");
}

/* The one way in which a connection dies: logs, closes, tells every segment, plans the next try. */
static void db_lost(struct db_connection *connection, const char *reason) {
    assert(connection->state != DB_CLOSED);
    set_error(connection, reason);
    connection->break_pending = false;
    connection->flush_pending = false;
    struct log_line line;
    log_begin(&line, LOG_WARN, "db_lost");
    log_string(&line, "application", connection->settings.application_name);
    log_string(&line, "reason", connection->error);
    log_integer(&line, "in_flight", (int64_t)connection->in_flight);
    log_end(&line);

    loop_watch_destroy(connection->watch);
    connection->watch = NULL;
    PQfinish(connection->pg);
    connection->pg = NULL;
    set_state(connection, DB_DOWN);
    /* Segments that a callback sends from here on are refused, as the state is DOWN. */
    while (connection->head != NULL) {
        copy_field(connection->head->result.message, sizeof(connection->head->result.message),
                   connection->error);
        segment_finish(connection, DB_END_LOST);
    }
    const struct db_settings *s = &connection->settings;
    connection->pause_ms =
        connection->pause_ms == 0 ? s->reconnect_min_ms : connection->pause_ms * 2;
    if (connection->pause_ms > s->reconnect_max_ms)
        connection->pause_ms = s->reconnect_max_ms;
    int64_t jitter_us = random_below((uint32_t)connection->pause_ms * 500 + 1);
    loop_timer_start(connection->loop, &connection->timer,
                     (int64_t)connection->pause_ms * 1000 + jitter_us);
}

static void connection_free(struct db_connection *connection) {
    loop_timer_stop(connection->loop, &connection->timer);
    loop_watch_destroy(connection->watch);
    PQfinish(connection->pg);
    connection->on_state = NULL;
    connection->state = DB_CLOSED;
    while (connection->head != NULL)
        segment_finish(connection, DB_END_LOST);
    free(connection);
}

static void on_turn(struct loop_turn *turn) {
    struct db_connection *connection =
        (struct db_connection *)((char *)turn - offsetof(struct db_connection, turn));
    if (connection->close_pending) {
        connection_free(connection);
    } else if (connection->break_pending) {
        if (connection->state != DB_DOWN)
            db_lost(connection, connection->error);
        connection->break_pending = false;
    } else if (connection->flush_pending && connection->pg != NULL) {
        flush(connection);
    }
}

/* ---- public ---- */

struct db_connection *db_connection_create(struct loop *loop, const struct db_settings *settings,
                                           const struct db_statement *statements,
                                           size_t statement_count) {
    struct db_connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL)
        return NULL;
    connection->loop = loop;
    connection->settings = *settings;
    connection->statements = statements;
    connection->statement_count = statement_count;
    connection->tail = &connection->head;
    connection->timer.on_fire = on_timer;
    connection->turn.on_turn = on_turn;
    connection->state = DB_DOWN;
    return connection;
}

void db_connection_on_state(struct db_connection *connection,
                            void (*on_state)(void *owner, bool ready), void *owner) {
    connection->on_state = on_state;
    connection->on_state_owner = owner;
}

void db_connection_open(struct db_connection *connection) {
    assert(connection->state == DB_DOWN && connection->pg == NULL);
    connect_start(connection);
}

enum db_state db_connection_state(const struct db_connection *connection) {
    if (connection->close_pending)
        return DB_CLOSED;
    return connection->break_pending ? DB_DOWN : connection->state;
}

const char *db_connection_error(const struct db_connection *connection) {
    return connection->error;
}

size_t db_connection_in_flight(const struct db_connection *connection) {
    return connection->in_flight;
}

bool db_connection_in_transaction(const struct db_connection *connection) {
    if (connection->pg == NULL)
        return false;
    PGTransactionStatusType status = PQtransactionStatus(connection->pg);
    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

bool db_send(struct db_connection *connection, const struct db_call *calls, size_t count,
             db_on_result *on_result, void *owner) {
    assert(count > 0 && count <= DB_SEGMENT_STATEMENTS_MAX);
    if (db_connection_state(connection) != DB_READY)
        return false;
    struct segment *segment = segment_push(connection, count, on_result, owner);
    if (segment == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct db_params *params = &calls[i].params;
        if (!PQsendQueryPrepared(connection->pg, calls[i].statement, params->count, params->values,
                                 params->lengths, params->formats, calls[i].binary_result)) {
            db_connection_break(connection, PQerrorMessage(connection->pg));
            return true; /* ends as LOST, like all that was sent */
        }
    }
    if (!PQpipelineSync(connection->pg)) {
        db_connection_break(connection, PQerrorMessage(connection->pg));
        return true;
    }
    connection->flush_pending = true;
    loop_turn_schedule(connection->loop, &connection->turn);
    return true;
}

void db_connection_break(struct db_connection *connection, const char *reason) {
    if (connection->break_pending || connection->close_pending)
        return;
    set_error(connection, reason);
    connection->break_pending = true;
    loop_turn_schedule(connection->loop, &connection->turn);
}

void db_connection_close(struct db_connection *connection) {
    connection->on_state = NULL;
    connection->close_pending = true;
    loop_turn_schedule(connection->loop, &connection->turn);
}
