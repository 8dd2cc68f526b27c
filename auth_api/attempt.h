/*
 * attempt: somebody says that he is a user.  Every attempt is counted before the password is looked
 * at, and the database decides whether it may go on (migrations/auth/deploy/guessing.sql): growing
 * waits for a name, whether or not anybody has it, and token buckets for an address and for all.
 *
 *   attempt_begin -> on_begun -(the password is verified)-> attempt_pass | attempt_fail -> on_ended
 *
 * or, when there is no telling whether the password was right, attempt_undo.
 */
#ifndef PACIOLI_AUTH_API_ATTEMPT_H
#define PACIOLI_AUTH_API_ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "auth_api/store.h"
#include "service_kit/proxies.h"

#define ATTEMPT_KEY_SIZE 32

struct auth;

#define ATTEMPT_STATEMENTS                                                                         \
    {"login_begin", "SELECT verdict, wait_ms, failures, stopped, known, user_id, password_hash,"   \
                    " roles, disabled FROM auth.login_begin($1::text, $2::bytea, $3::bytea,"       \
                    " $4::text, $5::jsonb, $6::jsonb)"},                                           \
        {"login_undone", "SELECT auth.login_undone($1::bytea, $2::bytea, $3::boolean, $4::text,"   \
                         " $5::jsonb)"},                                                           \
        {"login_failed", "SELECT auth.login_failed($1::uuid, $2::text, $3::bigint, $4::boolean,"   \
                         " $5::jsonb, $6::jsonb)"},                                                \
    {                                                                                              \
        "login_passed", "SELECT auth.login_passed($1::uuid, $2::bytea, $3::bytea, $4::boolean,"    \
                        " $5::text, $6::bigint, $7::text, $8::text, $9::jsonb, $10::jsonb)"        \
    }

/* Zero-initialise it; it must stay, and the request be held, until the last callback. */
struct attempt {
    struct store_query query; /* first: a query is its attempt */
    struct http_request *request;
    char username[STORE_USERNAME_MAX + 1];
    /* It may go on, with what is below; or (false) it was answered with 429 or 503. */
    void (*on_begun)(struct attempt *attempt, bool go);
    /* It is written down; or (false) it was answered: what is not written down did not happen. */
    void (*on_ended)(struct attempt *attempt, bool written);

    void (*on_undone)(struct attempt *attempt);

    /* What was found.  Nobody, a disabled user and a stopped name must end like a wrong password.
     */
    bool found, disabled, stopped;
    uint8_t user[UUID_SIZE];
    char password_hash[PASSWORD_STORED_SIZE]; /* "" when nobody was found, or it is too long */

    /* Its own. */
    bool known;
    int64_t failures;
    uint8_t name_key[ATTEMPT_KEY_SIZE], device_key[ATTEMPT_KEY_SIZE];
    char address[PROXIES_ADDRESS_MAX];
    const char *origin;
};

/* For the start: the limits as the database takes them. */
void attempt_prepare(struct auth *auth);
/* False: the request was answered with 503, and on_begun is not called. */
__attribute__((warn_unused_result)) bool attempt_begin(struct attempt *attempt);
/* The right password; `better_hash` takes the place of the stored one, or is NULL. */
void attempt_pass(struct attempt *attempt, const char *better_hash);
/* Anything else; `reason` goes into the trail. */
void attempt_fail(struct attempt *attempt, const char *reason);
/* Takes it back; then on_undone, or (NULL) releases the request, which was answered. */
void attempt_undo(struct attempt *attempt);
/* 429: the limit (account, address, all) and how long it lasts; `known`: of a known device. */
void attempt_reply_too_many(struct http_request *request, const char *limit, bool known,
                            int64_t wait_ms);
/* The counter of a name, for those who look after it. */
void attempt_name_key(const struct auth *auth, const char *username,
                      uint8_t key[static ATTEMPT_KEY_SIZE]);

#endif
