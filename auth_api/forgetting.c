/*
 * Design.  One round is two statements, one after the other; the timer is started again when the
 * second has come back, so that there is never more than one round.  Each takes a limited number
 * of rows, so that no lock is held for long and nothing has to wait for it; while there is more to
 * take, the rounds follow each other quickly.  Processes on one database do not hinder each other:
 * they skip what another has locked.  What fails is done by the next round.
 */
#include "auth_api/forgetting.h"

#include "auth_api/auth.h"

#define US_PER_S INT64_C(1000000)
#define MORE_US  100000
#define ROWS_MAX 2000

static void start_timer(struct forgetting *forgetting, bool more) {
    int64_t interval_us = forgetting->thread->auth->forget_interval_s * US_PER_S;
    loop_timer_start(forgetting->thread->loop, &forgetting->timer, more ? MORE_US : interval_us);
}

static void send(struct forgetting *forgetting, const char *statement,
                 void (*on_end)(struct store_query *query, enum store_end end,
                                const PGresult *rows),
                 const struct store_params *params) {
    forgetting->query =
        (struct store_query){.on_end = on_end, .statement = statement, .writes = true};
    if (!store_query(forgetting->thread, &forgetting->query, params)) {
        start_timer(forgetting, false);
    }
}

static void on_sessions(struct store_query *query, enum store_end end, const PGresult *rows) {
    start_timer((struct forgetting *)query, end == STORE_DONE && PQgetvalue(rows, 0, 0)[0] == 't');
}

static void on_guesses(struct store_query *query, enum store_end end, const PGresult *rows) {
    struct forgetting *forgetting = (struct forgetting *)query;
    (void)end;
    (void)rows;
    struct store_params params = {.count = 0};
    store_add_integer(&params, forgetting->thread->auth->session_kept_s);
    store_add_integer(&params, ROWS_MAX);
    send(forgetting, "sessions_forget", on_sessions, &params);
}

static void on_timer(struct loop_timer *timer) {
    struct forgetting *forgetting =
        (struct forgetting *)(void *)((char *)timer - offsetof(struct forgetting, timer));
    struct store_params params = {.count = 0};
    store_add_integer(&params, forgetting->thread->auth->login_failures_max);
    send(forgetting, "guesses_forget", on_guesses, &params);
}

void forgetting_start(struct forgetting *forgetting, struct auth_thread *thread) {
    forgetting->thread = thread;
    forgetting->timer.on_fire = on_timer;
    start_timer(forgetting, false);
}

void forgetting_stop(struct forgetting *forgetting) {
    if (forgetting->thread != NULL) {
        loop_timer_stop(forgetting->thread->loop, &forgetting->timer);
    }
}
