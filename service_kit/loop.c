/*
 * Design.  The events are libh2o's (epoll); timers and end-of-turn work are ours, because libh2o
 * 2.2.5 has one list per duration on the wall clock, and no hook after a turn.  Timers stand in a
 * binary heap by due time.  A turn is: wait for events and handle them, fire due timers, run the
 * work that was scheduled for the end of the turn.  When that last part did anything, the next
 * turn does not wait: an answer that was written outside of libh2o's own turn leaves a completion
 * behind which only its next turn delivers.
 *
 * Messages are pushed onto a list without a lock.  Whoever posts may be a thread of low priority,
 * which the wakeup itself preempts: with a lock, the loop would then wait for a thread that waits
 * for a core, as long as others keep the cores busy.
 */
#include "service_kit/loop.h"

#include <assert.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "service_kit/loop_internal.h"

#define WAIT_MAX_MS 60000

struct loop {
    h2o_loop_t *h2o;
    struct loop_timer **heap; /* 1-based: heap[1] is due first */
    size_t timer_count, heap_capacity;
    struct loop_turn *turns, **turns_tail;
    size_t watches;
    bool acted; /* timers or turns ran since the last wait */
    struct loop_watch *wakeup;
    int wakeup_fd;
    _Atomic(struct loop_message *) messages; /* the newest first */
};

struct loop_watch {
    struct loop *loop;
    h2o_socket_t *socket;
    void (*on_readable)(void *owner);
    void (*on_writable)(void *owner);
    void *owner;
};

int64_t loop_clock_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

h2o_loop_t *loop_h2o(struct loop *loop) {
    return loop->h2o;
}

/* ---- timers ---- */

static void heap_put(struct loop *loop, size_t index, struct loop_timer *timer) {
    loop->heap[index] = timer;
    timer->heap_index = index;
}

static void heap_rise(struct loop *loop, size_t index) {
    struct loop_timer *timer = loop->heap[index];
    while (index > 1 && loop->heap[index / 2]->due_us > timer->due_us) {
        heap_put(loop, index, loop->heap[index / 2]);
        index /= 2;
    }
    heap_put(loop, index, timer);
}

static void heap_sink(struct loop *loop, size_t index) {
    struct loop_timer *timer = loop->heap[index];
    for (;;) {
        size_t child = index * 2;
        if (child > loop->timer_count)
            break;
        if (child < loop->timer_count && loop->heap[child + 1]->due_us < loop->heap[child]->due_us)
            child++;
        if (loop->heap[child]->due_us >= timer->due_us)
            break;
        heap_put(loop, index, loop->heap[child]);
        index = child;
    }
    heap_put(loop, index, timer);
}

bool loop_timer_running(const struct loop_timer *timer) {
    return timer->heap_index != 0;
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, int64_t delay_us) {
    assert(timer->on_fire != NULL && delay_us >= 0);
    loop_timer_stop(loop, timer);
    timer->due_us = loop_clock_us() + delay_us;
    if (loop->timer_count + 2 > loop->heap_capacity) {
        size_t capacity = loop->heap_capacity == 0 ? 64 : loop->heap_capacity * 2;
        struct loop_timer **heap = realloc(loop->heap, capacity * sizeof(struct loop_timer *));
        if (heap == NULL)
            abort(); /* as libh2o does: there is no way on without a deadline */
        loop->heap = heap;
        loop->heap_capacity = capacity;
    }
    loop->timer_count++;
    heap_put(loop, loop->timer_count, timer);
    heap_rise(loop, loop->timer_count);
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer) {
    size_t index = timer->heap_index;
    if (index == 0)
        return;
    assert(loop->heap[index] == timer);
    struct loop_timer *last = loop->heap[loop->timer_count--];
    timer->heap_index = 0;
    if (last == timer)
        return;
    heap_put(loop, index, last);
    heap_rise(loop, index);
    heap_sink(loop, last->heap_index);
}

static void fire_timers(struct loop *loop) {
    if (loop->timer_count == 0)
        return;
    int64_t now_us = loop_clock_us();
    while (loop->timer_count > 0 && loop->heap[1]->due_us <= now_us) {
        struct loop_timer *timer = loop->heap[1];
        loop_timer_stop(loop, timer);
        loop->acted = true;
        timer->on_fire(timer);
    }
}

/* ---- end of the turn ---- */

void loop_turn_schedule(struct loop *loop, struct loop_turn *turn) {
    assert(turn->on_turn != NULL);
    if (turn->scheduled)
        return;
    turn->scheduled = true;
    turn->next = NULL;
    *loop->turns_tail = turn;
    loop->turns_tail = &turn->next;
}

static void run_turns(struct loop *loop) {
    while (loop->turns != NULL) {
        struct loop_turn *turn = loop->turns;
        loop->turns = turn->next;
        if (loop->turns == NULL)
            loop->turns_tail = &loop->turns;
        turn->scheduled = false;
        loop->acted = true;
        turn->on_turn(turn);
    }
}

/* ---- descriptors ---- */

