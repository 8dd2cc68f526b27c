/*
 * Design.  One catch-all handler takes every request that libh2o has read.  What libh2o refuses by
 * itself (a body over the limit, a broken Transfer-Encoding, an unknown Expect) passes a filter
 * that puts our own answer in the place of its text/plain one.  A logger on both paths is the one
 * place that hears of the end of every request, answered or aborted.
 *
 * Out of reach are two answers that libh2o 2.2.5 writes to the socket without a hook: 400
 * text/plain for bytes that are no HTTP at all, and for a head of more than 100 lines or 417,792
 * bytes.  Both close the connection.
 *
 * HTTP/2 stays off in both forms: libh2o 2.2.5 is exposed to rapid resets.
 */
#include "service_kit/http_server.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service_kit/http_connection.h"
#include "service_kit/http_gate.h"
#include "service_kit/http_internal.h"
#include "service_kit/memory.h"
#include "service_kit/uuid.h"

#define ERROR_BYTES_MAX 4096

static struct http_connection *connection_of(const h2o_req_t *req) {
    return req->conn->callbacks->get_socket(req->conn)->on_close.data;
}

static int on_request(h2o_handler_t *self, h2o_req_t *req) {
    (void)self;
    http_gate_pass(http_request_begin(connection_of(req), req));
    return 0;
}

static void wipe(h2o_iovec_t text) {
    if (text.len > 0)
        explicit_bzero(text.base, text.len);
}

/* The answer is on its way, or the connection gone.  A body can hold a password, and an answer a
 * token: neither stays in libh2o's memory, which nobody else clears. */
static void on_request_end(h2o_logger_t *self, h2o_req_t *req) {
    (void)self;
    struct http_request *request = connection_of(req)->request;
    wipe(req->entity);
    if (request != NULL) {
        wipe(request->answer);
        http_request_dispose(request);
    }
}

/* ---- libh2o's own errors ---- */

struct error_stream {
    h2o_ostream_t super;
    h2o_iovec_t body;
};

static void send_error_body(h2o_ostream_t *stream, h2o_req_t *req, h2o_iovec_t *bodies,
                            size_t count, h2o_send_state_t state) {
    (void)bodies;
    struct error_stream *error = (struct error_stream *)stream;
    h2o_ostream_send_next(stream, req, &error->body, count > 0 ? 1 : 0, state);
}

static const struct problem_kind *kind_of_h2o_error(int status) {
    static const struct problem_kind expectation = {
        417, "expectation_failed", "Expectation failed",
        "The only expectation that is met is 100-continue."};
    switch (status) {
    case 404:
        return &PROBLEM_NOT_FOUND;
    case 413:
        return &PROBLEM_BODY_TOO_LARGE;
    case 417:
        return &expectation;
    default:
        return status >= 500 ? &PROBLEM_INTERNAL : &PROBLEM_BAD_REQUEST;
    }
}

static void on_h2o_error(h2o_filter_t *self, h2o_req_t *req, h2o_ostream_t **slot) {
    (void)self;
    struct http_connection *connection = connection_of(req);
    struct http_request *request = http_request_begin(connection, req);
    /* What is wrong with the head weighs more than what libh2o stumbled over. */
    enum http_fault fault = http_request_read_head(request);
    struct problem problem = {.kind = kind_of_h2o_error(req->res.status)};
    if (fault != HTTP_FAULT_NONE && fault != HTTP_FAULT_CODING) {
        problem.kind = http_fault_kind(fault);
        problem.detail = http_fault_detail(fault);
    }
    struct json_writer *writer = json_writer_create(ERROR_BYTES_MAX);
    problem_write(writer, &problem, request->request_id);
    size_t length = 0;
    const char *bytes = json_writer_finish(writer, &length);
    assert(bytes != NULL);

    struct error_stream *stream =
        (struct error_stream *)h2o_add_ostream(req, sizeof(struct error_stream), slot);
    stream->super.do_send = send_error_body;
    stream->body = h2o_strdup(&req->pool, bytes, length);
    json_writer_free(writer);

    request->req = NULL; /* libh2o sends it */
    request->status = problem.kind->status;
    request->answer_bytes = length;
    http_reply_headers(request, req, request->status, "application/problem+json", NULL);
    req->res.content_length = length;
    if (!req->http1_is_persistent)
        http_connection_linger(connection);
    h2o_setup_next_ostream(req, &stream->super.next);
}

/* ---- the server ---- */

static void add_logger(h2o_pathconf_t *path) {
    h2o_create_logger(path, sizeof(h2o_logger_t))->log_access = on_request_end;
}

