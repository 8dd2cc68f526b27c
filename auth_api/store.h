/*
 * store: the statements on auth.users, and how every other statement of the service is run.
 */
#ifndef PACIOLI_AUTH_API_STORE_H
#define PACIOLI_AUTH_API_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth_api/password.h"
#include "service_kit/db.h"
#include "service_kit/uuid.h"

#define STORE_USERNAME_MAX 64

extern const struct db_statement STORE_STATEMENTS[];
extern const size_t STORE_STATEMENT_COUNT;

struct auth_thread;
struct http_request;

enum store_end {
    STORE_DONE,        /* found, or inserted */
    STORE_NO_USER,     /* find: nobody has that name */
    STORE_NAME_TAKEN,  /* insert: somebody has that name */
    STORE_UNAVAILABLE, /* certainly nothing was done */
    STORE_UNKNOWN,     /* a write: it may have been done */
    STORE_FAILED,      /* the database refuses this; logged */
};

/* One statement.  Zero-initialise it; it must stay until on_end, which is called exactly once. */
struct store_call {
    void (*on_end)(struct store_call *call, enum store_end end);

    /* The row: found, or to be inserted. */
    uint8_t id[UUID_SIZE];
    unsigned roles;                           /* found: HTTP_ROLE_... */
    bool disabled;                            /* found */
    char password_hash[PASSWORD_STORED_SIZE]; /* NUL-terminated; found but too long: "" */

    struct auth_thread *thread; /* the store's own */
};

/* False: no connection, or the queue is full; on_end is not called. */
__attribute__((warn_unused_result)) bool store_find(struct auth_thread *thread,
                                                    struct store_call *call, const char *username);
__attribute__((warn_unused_result)) bool store_insert(struct auth_thread *thread,
                                                      struct store_call *call, const char *username,
                                                      const char *origin); /* audit_origin's */

/* A statement of another module.  Zero-initialise it; it must stay until on_end, which is called
 * exactly once. */
struct store_query {
    void (*on_end)(struct store_query *query, enum store_end end, const PGresult *rows);
    const char *statement;
    bool writes; /* what is lost on the way may have been done; a warning too */

    struct auth_thread *thread; /* the store's own */
};

/* Parameters of a statement, one after the other; what is pointed to must stay until the call. */
#define STORE_PARAMS_MAX 10
struct store_params {
    const char *values[STORE_PARAMS_MAX];
    int lengths[STORE_PARAMS_MAX], formats[STORE_PARAMS_MAX];
    char integers[STORE_PARAMS_MAX][24];
    size_t count;
};
void store_add_text(struct store_params *params, const char *text);
void store_add_integer(struct store_params *params, int64_t value);
/* A uuid, or bytea; NULL: null. */
void store_add_bytes(struct store_params *params, const uint8_t *bytes, size_t size);

/* Rows are text.  False: as store_find. */
__attribute__((warn_unused_result)) bool store_query(struct auth_thread *thread,
                                                     struct store_query *query,
                                                     const struct store_params *params);
/* Answers with 503 or 500 for an end other than STORE_DONE. */
void store_refuse(struct http_request *request, enum store_end end);

#endif
