/*
 * loop: one event loop per thread, with timers and end-of-turn work.
 *
 * A thread shares nothing with the others but messages.  All functions are for the loop's own
 * thread unless they say otherwise.  Timers run on CLOCK_MONOTONIC, so a step of the wall clock
 * moves no deadline.
 */
#ifndef PACIOLI_SERVICE_KIT_LOOP_H
#define PACIOLI_SERVICE_KIT_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

/* Monotonic time. */
int64_t loop_clock_us(void);

struct loop *loop_create(void);
/* Runs the end-of-turn work that is left; no timer or watch may be left after it. */
void loop_destroy(struct loop *loop);

/* One turn: waits for events (at most until the next timer), handles them, the timers that are
 * due, then the end-of-turn work.  Call it until the work is done. */
void loop_run_once(struct loop *loop);

/* A timer is embedded in its owner and costs no allocation.  Zero-initialise it. */
struct loop_timer {
    void (*on_fire)(struct loop_timer *timer);
    int64_t due_us;
    size_t heap_index; /* 0: not started */
};
/* Starts or restarts. */
void loop_timer_start(struct loop *loop, struct loop_timer *timer, int64_t delay_us);
/* Idempotent; always before the owner is freed. */
void loop_timer_stop(struct loop *loop, struct loop_timer *timer);
bool loop_timer_running(const struct loop_timer *timer);

/* Work for the end of the current turn ("collect, then act once"): runs once per scheduling. */
struct loop_turn {
    void (*on_turn)(struct loop_turn *turn);
    struct loop_turn *next;
    bool scheduled;
};
void loop_turn_schedule(struct loop *loop, struct loop_turn *turn);

/* A foreign descriptor (libpq's, a signalfd): level-triggered, never read by the loop.
 * `fd` is duplicated, so that closing the watch never closes the owner's descriptor. */
struct loop_watch;
struct loop_watch *loop_watch_create(struct loop *loop, int fd, void (*on_readable)(void *owner),
                                     void (*on_writable)(void *owner), void *owner);
void loop_watch_read(struct loop_watch *watch, bool enabled);
/* One-shot: on_writable is called once when the descriptor can be written. */
void loop_watch_write(struct loop_watch *watch);
void loop_watch_destroy(struct loop_watch *watch);

/* Messages from other threads.  `message` is owned by the receiver once posted. */
struct loop_message {
    void (*on_message)(struct loop_message *message); /* called in the loop's thread */
    struct loop_message *next;
};
/* Any thread. */
void loop_post(struct loop *loop, struct loop_message *message);

#endif