static void configure_h2o(struct http_server *server, size_t body_limit) {
    h2o_globalconf_t *h2o = &server->h2o;
    h2o_config_init(h2o);
    h2o->server_name = h2o_iovec_init(H2O_STRLIT(""));
    h2o->max_request_entity_size = body_limit;
    h2o->http1.req_timeout = (uint64_t)server->settings.receive_timeout_ms;
    h2o->http1.upgrade_to_http2 = 0;
    /* It would start an HTTP/2 timer of one second, which asserts when the context goes earlier. */
    h2o->http2.callbacks.request_shutdown = NULL;
    h2o_hostconf_t *host =
        h2o_config_register_host(h2o, h2o_iovec_init(H2O_STRLIT("service")), 65535);
    h2o_pathconf_t *root = h2o_config_register_path(host, "/", 0);
    h2o_create_handler(root, sizeof(h2o_handler_t))->on_req = on_request;
    add_logger(root);
    h2o_create_filter(&host->fallback_path, sizeof(h2o_filter_t))->on_setup_ostream = on_h2o_error;
    add_logger(&host->fallback_path);
}

static void write_challenges(struct http_server *server) {
    const char *realm = server->settings.realm;
    (void)snprintf(server->challenge, sizeof(server->challenge), "Bearer realm=\"%s\"", realm);
    (void)snprintf(server->challenge_request, sizeof(server->challenge_request),
                   "Bearer realm=\"%s\", error=\"invalid_request\", error_description=\"%s\"",
                   realm, PROBLEM_BAD_AUTHORIZATION.detail);
}

struct http_server *http_server_create(const struct http_server_settings *settings) {
    struct http_server *server = memory_allocate(1, sizeof(*server));
    server->settings = *settings;
    size_t body_limit = settings->body_max_bytes;
    for (size_t i = 0; i < settings->route_count; i++)
        if (settings->routes[i]->body_max_bytes > body_limit)
            body_limit = settings->routes[i]->body_max_bytes;
    server->router = http_router_create(settings->routes, settings->route_count);
    http_metrics_init(&server->metrics, settings->metrics, settings->routes, settings->route_count);
    write_challenges(server);
    configure_h2o(server, body_limit);
    return server;
}

void http_server_free(struct http_server *server) {
    if (server == NULL)
        return;
    h2o_config_dispose(&server->h2o);
    http_metrics_free(&server->metrics);
    http_router_free(server->router);
    free(server);
}

/* ---- a thread ---- */

struct http_thread *http_thread_create(struct http_server *server, struct loop *loop, size_t number,
                                       int listener, void *state, void *owner) {
    struct http_thread *thread = memory_allocate(1, sizeof(*thread));
    thread->server = server;
    thread->loop = loop;
    thread->number = number;
    thread->state = state;
    thread->owner = owner;
    thread->tokens = http_tokens_create(&server->settings.policy);
    uint8_t random[UUID_SIZE];
    uuid_v4(random);
    memcpy(&thread->id_random, random, sizeof(thread->id_random));
    h2o_context_init(&thread->h2o, loop_h2o(loop), &server->h2o);
    thread->accept.ctx = &thread->h2o;
    thread->accept.hosts = server->h2o.hosts;
    http_connections_init(thread, listener);
    return thread;
}

size_t http_thread_connections(const struct http_thread *thread) {
    return thread->connection_count;
}

size_t http_thread_requests(const struct http_thread *thread) {
    return thread->request_count;
}

void http_thread_free(struct http_thread *thread) {
    assert(thread->connection_count == 0 && thread->request_count == 0);
    http_connections_end(thread);
    h2o_multithread_queue_t *queue = thread->h2o.queue;
    h2o_context_dispose(&thread->h2o);
    free(queue); /* libh2o 2.2.5 takes it apart and forgets it */
    while (thread->spare_blocks != NULL) {
        struct http_block *block = thread->spare_blocks;
        thread->spare_blocks = block->next;
        free(block);
    }
    http_tokens_free(thread->tokens);
    free(thread);
}

/*
 * libh2o 2.2.5 keeps up to 16 buffers and 16 chunks of memory pools in each thread for the next
 * use, and has no call to free them.  Buffers are reached by their prototype; chunks by a pool that
 * takes all of them, and is then taken apart here instead of handing them back.
 */
void http_thread_release_memory(void) {
    enum { CHUNKS_KEPT = 16, QUARTER = 1000 };
    h2o_mem_recycle_t *buffers = &h2o_socket_buffer_prototype.allocator;
    while (buffers->cnt > 0)
        free(h2o_mem_alloc_recycle(buffers, 1));

    h2o_mem_pool_t pool;
    h2o_mem_init_pool(&pool);
    for (int i = 0; i < 4 * (CHUNKS_KEPT + 1); i++)
        (void)h2o_mem_alloc_pool(&pool, QUARTER);
    assert(pool.directs == NULL);
    struct http_block *chunk = (struct http_block *)(void *)pool.chunks; /* `next` comes first */
    while (chunk != NULL) {
        struct http_block *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}
