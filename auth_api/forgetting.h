/*
 * forgetting: what is over is not kept for ever.  Full buckets and old counters of guesses
 * (migrations/auth/deploy/guessing.sql), sessions that are over with their refresh tokens, and
 * revocations (forgetting.sql) go in batches, every FORGET_INTERVAL_S.
 */
#ifndef PACIOLI_AUTH_API_FORGETTING_H
#define PACIOLI_AUTH_API_FORGETTING_H

#include "auth_api/store.h"
#include "service_kit/loop.h"

#define FORGETTING_STATEMENTS                                                                      \
    {"guesses_forget", "SELECT auth.guesses_forget($1::bigint)"}, {                                \
        "sessions_forget", "SELECT auth.sessions_forget($1::bigint, $2::bigint)"                   \
    }

/* A thread's; the first one does it for the process. */
struct forgetting {
    struct store_query query; /* first: a query is its forgetting */
    struct loop_timer timer;
    struct auth_thread *thread;
};

void forgetting_start(struct forgetting *forgetting, struct auth_thread *thread);
void forgetting_stop(struct forgetting *forgetting);

#endif
