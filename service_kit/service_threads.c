/*
 * Design.  One thread is one loop with its listener, its connections and the service's own state.
 * The main thread only waits for signals and sends messages: listen, drain, cut.
 *
 *   STARTING -thread_main-> SERVING -"drain"-> (drained, or out of time) -> ENDED
 *   STARTING -thread_start failed-> FAILED
 *
 * No thread listens before all could start.
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "service_kit/log.h"
#include "service_kit/service_internal.h"

#define READY_INTERVAL_US 100000
#define SETTLE_TURNS      3
#define SETTLE_TURN_US    1000
#define SIGNAL_POLL_NS    20000000
#define STACK_SIZE        (8U << 20) /* libh2o and libjwt put what they parse on the stack */

static void publish_ready(struct loop_timer *timer) {
    struct service_thread *thread =
        (struct service_thread *)(void *)((char *)timer -
                                          offsetof(struct service_thread, ready_timer));
    atomic_store(&thread->not_ready, service_thread_not_ready(thread));
    loop_timer_start(thread->loop, timer, READY_INTERVAL_US);
}

static void on_drain_expired(struct loop_timer *timer) {
    struct service_thread *thread =
        (struct service_thread *)(void *)((char *)timer -
                                          offsetof(struct service_thread, drain_timer));
    thread->drain_expired = true;
}

/* ---- messages ---- */

static void on_listen(struct loop_message *message) {
    struct service_thread *thread =
        (struct service_thread *)(void *)((char *)message -
                                          offsetof(struct service_thread, listen_message));
    http_thread_listen(thread->http);
}

static void on_drain(struct loop_message *message) {
    struct service_thread *thread =
        (struct service_thread *)(void *)((char *)message -
                                          offsetof(struct service_thread, drain_message));
    thread->draining = true;
    atomic_store(&thread->not_ready, "draining");
    http_thread_drain(thread->http);
    loop_timer_start(thread->loop, &thread->drain_timer,
                     thread->process->config->drain_timeout_ms * 1000);
}

static void on_cut(struct loop_message *message) {
    struct service_thread *thread =
        (struct service_thread *)(void *)((char *)message -
                                          offsetof(struct service_thread, cut_message));
    thread->drain_expired = true;
}

/* ---- the thread ---- */

static bool is_drained(const struct service_thread *thread) {
    const struct service *service = thread->process->service;
    return http_thread_connections(thread->http) == 0 && http_thread_requests(thread->http) == 0 &&
           (service->thread_idle == NULL || service->thread_idle(thread->state));
}

static void on_settled(struct loop_timer *timer) {
    (void)timer;
}

/* Closed sockets and connections are freed in later turns of the loop. */
static void settle(struct loop *loop) {
    struct loop_timer timer = {.on_fire = on_settled};
    for (int i = 0; i < SETTLE_TURNS; i++) {
        loop_timer_start(loop, &timer, SETTLE_TURN_US);
        while (loop_timer_running(&timer))
            loop_run_once(loop);
    }
}

static bool start_thread(struct service_thread *thread) {
    struct service_process *process = thread->process;
    const struct service *service = process->service;
    if (service->thread_start != NULL) {
        thread->state = service->thread_start(thread);
        if (thread->state == NULL)
            return false;
    }
    thread->http = http_thread_create(process->server, thread->loop, thread->number,
                                      thread->listener, thread->state, thread);
    thread->listener = -1;
    thread->ready_timer.on_fire = publish_ready;
    thread->drain_timer.on_fire = on_drain_expired;
    publish_ready(&thread->ready_timer);
    return true;
}

static void end_thread(struct service_thread *thread) {
    const struct service *service = thread->process->service;
    if (!is_drained(thread)) {
        /* What is left still points everywhere: the process ends without taking it apart. */
        thread->cut_requests = http_thread_requests(thread->http);
        thread->cut = true;
        return;
    }
    loop_timer_stop(thread->loop, &thread->ready_timer);
    loop_timer_stop(thread->loop, &thread->drain_timer);
    http_thread_free(thread->http);
    if (service->thread_stop != NULL)
        service->thread_stop(thread->state);
    settle(thread->loop);
    http_thread_release_memory();
}

static void *thread_main(void *argument) {
    struct service_thread *thread = argument;
    bool started = start_thread(thread);
    log_flush();
    atomic_store(&thread->phase, started ? THREAD_SERVING : THREAD_FAILED);
    sem_post(&thread->process->progress);
    if (!started)
        return NULL;
    while (!thread->draining || !(thread->drain_expired || is_drained(thread))) {
        loop_run_once(thread->loop);
        log_flush();
    }
    end_thread(thread);
    log_flush();
    atomic_store(&thread->phase, THREAD_ENDED);
    return NULL;
}

/* ---- seen from the main thread ---- */

static void wait_for_progress(struct service_process *process, size_t times) {
    while (times > 0)
        if (sem_wait(&process->progress) == 0)
            times--;
        else
            assert(errno == EINTR);
}

static void post_all(struct service_process *process, size_t message_offset,
                     void (*on_message)(struct loop_message *message)) {
    for (size_t i = 0; i < process->thread_count; i++) {
        struct service_thread *thread = &process->threads[i];
        if (atomic_load(&thread->phase) != THREAD_SERVING)
            continue;
        struct loop_message *message =
            (struct loop_message *)(void *)((char *)thread + message_offset);
        message->on_message = on_message;
        loop_post(thread->loop, message);
    }
}

bool service_threads_start(struct service_process *process, char *error, size_t error_size) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    size_t started = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < process->thread_count; i++) {
        struct service_thread *thread = &process->threads[i];
        ok = pthread_create(&thread->handle, &attributes, thread_main, thread) == 0;
        thread->created = ok;
        if (ok)
            started++;
    }
    pthread_attr_destroy(&attributes);
    wait_for_progress(process, started);
    for (size_t i = 0; i < started; i++)
        ok = ok && atomic_load(&process->threads[i].phase) == THREAD_SERVING;
    if (!ok) {
        (void)snprintf(error, error_size, "a thread could not start");
        (void)service_threads_stop(process);
        return false;
    }
    post_all(process, offsetof(struct service_thread, listen_message), on_listen);
    return true;
}

static bool all_ended(const struct service_process *process) {
    for (size_t i = 0; i < process->thread_count; i++)
        if (atomic_load(&process->threads[i].phase) == THREAD_SERVING)
            return false;
    return true;
}

bool service_threads_stop(struct service_process *process) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    post_all(process, offsetof(struct service_thread, drain_message), on_drain);
    bool cut = false;
    while (!all_ended(process)) {
        struct timespec wait = {.tv_nsec = SIGNAL_POLL_NS};
        if (sigtimedwait(&signals, NULL, &wait) > 0 && !cut) {
            cut = true; /* asked a second time: at once */
            post_all(process, offsetof(struct service_thread, cut_message), on_cut);
        }
    }
    bool drained = true;
    for (size_t i = 0; i < process->thread_count; i++) {
        if (process->threads[i].created)
            pthread_join(process->threads[i].handle, NULL);
        drained = drained && !process->threads[i].cut;
    }
    return drained;
}
