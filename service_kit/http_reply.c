/*
 * Design.  Every answer goes through send_answer, which takes the request away from whoever may
 * still want to answer it; a second answer finds nothing and is dropped.  The headers that every
 * answer has are added in one place, for libh2o's own errors too.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "service_kit/http_internal.h"

#define PROBLEM_BYTES_MAX 16384
#define FIELD_NAME_MAX    64
#define CHALLENGE_SIZE    288

static const char problem_type[] = "application/problem+json";

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {409, "Conflict"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

static const char *reason_of(int status) {
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Status";
}

static void add_header(h2o_req_t *req, const char *name, const char *value) {
    h2o_add_header_by_str(&req->pool, &req->res.headers, name, strlen(name), 1, NULL, value,
                          strlen(value));
}

void http_reply_headers(struct http_request *request, h2o_req_t *req, int status,
                        const char *content_type, const char *cache_control) {
    req->res.status = status;
    req->res.reason = reason_of(status);
    req->res.headers = (h2o_headers_t){NULL, 0, 0};
    if (content_type != NULL)
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, content_type,
                       strlen(content_type));
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("x-content-type-options"), 0,
                          NULL, H2O_STRLIT("nosniff"));
    if (cache_control == NULL)
        cache_control = "no-store";
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CACHE_CONTROL, NULL, cache_control,
                   strlen(cache_control));
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("x-request-id"), 0, NULL,
                          request->request_id, strlen(request->request_id));
    for (size_t i = 0; i < request->answer_header_count; i++)
        add_header(req, request->answer_headers[i].name, request->answer_headers[i].value);
    if (request->thread->draining)
        req->http1_is_persistent = 0;
}

/* Copies `bytes` unless they outlive the process. */
static void send_answer(struct http_request *request, int status, const char *content_type,
                        const char *cache_control, const char *bytes, size_t length,
                        bool is_static) {
    static h2o_generator_t generator = {NULL, NULL};
    h2o_req_t *req = request->req;
    if (req == NULL)
        return;
    request->req = NULL;
    loop_timer_stop(request->thread->loop, &request->deadline);
    request->status = status;
    request->answer_bytes = length;
    http_reply_headers(request, req, status, length > 0 ? content_type : NULL, cache_control);
    req->res.content_length = status == 204 ? SIZE_MAX : length; /* RFC 9110, 8.6: a 204 has none */
    h2o_iovec_t body =
        is_static ? h2o_iovec_init(bytes, length) : h2o_strdup(&req->pool, bytes, length);
    if (!is_static)
        request->answer = body;
    bool has_body = length > 0 && !request->head_only;
    h2o_start_response(req, &generator);
    h2o_send(req, &body, has_body ? 1 : 0, H2O_SEND_STATE_FINAL);
}

void http_set_header(struct http_request *request, const char *name, const char *value) {
    if (request->req == NULL)
        return;
    assert(request->answer_header_count < HTTP_ANSWER_HEADERS_MAX);
    size_t name_size = strlen(name) + 1;
    size_t value_size = strlen(value) + 1;
    for (const char *at = value; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f) { /* would end the header, or the head */
            log_message(LOG_ERROR, "http_header_refused", "name", name);
            return;
        }
    }
    char *copy = http_alloc(request, name_size + value_size);
    memcpy(copy, name, name_size);
    h2o_strtolower(copy, name_size - 1);
    memcpy(copy + name_size, value, value_size);
    request->answer_headers[request->answer_header_count++] =
        (struct http_answer_header){copy, copy + name_size};
}

static bool has_header(const struct http_request *request, const char *name) {
    for (size_t i = 0; i < request->answer_header_count; i++)
        if (strcmp(request->answer_headers[i].name, name) == 0)
            return true;
    return false;
}

void http_reply(struct http_request *request, int status, struct json_writer *writer) {
    size_t length = 0;
    const char *bytes = json_writer_finish(writer, &length);
    if (bytes != NULL)
        send_answer(request, status, "application/json", NULL, bytes, length, false);
    else
        http_reply_kind(request, &PROBLEM_INTERNAL, NULL);
    json_writer_free(writer);
}

