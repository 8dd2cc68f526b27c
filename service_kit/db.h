/*
 * db: PostgreSQL connections that never block their thread.
 *
 * A connection runs libpq in pipeline mode on an event loop.  Work is sent as a `db_segment`: one
 * or more prepared statements under one Sync, which succeed or fail together and are answered
 * together, when their Sync has come back and not before.  A connection that is lost tells so to
 * every segment in flight (their outcome is unknown, never "failed"), then reconnects by itself
 * with growing, jittered pauses.
 *
 * States: DOWN -connect_start-> CONNECTING -connect_step-> PREPARING -on_prepared-> READY;
 * any -db_lost-> DOWN; any -db_connection_close-> CLOSED.
 */
#ifndef PACIOLI_SERVICE_KIT_DB_H
#define PACIOLI_SERVICE_KIT_DB_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct log;

/* A statement that every connection of an owner prepares; `name` is unique in its table. */
struct db_statement {
    const char *name;
    const char *sql;
};

struct db_settings {
    const char *host; /* host name, address, or a folder with a unix socket */
    const char *port;
    const char *database;
    const char *user;
    const char *password;
    const char *application_name;
    const char *search_path;    /* fixed for the session */
    const char *options;        /* more of the session's settings: "-c name=value ...", or NULL */
    int connect_timeout_ms;     /* one attempt */
    int statement_timeout_ms;   /* the server's */
    int lock_timeout_ms;        /* the server's */
    int idle_in_transaction_ms; /* the server's */
    int reconnect_min_ms, reconnect_max_ms;
};

enum db_state { DB_DOWN, DB_CONNECTING, DB_PREPARING, DB_READY, DB_CLOSED };

/* How a segment ended. */
enum db_end {
    DB_END_OK,     /* Sync came back, no error before it */
    DB_END_ERROR,  /* the server refused a statement: nothing of this segment was committed */
    DB_END_LOST,   /* the connection broke after sending: the outcome is unknown */
    DB_END_UNSENT, /* never sent: certainly nothing happened */
};

#define DB_SEGMENT_STATEMENTS_MAX 8

struct db_result {
    enum db_end end;
    bool warning;        /* the server said WARNING meanwhile (at COMMIT: unknown, not success) */
    char sqlstate[6];    /* of the first error, or "" */
    char constraint[64]; /* of the first error, or "" */
    char message[256];   /* of the first error or loss, for the log, never for a client */
    /* One per statement, in order; NULL for those that did not run.  Cleared after the callback. */
    PGresult *statements[DB_SEGMENT_STATEMENTS_MAX];
};

/*
 * Did the server refuse for a reason that lies in the moment, not in the statement: it stops, is a
 * standby, has no room, lost a race, ran out of time?  The same may be done a little later.
 */
bool db_error_passes(const struct db_result *result);
/* A line about what the server refused: WARN for what passes, else ERROR. */
void db_log_error(const char *event, const char *statement, const struct db_result *result);

struct db_connection;

typedef void db_on_result(void *owner, const struct db_result *result);

/* Parameters of one statement, as libpq takes them.  Copied by the send. */
struct db_params {
    int count;
    const char *const *values;
    const int *lengths;
    const int *formats;
};

/* One statement of a segment. */
struct db_call {
    const char *statement; /* name of a prepared statement */
    struct db_params params;
    bool binary_result;
};

struct db_connection *db_connection_create(struct loop *loop, const struct db_settings *settings,
                                           const struct db_statement *statements,
                                           size_t statement_count);
/* Called at each change between READY and not READY. May be NULL. */
void db_connection_on_state(struct db_connection *connection,
                            void (*on_state)(void *owner, bool ready), void *owner);
void db_connection_open(struct db_connection *connection);
enum db_state db_connection_state(const struct db_connection *connection);
/* What went wrong last, one line for the log. */
const char *db_connection_error(const struct db_connection *connection);
size_t db_connection_in_flight(const struct db_connection *connection);
bool db_connection_in_transaction(const struct db_connection *connection);

/*
 * Sends calls + Sync; the flush happens at the end of the loop's turn.  Returns false when the
 * connection is not READY: then `on_result` is not called.  Else it is called exactly once.
 */
__attribute__((warn_unused_result)) bool db_send(struct db_connection *connection,
                                                 const struct db_call *calls, size_t count,
                                                 db_on_result *on_result, void *owner);
/* Breaks the connection on purpose (a deadline passed, a state that should not be): segments in
 * flight end with DB_END_LOST, and it reconnects. */
void db_connection_break(struct db_connection *connection, const char *reason);
/* Ends it for good. Segments in flight end with DB_END_LOST. Freed at the end of the turn. */
void db_connection_close(struct db_connection *connection);

/*
 * A pool for short reads and single-statement writes: a few connections, each with a bounded
 * pipeline, and a bounded queue before them.
 */
struct db_pool;
struct db_pool_settings {
    size_t connections;
    size_t in_flight_per_connection;
    size_t queue_max; /* waiting beyond the pipelines */
};
struct db_pool *db_pool_create(struct loop *loop, const struct db_settings *settings,
                               const struct db_pool_settings *pool_settings,
                               const struct db_statement *statements, size_t statement_count);
bool db_pool_ready(const struct db_pool *pool); /* at least one connection is READY */
size_t db_pool_queued(const struct db_pool *pool);
size_t db_pool_ready_connections(const struct db_pool *pool);
/*
 * Runs one call as its own transaction.  Parameters are copied.  False when the pool is full, or
 * when no connection is READY: answer 503 at once.  Else on_result is called exactly once.
 */
__attribute__((warn_unused_result)) bool db_pool_query(struct db_pool *pool,
                                                       const struct db_call *call,
                                                       db_on_result *on_result, void *owner);
void db_pool_close(struct db_pool *pool);

#endif
