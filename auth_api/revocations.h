/*
 * revocations: the access tokens that are not to be accepted any more, for auth_api itself, which
 * follows its own database, and for other services, which ask GET /internal/revocations.
 */
#ifndef PACIOLI_AUTH_API_REVOCATIONS_H
#define PACIOLI_AUTH_API_REVOCATIONS_H

#include "auth_api/store.h"
#include "service_kit/loop.h"
#include "service_kit/uuid.h"

#define REVOCATIONS_STATEMENT                                                                      \
    {                                                                                              \
        "revocations",                                                                             \
            "SELECT subject, kind, issued_up_to, expires_at, recorded_xid, oldest_running"         \
            " FROM auth.revocations($1::text::xid8, $2::uuid, $3::bigint)"                         \
    }
#define REVOCATIONS_POSITION_SIZE 21

/* One thread follows the database for the process.  Zero-initialise it. */
struct revocations_follower {
    struct store_query query; /* first: a query is its follower */
    struct loop_timer timer;
    struct auth_thread *thread;
    bool asking;
    int64_t asked_at_us;                      /* when the round began */
    char after[REVOCATIONS_POSITION_SIZE];    /* where the next round begins */
    char position[REVOCATIONS_POSITION_SIZE]; /* of the page that is asked for */
    char oldest[REVOCATIONS_POSITION_SIZE];   /* where the round after this one begins */
    uint8_t beyond[UUID_SIZE];
};

void revocations_follow(struct revocations_follower *follower, struct auth_thread *thread);
void revocations_stop(struct revocations_follower *follower);

#endif