void http_reply_bytes(struct http_request *request, int status, const char *content_type,
                      const char *bytes, size_t length) {
    send_answer(request, status, content_type, NULL, bytes, length, false);
}

void http_reply_cached(struct http_request *request, const char *content_type,
                       const char *cache_control, const char *bytes, size_t length) {
    send_answer(request, 200, content_type, cache_control, bytes, length, false);
}

void http_reply_static(struct http_request *request, const char *content_type,
                       const char *cache_control, const char *bytes, size_t length) {
    send_answer(request, 200, content_type, cache_control, bytes, length, true);
}

void http_reply_problem(struct http_request *request, const struct problem *problem) {
    if (request->req == NULL)
        return;
    int status = problem->kind->status;
    if (problem->retry_after_s > 0) {
        char seconds[16];
        (void)snprintf(seconds, sizeof(seconds), "%d", problem->retry_after_s);
        http_set_header(request, "retry-after", seconds);
    }
    if (status == 401 && !has_header(request, "www-authenticate"))
        http_set_header(request, "www-authenticate", request->thread->server->challenge);

    struct json_writer *writer = json_writer_create(PROBLEM_BYTES_MAX);
    problem_write(writer, problem, request->request_id);
    size_t length = 0;
    const char *bytes = json_writer_finish(writer, &length);
    if (bytes == NULL) {
        /* A member that an extension wrote was too large: the problem alone fits always. */
        json_writer_free(writer);
        writer = json_writer_create(PROBLEM_BYTES_MAX);
        problem_write(writer, &(struct problem){.kind = problem->kind}, request->request_id);
        bytes = json_writer_finish(writer, &length);
        assert(bytes != NULL);
    }
    send_answer(request, status, problem_type, NULL, bytes, length, false);
    json_writer_free(writer);
}

void http_reply_kind(struct http_request *request, const struct problem_kind *kind,
                     const char *detail) {
    http_reply_problem(request, &(struct problem){.kind = kind, .detail = detail});
}

void http_reply_field(struct http_request *request, const char *field, const char *reason) {
    struct problem_field refused = {field, reason};
    http_reply_problem(
        request,
        &(struct problem){.kind = &PROBLEM_VALIDATION, .fields = &refused, .field_count = 1});
}

void http_reply_invalid_token(struct http_request *request, const char *detail) {
    if (request->req == NULL)
        return;
    char challenge[CHALLENGE_SIZE];
    (void)snprintf(challenge, sizeof(challenge),
                   "Bearer realm=\"%s\", error=\"invalid_token\", error_description=\"%s\"",
                   request->thread->server->settings.realm, detail);
    http_set_header(request, "www-authenticate", challenge);
    http_reply_kind(request, &PROBLEM_UNAUTHORIZED, detail);
}

void http_reply_nothing(struct http_request *request) {
    send_answer(request, 204, NULL, NULL, "", 0, true);
}

void http_request_refuse(struct http_request *request, enum http_fault fault) {
    if (fault == HTTP_FAULT_AUTHORIZATION)
        http_set_header(request, "www-authenticate", request->thread->server->challenge_request);
    if (http_fault_closes(fault)) {
        request->req->http1_is_persistent = 0;
        http_connection_linger(request->connection);
    }
    http_reply_kind(request, http_fault_kind(fault), http_fault_detail(fault));
}

bool http_only_members(struct http_request *request, const struct json_node *object,
                       const char *const *names, size_t count) {
    for (const struct json_node *member = object->first; member != NULL; member = member->next) {
        bool known = false;
        for (size_t i = 0; i < count && !known; i++)
            known = strlen(names[i]) == member->key_length &&
                    memcmp(names[i], member->key, member->key_length) == 0;
        if (known)
            continue;
        if (member->key_length > FIELD_NAME_MAX) {
            http_reply_field(request, "body", "has a member of an unknown, very long name");
        } else {
            char name[FIELD_NAME_MAX + 1];
            memcpy(name, member->key, member->key_length);
            name[member->key_length] = '\0';
            http_reply_field(request, name, "is not known here");
        }
        return false;
    }
    return true;
}
