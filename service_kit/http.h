/*
 * http: the HTTP server behind our own types.  libh2o stays in http_server.c.
 *
 * The edge (framing, sizes, media type, JSON, token) is checked for every request before a handler
 * sees it.  A handler answers now, or keeps the request (http_request_hold), answers later from
 * the same thread, and releases it.  Answering is safe at any time: when the deadline has answered
 * already, or the client is gone, a late answer is dropped.
 */
#ifndef PACIOLI_SERVICE_KIT_HTTP_H
#define PACIOLI_SERVICE_KIT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service_kit/json.h"
#include "service_kit/problem.h"
#include "service_kit/role.h"

struct http_request;

enum http_method { HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE, HTTP_METHOD_COUNT };
const char *http_method_name(enum http_method method);

enum http_access {
    HTTP_PUBLIC, /* anyone */
    HTTP_BEARER, /* a valid access token; http_principal tells whose */
};

enum http_body {
    HTTP_BODY_NONE,          /* a body is ignored, as long as it is within the limit */
    HTTP_BODY_JSON,          /* a JSON object is required */
    HTTP_BODY_JSON_OPTIONAL, /* nothing, or a JSON object */
};

#define HTTP_PARAMETERS_MAX 4

struct http_route {
    enum http_method method;
    const char *pattern; /* "/wallet/accounts/{id}/transactions" */
    enum http_access access;
    unsigned roles; /* HTTP_BEARER: the token must have one of these; 0: any token will do */
    enum http_body body;
    size_t body_max_bytes; /* 0: the server's default */
    size_t json_nodes_max; /* 0: 256 */
    void (*handle)(struct http_request *request);
};

/* A span of the request, valid as long as the request is held. NULL base: absent. */
struct http_text {
    const char *base;
    size_t length;
};

/* ---- reading ---- */
void *
http_thread_state(struct http_request *request); /* what the service's thread_start returned */
const struct http_route *http_route_of(const struct http_request *request);
/* A path parameter of the route's pattern, percent-decoded; never empty, may hold any byte but NUL.
 */
struct http_text http_parameter(const struct http_request *request, const char *name);
/*
 * A query parameter, decoded.  Unknown parameters are ignored; one that is given twice is answered
 * with 422 by this call, which then returns false (the handler returns at once).
 */
__attribute__((warn_unused_result)) bool http_query(struct http_request *request, const char *name,
                                                    struct http_text *value);
/* The only header of that (lower-case) name; *count tells how many there were. */
struct http_text http_header(const struct http_request *request, const char *name, size_t *count);
const uint8_t *http_principal(const struct http_request *request); /* 16 bytes, HTTP_BEARER only */
unsigned http_roles(const struct http_request *request);           /* HTTP_ROLE_... of the token */
/* The session that the token belongs to: 16 bytes, or NULL (a token of an older issuer). */
const uint8_t *http_session(const struct http_request *request);
/* Has the token one of these roles?  0: none is needed.  Else it answers 403, as a route's own
 * roles do. */
__attribute__((warn_unused_result)) bool http_require_role(struct http_request *request,
                                                           unsigned wanted);
const struct json_node *http_json(const struct http_request *request); /* an object, or NULL */
const char *http_request_id(const struct http_request *request);
/* Numeric address of the peer. */
const char *http_peer(const struct http_request *request);
/* Numeric address of the client: the peer, or whom TRUSTED_PROXIES speak for. */
const char *http_client(struct http_request *request);
/* Memory that lives as long as the request. Never NULL. Zeroed. */
void *http_alloc(struct http_request *request, size_t size);

/* ---- lifetime ---- */
void http_request_hold(struct http_request *request);
void http_request_release(struct http_request *request);
/* False once it was answered (by the deadline, for example) or the client is gone. */
bool http_request_waiting(const struct http_request *request);
/* What answers when the deadline passes, instead of 503 `deadline`.  It must answer. */
void http_on_deadline(struct http_request *request, void (*on_deadline)(void *owner), void *owner);
int64_t http_deadline_us(const struct http_request *request); /* on loop_clock_us */

/* ---- answering ---- */
/* Response headers of the handler's own, before the reply; the texts are copied. */
void http_set_header(struct http_request *request, const char *name, const char *value);
/* Takes the writer and frees it. A writer that failed becomes a 500. */
void http_reply(struct http_request *request, int status, struct json_writer *writer);
/* Bytes of another type; copied. */
void http_reply_bytes(struct http_request *request, int status, const char *content_type,
                      const char *bytes, size_t length);
/* As http_reply_bytes, for what caches may keep. */
void http_reply_cached(struct http_request *request, const char *content_type,
                       const char *cache_control, const char *bytes, size_t length);
void http_reply_problem(struct http_request *request, const struct problem *problem);
/* Shorthands. */
void http_reply_kind(struct http_request *request, const struct problem_kind *kind,
                     const char *detail);
void http_reply_field(struct http_request *request, const char *field, const char *reason);
/* 401 for a token that is good no more: error="invalid_token". */
void http_reply_invalid_token(struct http_request *request, const char *detail);
/* 204. */
void http_reply_nothing(struct http_request *request);

/* ---- reading JSON with refusal: each answers 422 and returns false when the field is wrong ----
 */
/* Refuses members that are not in `names`. */
__attribute__((warn_unused_result)) bool http_only_members(struct http_request *request,
                                                           const struct json_node *object,
                                                           const char *const *names, size_t count);

#endif
