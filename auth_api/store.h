/*
 * store: the statements on auth.users.
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

enum store_end {
    STORE_DONE,        /* found, or inserted */
    STORE_NO_USER,     /* find: nobody has that name */
    STORE_NAME_TAKEN,  /* insert: somebody has that name */
    STORE_UNAVAILABLE, /* certainly nothing was done */
    STORE_UNKNOWN,     /* insert: the user may have been inserted */
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
__attribute__((warn_unused_result)) bool
store_insert(struct auth_thread *thread, struct store_call *call, const char *username);

#endif
