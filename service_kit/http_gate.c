/*
 * Design.  One ladder of checks in a documented order: framing, path, method, credentials, role,
 * media type, size, JSON.  The first that fails answers.  So nobody learns about a body's faults
 * without a token, and a wrong path is 404 whoever asks.
 *
 * A method that we do not know is answered like one that the path does not take: 405 with Allow.
 */
#include "service_kit/http_gate.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define JSON_NODES_MAX 256
#define CHALLENGE_SIZE 320

static bool find_route(struct http_request *request) {
    const struct http_server *server = request->thread->server;
    char *buffer = http_alloc(request, request->path.length);
    struct http_match *match = &request->match;
    size_t no_route = match->number;
    enum http_matching matching =
        http_router_find(server->router, request->method, request->path, buffer, match);
    request->head_only = match->head;
    if (matching == HTTP_MATCHED)
        return true;
    match->number = no_route;
    switch (matching) {
    case HTTP_NO_METHOD:
        http_set_header(request, "allow", match->allow);
        http_reply_kind(request, &PROBLEM_METHOD_NOT_ALLOWED, NULL);
        break;
    case HTTP_BAD_PATH:
        http_reply_kind(request, &PROBLEM_BAD_REQUEST, "The path is not percent-encoded properly.");
        break;
    case HTTP_NO_PATH:
    case HTTP_MATCHED:
        http_reply_kind(request, &PROBLEM_NOT_FOUND, NULL);
        break;
    }
    return false;
}

/* The token may be good, and its bearer not one of those whom the route, or a part of it, is for.
 */
bool http_require_role(struct http_request *request, unsigned wanted) {
    if (wanted == 0 || (request->roles & wanted) != 0)
        return true;
    const struct http_server_settings *settings = &request->thread->server->settings;
    if (settings->on_denied != NULL)
        settings->on_denied(request);
    char names[ROLES_TEXT_SIZE], challenge[CHALLENGE_SIZE];
    roles_format(wanted, ' ', names);
    (void)snprintf(challenge, sizeof(challenge),
                   "Bearer realm=\"%s\", error=\"insufficient_scope\", error_description=\"%s\","
                   " scope=\"%s\"",
                   settings->realm, PROBLEM_INSUFFICIENT_ROLE.detail, names);
    http_set_header(request, "www-authenticate", challenge);
    http_reply_kind(request, &PROBLEM_INSUFFICIENT_ROLE, NULL);
    return false;
}

static bool refuse_token(struct http_request *request, enum token_result result) {
    const char *detail = "The access token is not valid.";
    if (result == TOKEN_EXPIRED)
        detail = "The access token has expired.";
    else if (result == TOKEN_REVOKED)
        detail = "The session has ended.";
    http_reply_invalid_token(request, detail);
    return false;
}

/* A good signature does not know that its session has ended. */
static bool check_revocations(struct http_request *request, const struct token_claims *claims) {
    const struct token_revocations *revocations = request->thread->server->settings.revocations;
    if (revocations == NULL)
        return true;
    if (!token_revocations_usable(revocations, loop_clock_us())) {
        http_reply_problem(request,
                           &(struct problem){.kind = &PROBLEM_UNAVAILABLE, .retry_after_s = 1});
        return false;
    }
    return !token_revocations_refuse(revocations, claims) || refuse_token(request, TOKEN_REVOKED);
}

static bool check_token(struct http_request *request, struct http_text token) {
    struct token_claims claims;
    enum token_result result = http_tokens_verify(request->thread->tokens, token.base, token.length,
                                                  (int64_t)time(NULL), &claims);
    if (result != TOKEN_VALID)
        return refuse_token(request, result);
    if (!check_revocations(request, &claims))
        return false;
    memcpy(request->principal, claims.subject, sizeof(request->principal));
    request->roles = claims.roles;
    request->has_session = claims.has_session;
    memcpy(request->session, claims.session, sizeof(request->session));
    request->authenticated = true;
    return http_require_role(request, request->match.route->roles);
}

static bool authorize(struct http_request *request) {
    if (request->match.route->access == HTTP_PUBLIC)
        return true;
    struct http_text value = http_request_known(request, HTTP_KNOWN_AUTHORIZATION);
    struct http_text token = {NULL, 0};
    enum http_credentials credentials =
        value.base != NULL ? http_edge_bearer(value, &token) : HTTP_CREDENTIALS_NONE;
    switch (credentials) {
    case HTTP_CREDENTIALS_TOKEN:
        return check_token(request, token);
    case HTTP_CREDENTIALS_MALFORMED:
        http_set_header(request, "www-authenticate", request->thread->server->challenge_request);
        http_reply_kind(request, &PROBLEM_BAD_AUTHORIZATION, NULL);
        return false;
    case HTTP_CREDENTIALS_NONE:
        break;
    }
    http_reply_kind(request, &PROBLEM_UNAUTHORIZED, NULL);
    return false;
}

static bool read_json(struct http_request *request, h2o_iovec_t body) {
    const struct http_route *route = request->match.route;
    struct json_error error = {0};
    size_t nodes_max = route->json_nodes_max > 0 ? route->json_nodes_max : JSON_NODES_MAX;
    request->json = json_read(body.base, body.len, nodes_max, &error);
    if (request->json == NULL && error.syntax) {
        char detail[sizeof(error.place) + sizeof(error.reason) + 2];
        (void)snprintf(detail, sizeof(detail), "%s: %s", error.place, error.reason);
        http_reply_kind(request, &PROBLEM_BAD_JSON, detail);
        return false;
    }
    if (request->json == NULL) {
        http_reply_field(request, error.place, error.reason);
        return false;
    }
    if (json_root(request->json)->type != JSON_OBJECT) {
        http_reply_field(request, "body", "must be a JSON object");
        return false;
    }
    return true;
}

static bool read_body(struct http_request *request) {
    const struct http_route *route = request->match.route;
    h2o_iovec_t body = request->req->entity;
    size_t bytes_max = route->body_max_bytes > 0 ? route->body_max_bytes
                                                 : request->thread->server->settings.body_max_bytes;
    bool wants_json = route->body != HTTP_BODY_NONE;
    if (wants_json && body.len > 0 &&
        !http_edge_is_json(http_request_known(request, HTTP_KNOWN_CONTENT_TYPE))) {
        http_reply_kind(request, &PROBLEM_MEDIA_TYPE, NULL);
        return false;
    }
    if (body.len > bytes_max) {
        http_reply_kind(request, &PROBLEM_BODY_TOO_LARGE, NULL);
        return false;
    }
    if (!wants_json)
        return true;
    if (body.len > 0)
        return read_json(request, body);
    if (route->body == HTTP_BODY_JSON_OPTIONAL)
        return true;
    http_reply_field(request, "body", "a JSON object is required");
    return false;
}

void http_gate_pass(struct http_request *request) {
    enum http_fault fault = http_request_read_head(request);
    if (fault != HTTP_FAULT_NONE) {
        http_request_refuse(request, fault);
        return;
    }
    if (!find_route(request) || !authorize(request) || !read_body(request))
        return;
    request->in_handler = true;
    request->match.route->handle(request);
    request->in_handler = false;
    http_request_wait(request);
}
