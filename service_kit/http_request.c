/*
 * Design.  A request stands at the beginning of one block of memory, whose rest is its arena; the
 * blocks of finished requests are kept for the next ones, so a usual request allocates nothing.
 * What handlers read (the head, parameters, the body's texts) is copied there or lies in the JSON
 * document, and stays valid while the request is held, whatever becomes of the connection.
 *
 * Life: http_request_begin -> the gate's checks -> handler -> answered (http_reply.c) -> libh2o
 * disposes it (http_request_dispose: log, metrics) -> the last holder lets go -> freed.  The
 * deadline runs from the handler's return to the answer.
 */
#include "service_kit/http.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "service_kit/http_internal.h"
#include "service_kit/memory.h"
#include "service_kit/uuid.h"

#define ALIGNMENT     16
#define CHUNK_SIZE    2048
#define DEADLINE_WAIT 1 /* Retry-After of the default answer, in seconds */

/* With AddressSanitizer each allocation is one of its own, so that it sees what runs over. */
#ifdef __SANITIZE_ADDRESS__
#define POOLING 0
#else
#define POOLING 1
#endif

/* ---- memory ---- */

static size_t aligned(size_t size) {
    return (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static struct http_request *request_allocate(struct http_thread *thread) {
    size_t used = aligned(sizeof(struct http_request));
    struct http_request *request = NULL;
    if (thread->spare_blocks != NULL) {
        struct http_block *block = thread->spare_blocks;
        thread->spare_blocks = block->next;
        thread->spare_block_count--;
        request = (struct http_request *)(void *)block;
        memset(request, 0, sizeof(*request));
    } else {
        request = memory_allocate(1, POOLING ? HTTP_BLOCK_SIZE : sizeof(struct http_request));
    }
    if (POOLING) {
        request->arena = (char *)request + used;
        request->arena_end = (char *)request + HTTP_BLOCK_SIZE;
    }
    return request;
}

static void request_free(struct http_request *request) {
    struct http_thread *thread = request->thread;
    json_free(request->json);
    while (request->chunks != NULL) {
        struct http_block *chunk = request->chunks;
        request->chunks = chunk->next;
        free(chunk);
    }
    thread->request_count--;
    metrics_add(thread->server->metrics.metrics, thread->number, thread->server->metrics.in_flight,
                -1);
    if (!POOLING || thread->spare_block_count == HTTP_SPARE_BLOCKS_MAX) {
        free(request);
        return;
    }
    struct http_block *block = (struct http_block *)(void *)request;
    block->next = thread->spare_blocks;
    thread->spare_blocks = block;
    thread->spare_block_count++;
}

static void *arena_take(struct http_request *request, size_t size) {
    size = aligned(size > 0 ? size : 1);
    if ((size_t)(request->arena_end - request->arena) < size) {
        size_t room = POOLING && size < CHUNK_SIZE ? CHUNK_SIZE : size;
        struct http_block *chunk = memory_allocate(1, aligned(sizeof(*chunk)) + room);
        chunk->next = request->chunks;
        request->chunks = chunk;
        char *memory = (char *)chunk + aligned(sizeof(*chunk));
        if (room == size)
            return memory;
        request->arena = memory;
        request->arena_end = memory + room;
    }
    void *taken = request->arena;
    request->arena += size;
    return taken;
}

void *http_alloc(struct http_request *request, size_t size) {
    void *memory = arena_take(request, size);
    memset(memory, 0, size);
    return memory;
}

/* ---- life ---- */

static int64_t timeout_us(const struct http_thread *thread) {
    return thread->server->settings.request_timeout_ms * 1000;
}

static void on_deadline_passed(struct loop_timer *timer) {
    struct http_request *request = H2O_STRUCT_FROM_MEMBER(struct http_request, deadline, timer);
    assert(request->req != NULL);
    request->holders++; /* the callback may let go of what it holds */
    if (request->on_deadline != NULL)
        request->on_deadline(request->on_deadline_owner);
    if (request->req != NULL) {
        struct problem problem = {.kind = &PROBLEM_DEADLINE, .retry_after_s = DEADLINE_WAIT};
        http_reply_problem(request, &problem);
    }
    http_request_release(request);
}

struct http_request *http_request_begin(struct http_connection *connection, h2o_req_t *req) {
    struct http_thread *thread = connection->thread;
    struct http_request *request = request_allocate(thread);
    request->thread = thread;
    request->req = req;
    request->connection = connection;
    request->begun_us = loop_clock_us();
    request->deadline_us = request->begun_us + timeout_us(thread);
    request->deadline.on_fire = on_deadline_passed;
    request->match.number = thread->server->settings.route_count;
    memcpy(request->peer, http_connection_peer(connection), sizeof(request->peer));
    assert(connection->request == NULL);
    connection->request = request;
    thread->request_count++;
    metrics_add(thread->server->metrics.metrics, thread->number, thread->server->metrics.in_flight,
                1);
    return request;
}

static void answer_forgotten(struct http_request *request) {
    request->forgotten = true;
    http_reply_kind(request, &PROBLEM_INTERNAL, NULL);
}

void http_request_wait(struct http_request *request) {
    if (request->req == NULL)
        return;
    if (request->holders == 0) {
        answer_forgotten(request);
        return;
    }
    int64_t left_us = request->deadline_us - loop_clock_us();
    loop_timer_start(request->thread->loop, &request->deadline, left_us > 0 ? left_us : 0);
}

void http_request_hold(struct http_request *request) {
    request->holders++;
}

void http_request_release(struct http_request *request) {
    assert(request->holders > 0);
    request->holders--;
    if (request->holders > 0)
        return;
    if (request->req != NULL && !request->in_handler)
        answer_forgotten(request); /* nobody is left who could */
    if (request->disposed)
        request_free(request);
}

bool http_request_waiting(const struct http_request *request) {
    return request->req != NULL;
}

void http_on_deadline(struct http_request *request, void (*on_deadline)(void *owner), void *owner) {
    request->on_deadline = on_deadline;
    request->on_deadline_owner = owner;
}

int64_t http_deadline_us(const struct http_request *request) {
    return request->deadline_us;
}

static void log_request(const struct http_request *request, int64_t duration_us) {
    if (!log_enabled(LOG_INFO))
        return;
    struct log_line *line = &request->thread->line;
    log_begin(line, LOG_INFO, "request");
    log_text(line, "method", request->method.base, request->method.length);
    if (request->match.route != NULL)
        log_string(line, "route", request->match.route->pattern);
    log_text(line, "path", request->path.base, request->path.length);
    log_integer(line, "status", request->status);
    log_integer(line, "duration_us", duration_us);
    log_string(line, "request_id", request->request_id);
    if (request->trace_id.base != NULL)
        log_text(line, "trace_id", request->trace_id.base, request->trace_id.length);
    log_string(line, "peer", request->peer);
    if (request->client[0] != '\0' && strcmp(request->client, request->peer) != 0)
        log_string(line, "client", request->client);
    log_integer(line, "bytes", (int64_t)request->answer_bytes);
    if (request->authenticated) {
        char principal[UUID_TEXT_LENGTH + 1];
        uuid_format(request->principal, principal);
        log_text(line, "principal", principal, UUID_TEXT_LENGTH);
    }
    if (request->forgotten)
        log_boolean(line, "forgotten", true);
    log_end(line);
}

void http_request_dispose(struct http_request *request) {
    struct http_thread *thread = request->thread;
    loop_timer_stop(thread->loop, &request->deadline);
    int64_t duration_us = loop_clock_us() - request->begun_us;
    log_request(request, duration_us);
    http_metrics_count(&thread->server->metrics, thread->number, request->match.number,
                       request->status, duration_us);
    request->req = NULL;
    request->connection->request = NULL;
    request->connection = NULL;
    request->disposed = true;
    if (request->holders == 0)
        request_free(request);
}

/* ---- reading ---- */

static const char *generate_id(struct http_request *request) {
    static const char digits[] = "0123456789abcdef";
    struct http_thread *thread = request->thread;
    uint64_t halves[2] = {thread->id_random, thread->id_count++};
    char *id = arena_take(request, 33);
    for (size_t i = 0; i < 32; i++)
        id[i] = digits[(halves[i / 16] >> (60 - 4 * (i % 16))) & 0x0f];
    id[32] = '\0';
    return id;
}

struct http_text http_request_known(const struct http_request *request, enum http_known known) {
    if (request->known_count[known] == 0)
        return (struct http_text){NULL, 0};
    const struct http_line *line = &request->lines[request->known_line[known]];
    return (struct http_text){request->head + line->value, line->value_length};
}

static void read_ids(struct http_request *request) {
    struct http_text id = http_request_known(request, HTTP_KNOWN_REQUEST_ID);
    if (request->known_count[HTTP_KNOWN_REQUEST_ID] == 1 && http_edge_request_id_valid(id)) {
        char *copy = arena_take(request, id.length + 1);
        memcpy(copy, id.base, id.length);
        copy[id.length] = '\0';
        request->request_id = copy;
    } else {
        request->request_id = generate_id(request);
    }
    struct http_text parent = http_request_known(request, HTTP_KNOWN_TRACEPARENT);
    if (request->known_count[HTTP_KNOWN_TRACEPARENT] != 1 ||
        !http_edge_trace_id(parent, &request->trace_id))
        request->trace_id = (struct http_text){NULL, 0};
}

enum http_fault http_request_read_head(struct http_request *request) {
    const h2o_buffer_t *input = request->connection->socket->input;
    const h2o_iovec_t *body = &request->req->entity;
    size_t available = body->base != NULL ? (size_t)(body->base - input->bytes) : input->size;
    struct http_head *head = &request->thread->head;
    enum http_fault fault = http_edge_read(input->bytes, available, head);
    /* Two parsers read this head: where they disagree about its end, nobody may go on. */
    if (fault == HTTP_FAULT_NONE && body->base != NULL && head->length != available)
        fault = HTTP_FAULT_REQUEST_LINE;

    size_t length = head->length;
    if (length == 0)
        length = available < HTTP_HEAD_MAX_BYTES ? available : HTTP_HEAD_MAX_BYTES;
    char *copy = arena_take(request, length);
    memcpy(copy, input->bytes, length);
    request->head = copy;
    request->method = (struct http_text){copy + head->method, head->method_length};
    request->path = (struct http_text){copy + head->path, head->path_length};
    if (head->has_query)
        request->query = (struct http_text){copy + head->query, head->query_length};
    request->line_count = head->line_count;
    request->lines = arena_take(request, head->line_count * sizeof(struct http_line));
    memcpy(request->lines, head->lines, head->line_count * sizeof(struct http_line));
    memcpy(request->known_count, head->known_count, sizeof(request->known_count));
    memcpy(request->known_line, head->known_line, sizeof(request->known_line));
    read_ids(request);
    return fault;
}

void *http_thread_state(struct http_request *request) {
    return request->thread->state;
}

void *http_thread_owner(const struct http_request *request) {
    return request->thread->owner;
}

const struct http_route *http_route_of(const struct http_request *request) {
    return request->match.route;
}

struct http_text http_parameter(const struct http_request *request, const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < request->match.parameter_count; i++) {
        const struct http_parameter *parameter = &request->match.parameters[i];
        if (parameter->name.length == length && memcmp(parameter->name.base, name, length) == 0)
            return parameter->value;
    }
    assert(!"the route's pattern has no such parameter");
    return (struct http_text){NULL, 0};
}

bool http_query(struct http_request *request, const char *name, struct http_text *value) {
    *value = (struct http_text){NULL, 0};
    if (request->query.base == NULL)
        return true;
    char *out = arena_take(request, request->query.length + 1);
    size_t length = 0;
    switch (http_edge_query(request->query, name, out, &length)) {
    case HTTP_FOUND_NONE:
        return true;
    case HTTP_FOUND_TWICE:
        http_reply_field(request, name, "is given twice");
        return false;
    case HTTP_FOUND_BAD:
        http_reply_field(request, name, "is not percent-encoded UTF-8");
        return false;
    case HTTP_FOUND_ONE:
        break;
    }
    if (!json_utf8_valid(out, length)) {
        http_reply_field(request, name, "is not percent-encoded UTF-8");
        return false;
    }
    *value = (struct http_text){out, length};
    return true;
}

struct http_text http_header(const struct http_request *request, const char *name, size_t *count) {
    struct http_text value = {NULL, 0};
    *count = 0;
    for (size_t i = 0; i < request->line_count; i++) {
        const struct http_line *line = &request->lines[i];
        if (!http_edge_name_is(request->head, line, name))
            continue;
        if (*count == 0)
            value = (struct http_text){request->head + line->value, line->value_length};
        (*count)++;
    }
    return value;
}

const uint8_t *http_principal(const struct http_request *request) {
    assert(request->authenticated);
    return request->principal;
}

const uint8_t *http_session(const struct http_request *request) {
    return request->authenticated && request->has_session ? request->session : NULL;
}

unsigned http_roles(const struct http_request *request) {
    assert(request->authenticated);
    return request->roles;
}

const struct json_node *http_json(const struct http_request *request) {
    return request->json != NULL ? json_root(request->json) : NULL;
}

const char *http_request_id(const struct http_request *request) {
    return request->request_id;
}

const char *http_peer(const struct http_request *request) {
    return request->peer;
}

const char *http_client(struct http_request *request) {
    if (request->client[0] == '\0') {
        /* Several lines are one list to some and not to others: then only the peer is certain. */
        size_t count = 0;
        struct http_text forwarded = http_header(request, "x-forwarded-for", &count);
        proxies_client(&request->thread->server->settings.proxies, request->peer,
                       count == 1 ? forwarded.base : NULL, forwarded.length, request->client);
    }
    return request->client;
}
