/*
 * Two loops and a list.  db_check_connect tries until the wait is over; connect_once drives libpq's
 * non-blocking connect with poll, because the blocking one has no limit below a second and none at
 * all for a server that accepts and then says nothing.  The list is one statement that reads every
 * setting at once, and a table of what each must be.
 *
 * libpq has no SQLSTATE for a failed connect, but writes it into the message when the verbosity is
 * set before the server answers, so a wrong password is told from a server that is still starting
 * without reading (translated) words.
 */
#include "service_kit/db_check.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "service_kit/log.h"

#define PAUSE_MIN_MS     100
#define PAUSE_MAX_MS     1000
#define QUERY_TIMEOUT_MS 10000
#define REASON_SIZE      256

static int64_t clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void sleep_ms(int64_t duration_ms) {
    struct timespec left = {.tv_sec = duration_ms / 1000,
                            .tv_nsec = (long)(duration_ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

/* libpq's messages end with a line break and may have several lines: one line for the log. */
static void copy_line(char *to, size_t size, const char *from) {
    size_t length = 0;
    bool space = false;
    for (; *from != '\0' && length + 2 < size; from++) {
        if (*from == '\n' || *from == '\t' || *from == ' ') {
            space = length > 0;
            continue;
        }
        if (space) {
            to[length++] = ' ';
            space = false;
        }
        to[length++] = *from;
    }
    to[length] = '\0';
}

/* Waits for the socket; false when the deadline passed. */
static bool wait_socket(PGconn *connection, short events, int64_t deadline_ms) {
    for (;;) {
        int64_t left_ms = deadline_ms - clock_ms();
        if (left_ms <= 0 || PQsocket(connection) < 0) {
            return false;
        }
        struct pollfd fd = {.fd = PQsocket(connection), .events = events};
        int count = poll(&fd, 1, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
        if (count > 0) {
            return true;
        }
        if (count < 0 && errno != EINTR) {
            return false;
        }
    }
}

/* One attempt. NULL and the reason in `reason`. */
static PGconn *connect_once(const struct db_settings *settings, int64_t deadline_ms, char *reason,
                            size_t reason_size) {
    const char *const names[] = {"host",
                                 "port",
                                 "dbname",
                                 "user",
                                 "password",
                                 "application_name",
                                 "client_encoding",
                                 "target_session_attrs",
                                 NULL};
    const char *const values[] = {settings->host, settings->port,     settings->database,
                                  settings->user, settings->password, settings->application_name,
                                  "UTF8",         "read-write",       NULL};
    PGconn *connection = PQconnectStartParams(names, values, 0);
    if (connection == NULL) {
        snprintf(reason, reason_size, "out of memory");
        return NULL;
    }
    PQsetErrorVerbosity(connection, PQERRORS_VERBOSE);
    PostgresPollingStatusType status =
        PQstatus(connection) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
    bool in_time = true;
    while (in_time && status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
        in_time = wait_socket(connection, status == PGRES_POLLING_READING ? POLLIN : POLLOUT,
                              deadline_ms);
        if (in_time) {
            status = PQconnectPoll(connection);
        }
    }
    if (status == PGRES_POLLING_OK) {
        PQsetErrorVerbosity(connection, PQERRORS_DEFAULT);
        return connection;
    }
    if (in_time) {
        copy_line(reason, reason_size, PQerrorMessage(connection));
    } else {
        snprintf(reason, reason_size, "no answer from %s port %s in time", settings->host,
                 settings->port);
    }
    PQfinish(connection);
    return NULL;
}

/*
 * The message says "FATAL:  28P01: …".  Final: class 28 (credentials), 3D (no such database), 42
 * (no right to connect); anything else may pass by itself.
 */
static bool connect_refused(const char *reason) {
    for (const char *at = strchr(reason, ':'); at != NULL; at = strchr(at + 1, ':')) {
        const char *code = at + 1 + strspn(at + 1, " ");
        size_t length = strspn(code, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        if (length == 5 && code[5] == ':' && isdigit((unsigned char)code[0])) {
            return strncmp(code, "28", 2) == 0 || strncmp(code, "3D", 2) == 0 ||
                   strncmp(code, "42", 2) == 0;
        }
    }
    return false;
}

/* The caller may have blocked these to read them later: a stop must not wait for the database. */
static bool stop_pending(void) {
    sigset_t pending;
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

static PGconn *connect_within(const struct db_settings *settings, int64_t wait_ms, char *error,
                              size_t error_size) {
    const int64_t deadline_ms = clock_ms() + wait_ms;
    char told[REASON_SIZE] = "";
    for (int64_t pause_ms = PAUSE_MIN_MS;; pause_ms *= 2) {
        int64_t attempt_ms = settings->connect_timeout_ms > 0 ? settings->connect_timeout_ms : 5000;
        int64_t until_ms = clock_ms() + attempt_ms;
        char reason[REASON_SIZE];
        PGconn *connection = connect_once(settings, until_ms, reason, sizeof reason);
        if (connection != NULL) {
            return connection;
        }
        pause_ms = pause_ms > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms;
        bool refused = connect_refused(reason);
        bool stopped = stop_pending();
        if (refused || stopped || clock_ms() + pause_ms >= deadline_ms) {
            snprintf(error, error_size, "database %s: %s%s", settings->database,
                     stopped ? "stopped while waiting for it: " : "", reason);
            return NULL;
        }
        if (strcmp(told, reason) != 0) {
            log_message(LOG_WARN, "database_wait", "reason", reason);
            memcpy(told, reason, sizeof told);
        }
        sleep_ms(pause_ms);
    }
}

PGresult *db_check_query(PGconn *connection, const char *sql, const char *const *values, int count,
                         int64_t timeout_ms, char sqlstate[6], char *error, size_t error_size) {
    const int64_t deadline_ms = clock_ms() + timeout_ms;
    if (sqlstate != NULL) {
        sqlstate[0] = '\0';
    }
    PGresult *result = NULL;
    bool in_time = true;
    if (PQsendQueryParams(connection, sql, count, NULL, values, NULL, NULL, 0) == 1) {
        for (;;) {
            while (in_time && PQisBusy(connection)) {
                in_time =
                    wait_socket(connection, POLLIN, deadline_ms) && PQconsumeInput(connection) == 1;
            }
            PGresult *next = in_time ? PQgetResult(connection) : NULL;
            if (next == NULL) {
                break;
            }
            PQclear(result);
            result = next;
        }
    }
    if (in_time && PQresultStatus(result) == PGRES_TUPLES_OK) {
        return result;
    }
    const char *code = result == NULL ? NULL : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (sqlstate != NULL && code != NULL) {
        snprintf(sqlstate, 6, "%s", code);
    }
    const char *text = result == NULL ? PQerrorMessage(connection) : PQresultErrorMessage(result);
    copy_line(error, error_size, text[0] == '\0' ? "the database did not answer in time" : text);
    PQclear(result);
    return NULL;
}

/* A column of the statement below: its name there, the values allowed, and why. */
struct rule {
    const char *name;
    const char *allowed[3];
    const char *why;
};

static const struct rule RULES[] = {
    {"fsync", {"on"}, "a crash could lose or tear what was committed"},
    {"full_page_writes", {"on"}, "a crash could tear pages"},
    {"synchronous_commit",
     {"on", "remote_write", "remote_apply"},
     "a commit must be durable before it is answered"},
    {"data_sync_retry", {"off"}, "a failed fsync must never be tried again"},
    {"server_encoding", {"UTF8"}, "texts are UTF-8"},
    {"standard_conforming_strings", {"on"}, "a backslash is a character"},
    {"max_prepared_transactions", {"0"}, "a forgotten prepared transaction holds locks for ever"},
    {"session_replication_role", {"origin"}, "the guarding triggers must fire"},
    {"superuser", {"f"}, "the role of a service must not be a superuser"},
    {"createrole", {"f"}, "a role with CREATEROLE could make itself the owner"},
    {"owner", {"f"}, "the role of a service must not own the schema or anything in it"},
};

#define SETTING(name) "pg_catalog.current_setting('" name "') AS " name ", "
#define OWNED(table, owner, schema)                                                                \
    "(SELECT pg_catalog.bool_or(pg_catalog.pg_has_role(r.oid, o." owner ", 'MEMBER')) FROM "       \
    "pg_catalog." table " o, me r WHERE o." schema " = n.oid)"

/*
 * Membership counts as ownership: a member can SET ROLE.  session_user and current_user differ when
 * somebody gave the role a default role.
 */
static const char FACTS_SQL[] =
    "WITH me AS (SELECT oid, rolsuper, rolcreaterole FROM pg_catalog.pg_roles"
    " WHERE rolname IN (session_user, current_user)) "
    "SELECT " SETTING("fsync") SETTING("full_page_writes") SETTING("synchronous_commit") SETTING(
        "data_sync_retry") SETTING("server_encoding") SETTING("standard_conforming_strings")
        SETTING("max_prepared_transactions") SETTING("session_replication_role") SETTING(
            "data_checksums") "(SELECT pg_catalog.bool_or(rolsuper) FROM me) AS superuser, "
                              "(SELECT pg_catalog.bool_or(rolcreaterole) FROM me) AS createrole, "
                              "pg_catalog.pg_has_role(session_user, n.nspowner, 'MEMBER')"
                              " OR pg_catalog.pg_has_role(current_user, n.nspowner, 'MEMBER')"
                              " OR COALESCE(" OWNED(
                                  "pg_class", "relowner",
                                  "relnamespace") ", false)"
                                                  " OR COALESCE(" OWNED(
                                                      "pg_proc", "proowner",
                                                      "pronamespace") ", false) AS owner "
                                                                      "FROM "
                                                                      "pg_catalog.pg_namespace n "
                                                                      "WHERE n.nspname = $1";

static bool rule_holds(const struct rule *rule, const char *value) {
    for (size_t i = 0; i < sizeof rule->allowed / sizeof *rule->allowed; i++) {
        if (rule->allowed[i] != NULL && strcmp(rule->allowed[i], value) == 0) {
            return true;
        }
    }
    return false;
}

static bool check_facts(PGconn *connection, const char *schema, char *error, size_t error_size) {
    char reason[REASON_SIZE];
    PGresult *facts = db_check_query(connection, FACTS_SQL, &schema, 1, QUERY_TIMEOUT_MS, NULL,
                                     reason, sizeof reason);
    if (facts == NULL) {
        snprintf(error, error_size, "database check: %s", reason);
        return false;
    }
    bool good = PQntuples(facts) == 1;
    if (!good) {
        snprintf(error, error_size,
                 "database check: there is no schema \"%s\": deploy the migrations first", schema);
    }
    for (size_t i = 0; good && i < sizeof RULES / sizeof *RULES; i++) {
        int column = PQfnumber(facts, RULES[i].name);
        assert(column >= 0);
        const char *value = PQgetvalue(facts, 0, column);
        good = rule_holds(&RULES[i], value);
        if (!good) {
            snprintf(error, error_size, "database check: %s is %s: %s", RULES[i].name,
                     strcmp(value, "t") == 0 ? "true" : value, RULES[i].why);
        }
    }
    if (good && strcmp(PQgetvalue(facts, 0, PQfnumber(facts, "data_checksums")), "on") != 0) {
        log_message(LOG_WARN, "database_without_checksums", "advice",
                    "pg_checksums --enable lets the server notice a page that the disk changed");
    }
    PQclear(facts);
    return good;
}

static bool check_version(PGconn *connection, const struct db_check_rules *rules, char *error,
                          size_t error_size) {
    char sql[160], reason[REASON_SIZE], sqlstate[6];
    char *schema = PQescapeIdentifier(connection, rules->schema, strlen(rules->schema));
    if (schema == NULL) {
        snprintf(error, error_size, "database check: out of memory");
        return false;
    }
    snprintf(sql, sizeof sql, "SELECT pg_catalog.max(version) FROM %s.schema_version", schema);
    PQfreemem(schema);
    PGresult *result =
        db_check_query(connection, sql, NULL, 0, QUERY_TIMEOUT_MS, sqlstate, reason, sizeof reason);
    if (result == NULL) {
        snprintf(error, error_size, "database check: the version of schema %s: %s", rules->schema,
                 strcmp(sqlstate, "42P01") == 0 ? "deploy the migrations first" : reason);
        return false;
    }
    bool good = false;
    if (PQntuples(result) != 1 || PQgetisnull(result, 0, 0)) {
        snprintf(error, error_size,
                 "database check: schema %s has no version: deploy the "
                 "migrations first",
                 rules->schema);
    } else {
        long version = strtol(PQgetvalue(result, 0, 0), NULL, 10);
        good = version >= rules->version_min && version <= rules->version_max;
        if (!good) {
            snprintf(error, error_size,
                     "database check: schema %s has version %ld, this program needs %d to %d",
                     rules->schema, version, rules->version_min, rules->version_max);
        }
    }
    PQclear(result);
    return good;
}

static bool set_session(PGconn *connection, const struct db_settings *settings, char *error,
                        size_t error_size) {
    char timeout[16], reason[REASON_SIZE];
    snprintf(timeout, sizeof timeout, "%d", settings->statement_timeout_ms);
    const char *const values[] = {settings->search_path, timeout};
    PGresult *result = db_check_query(
        connection,
        "SELECT pg_catalog.set_config('search_path', COALESCE($1, 'pg_catalog'), false),"
        " pg_catalog.set_config('statement_timeout', $2, false)",
        values, 2, QUERY_TIMEOUT_MS, NULL, reason, sizeof reason);
    if (result == NULL) {
        snprintf(error, error_size, "database check: %s", reason);
        return false;
    }
    PQclear(result);
    return true;
}

bool db_check(const struct db_settings *settings, const struct db_check_rules *rules,
              int64_t wait_ms, PGconn **connection_out, char *error, size_t error_size) {
    assert(rules->version_min <= rules->version_max);
    PGconn *connection = connect_within(settings, wait_ms, error, error_size);
    if (connection == NULL) {
        return false;
    }
    if (!set_session(connection, settings, error, error_size) ||
        !check_facts(connection, rules->schema, error, error_size) ||
        !check_version(connection, rules, error, error_size)) {
        PQfinish(connection);
        return false;
    }
    if (connection_out != NULL) {
        *connection_out = connection;
    } else {
        PQfinish(connection);
    }
    return true;
}
