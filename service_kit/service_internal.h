/* The process around a service, shared by the service_*.c files only. */
#ifndef PACIOLI_SERVICE_KIT_SERVICE_INTERNAL_H
#define PACIOLI_SERVICE_KIT_SERVICE_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "service_kit/http_server.h"
#include "service_kit/loop.h"
#include "service_kit/service.h"

/* A file that is read at start and served from memory. */
struct service_file {
    char *bytes; /* NULL: it was not there */
    size_t length;
};

enum service_asset {
    ASSET_OPENAPI,
    ASSET_CSS,
    ASSET_BUNDLE,
    ASSET_PRESET,
    ASSET_ICON,
    ASSET_COUNT,
};

enum thread_phase { THREAD_STARTING, THREAD_SERVING, THREAD_FAILED, THREAD_ENDED };

struct service_thread {
    struct service_process *process;
    size_t number;
    int listener;
    pthread_t handle;
    bool created;      /* there is a thread behind the handle */
    struct loop *loop; /* made before the thread starts, so that messages can always be posted */
    struct http_thread *http;
    void *state;
    _Atomic(enum thread_phase) phase;
    _Atomic(const char *) not_ready; /* why, or NULL; for /readyz of other threads */
    struct loop_timer ready_timer;
    struct loop_timer drain_timer;
    bool draining, drain_expired;
    bool cut;            /* ended before everything was finished */
    size_t cut_requests; /* that were left then */
    struct loop_message listen_message, drain_message, cut_message;
};

struct service_process {
    struct service *service;
    const struct service_config *config; /* the beginning of service->config */
    struct config *config_texts;
    struct metrics *metrics;
    struct http_server *server;
    const struct http_route **routes; /* common ones, then the service's */
    size_t route_count;
    struct service_thread *threads;
    size_t thread_count;
    struct service_file assets[ASSET_COUNT];
    sem_t progress; /* posted by each thread when its start has gone well or not */
};

/* service_options.c */
enum option_result { OPTION_RUN, OPTION_DONE, OPTION_USAGE, OPTION_CHECK };
enum option_result service_options(const struct service *service, int argc, char **argv);
void service_print_routes(const struct service *service);

/* service_listener.c: false + one line. */
bool service_listen(struct service_process *process, char *error, size_t error_size);
/* Raises the descriptor limit; the connections that fit under it. */
int64_t service_connections(int64_t wanted);
void service_close_listeners(struct service_process *process);

/* service_health.c, service_docs.c */
extern const struct http_route SERVICE_HEALTH_ROUTES[];
extern const size_t SERVICE_HEALTH_ROUTE_COUNT;
extern const struct http_route SERVICE_DOCS_ROUTES[];
extern const size_t SERVICE_DOCS_ROUTE_COUNT;
const char *service_thread_not_ready(struct service_thread *thread);
void service_load_assets(struct service_process *process);
void service_free_assets(struct service_process *process);

/* service_threads.c */
/* False + one line: a thread could not start; those that did were stopped. */
bool service_threads_start(struct service_process *process, char *error, size_t error_size);
/* Drains; true when nothing was cut off. */
bool service_threads_stop(struct service_process *process);

#endif
