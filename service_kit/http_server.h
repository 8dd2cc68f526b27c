/*
 * http_server: the server itself, for the process around it (service.c) and for tests.  A server
 * is made once and is read-only; each thread has an http_thread of its own with its listener, its
 * connections and its requests.
 */
#ifndef PACIOLI_SERVICE_KIT_HTTP_SERVER_H
#define PACIOLI_SERVICE_KIT_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service_kit/http.h"
#include "service_kit/metrics.h"
#include "service_kit/proxies.h"
#include "service_kit/token.h"

struct loop;
struct http_server;
struct http_thread;

struct http_server_settings {
    const char *realm; /* for WWW-Authenticate */
    struct token_policy policy;
    const struct token_revocations *revocations; /* NULL: none */
    const struct http_route *const *routes;
    size_t route_count;
    size_t body_max_bytes;      /* of routes that name none */
    size_t connections_max;     /* per thread; further ones wait in the kernel's queue */
    int64_t request_timeout_ms; /* the deadline of a request */
    int64_t receive_timeout_ms; /* an idle connection, or a request that does not arrive */
    struct proxies proxies;     /* whose X-Forwarded-For counts */
    struct metrics *metrics;
    void (*on_denied)(struct http_request *request); /* see struct service; may be NULL */
};

/* Registers its metrics; keeps copies of the settings, not of what they point to. */
struct http_server *http_server_create(const struct http_server_settings *settings);
void http_server_free(struct http_server *server);

/*
 * In the loop's thread.  `listener`: a bound descriptor, which is the thread's from now on.
 * `state` is what http_thread_state returns, `owner` what http_thread_owner returns.
 */
struct http_thread *http_thread_create(struct http_server *server, struct loop *loop, size_t number,
                                       int listener, void *state, void *owner);
/* Begins to accept connections. */
void http_thread_listen(struct http_thread *thread);
/* Takes what waits in the listener's queue, closes it, ends each connection with its next answer,
 * and idle ones a moment later. */
void http_thread_drain(struct http_thread *thread);
size_t http_thread_connections(const struct http_thread *thread);
/* Requests that somebody holds, answered or not. */
size_t http_thread_requests(const struct http_thread *thread);
/* Without connections and requests. */
void http_thread_free(struct http_thread *thread);

/* Frees what libh2o keeps per thread; the last thing that a thread with a loop does. */
void http_thread_release_memory(void);

/* For the routes of the process itself. */
void *http_thread_owner(const struct http_request *request);
/* Bytes that live as long as the process; they are not copied.  `cache_control` NULL: no-store. */
void http_reply_static(struct http_request *request, const char *content_type,
                       const char *cache_control, const char *bytes, size_t length);

#endif