static void on_socket_read(h2o_socket_t *socket, const char *err) {
    (void)err; /* with DONT_READ: readable, hung up or broken; the owner finds out by reading */
    struct loop_watch *watch = socket->data;
    watch->on_readable(watch->owner);
}

static void on_socket_write(h2o_socket_t *socket, const char *err) {
    (void)err;
    struct loop_watch *watch = socket->data;
    watch->on_writable(watch->owner);
}

struct loop_watch *loop_watch_create(struct loop *loop, int fd, void (*on_readable)(void *owner),
                                     void (*on_writable)(void *owner), void *owner) {
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return NULL;
    struct loop_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL) {
        close(copy);
        return NULL;
    }
    watch->loop = loop;
    watch->on_readable = on_readable;
    watch->on_writable = on_writable;
    watch->owner = owner;
    watch->socket = h2o_evloop_socket_create(loop->h2o, copy, H2O_SOCKET_FLAG_DONT_READ);
    watch->socket->data = watch;
    loop->watches++;
    return watch;
}

void loop_watch_read(struct loop_watch *watch, bool enabled) {
    if (enabled)
        h2o_socket_read_start(watch->socket, on_socket_read);
    else
        h2o_socket_read_stop(watch->socket);
}

void loop_watch_write(struct loop_watch *watch) {
    if (!h2o_socket_is_writing(watch->socket))
        h2o_socket_notify_write(watch->socket, on_socket_write);
}

void loop_watch_destroy(struct loop_watch *watch) {
    if (watch == NULL)
        return;
    watch->loop->watches--;
    h2o_socket_read_stop(watch->socket);
    h2o_socket_close(watch->socket); /* no callback after this; its memory goes next turn */
    free(watch);
}

/* ---- messages ---- */

void loop_post(struct loop *loop, struct loop_message *message) {
    assert(message->on_message != NULL);
    struct loop_message *before = atomic_load(&loop->messages);
    do {
        message->next = before;
    } while (!atomic_compare_exchange_weak(&loop->messages, &before, message));
    /* From here on the message is the receiver's; and the loop may end as soon as it has been
     * woken, but not before: it takes messages for nothing but a wakeup, and whoever finds the list
     * empty is the only one who sends one. */
    if (before == NULL) {
        uint64_t one = 1;
        ssize_t written = write(loop->wakeup_fd, &one, sizeof(one));
        (void)written; /* the counter is never near its end */
    }
}

static struct loop_message *oldest_first(struct loop_message *newest) {
    struct loop_message *first = NULL;
    while (newest != NULL) {
        struct loop_message *older = newest->next;
        newest->next = first;
        first = newest;
        newest = older;
    }
    return first;
}

static void on_wakeup(void *owner) {
    struct loop *loop = owner;
    uint64_t count;
    if (read(loop->wakeup_fd, &count, sizeof(count)) != sizeof(count)) {
        return; /* nobody has posted: see there */
    }
    struct loop_message *message = oldest_first(atomic_exchange(&loop->messages, NULL));
    while (message != NULL) {
        struct loop_message *next = message->next; /* the receiver may free it */
        message->on_message(message);
        message = next;
    }
}

/* ---- life ---- */

struct loop *loop_create(void) {
    struct loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL)
        return NULL;
    loop->turns_tail = &loop->turns;
    loop->wakeup_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->wakeup_fd < 0) {
        free(loop);
        return NULL;
    }
    loop->h2o = h2o_evloop_create();
    loop->wakeup = loop_watch_create(loop, loop->wakeup_fd, on_wakeup, NULL, loop);
    if (loop->wakeup == NULL)
        abort(); /* no descriptor left at the very start */
    loop_watch_read(loop->wakeup, true);
    return loop;
}

void loop_destroy(struct loop *loop) {
    run_turns(loop);
    loop_watch_destroy(loop->wakeup);
    h2o_evloop_run(loop->h2o, 0); /* frees the sockets that were closed in the last turn */
    assert(loop->timer_count == 0 && loop->turns == NULL && loop->watches == 0);
    assert(atomic_load(&loop->messages) == NULL);
    h2o_evloop_destroy(loop->h2o);
    close(loop->wakeup_fd);
    free(loop->heap);
    free(loop);
}

static int32_t wait_ms(const struct loop *loop) {
    if (loop->acted || loop->turns != NULL)
        return 0;
    if (loop->timer_count == 0)
        return WAIT_MAX_MS;
    int64_t wait_us = loop->heap[1]->due_us - loop_clock_us();
    if (wait_us <= 0)
        return 0;
    int64_t rounded_ms = (wait_us + 999) / 1000; /* up: never spin before a timer is due */
    return rounded_ms < WAIT_MAX_MS ? (int32_t)rounded_ms : WAIT_MAX_MS;
}

void loop_run_once(struct loop *loop) {
    int32_t wait = wait_ms(loop);
    loop->acted = false;
    h2o_evloop_run(loop->h2o, wait); /* -1: a signal interrupted the wait, which is fine */
    fire_timers(loop);
    run_turns(loop);
}
