/*
 * sessions: what a user sees of his sessions, and how he ends them; and what he sees of himself.
 *
 * Each call is one statement, which also asks whether the caller's own session is still open: the
 * signature of an access token does not know that.
 */
#include <string.h>

#include "auth_api/auth.h"
#include "auth_api/session.h"
#include "service_kit/audit.h"

#define LIST_BYTES_MAX 1048576
#define USER_BYTES_MAX 1024

struct call {
    struct store_query query; /* first: a query is its call */
    struct http_request *request;
    void (*reply)(struct http_request *request, const PGresult *rows);
};

static void on_end(struct store_query *query, enum store_end end, const PGresult *rows) {
    struct call *call = (struct call *)query;
    if (end != STORE_DONE) {
        store_refuse(call->request, end);
    } else if (session_caller_good(call->request, rows)) {
        call->reply(call->request, rows);
    }
    http_request_release(call->request);
}

/* A call that writes has where it came from as third parameter, and one about an `id` that. */
static void run(struct http_request *request, const char *statement, bool writes, const uint8_t *id,
                void (*reply)(struct http_request *request, const PGresult *rows)) {
    struct call *call = http_alloc(request, sizeof *call);
    call->request = request;
    call->reply = reply;
    call->query.on_end = on_end;
    call->query.statement = statement;
    call->query.writes = writes;
    struct store_params params = {.count = 0};
    session_add_caller(&params, request);
    if (writes) {
        store_add_text(&params, audit_origin(request));
    }
    if (id != NULL) {
        store_add_bytes(&params, id, UUID_SIZE);
    }
    http_request_hold(request);
    if (!store_query(http_thread_state(request), &call->query, &params)) {
        auth_reply_busy(request);
        http_request_release(request);
    }
}

/* ---- GET /auth/sessions ---- */

static void write_session(struct json_writer *writer, const PGresult *rows, int row) {
    static const char *const names[] = {"id",         "created_at", "last_used_at",
                                        "expires_at", "address",    "agent"};
    json_write_object_begin(writer);
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++) {
        json_write_member(writer, names[i], PQgetvalue(rows, row, i + 1));
    }
    json_write_key(writer, "current");
    json_write_boolean(writer, PQgetvalue(rows, row, 7)[0] == 't');
    json_write_object_end(writer);
}

static void reply_list(struct http_request *request, const PGresult *rows) {
    struct json_writer *writer = json_writer_create(LIST_BYTES_MAX);
    json_write_array_begin(writer);
    for (int row = 0; row < PQntuples(rows) && !PQgetisnull(rows, row, 1); row++) {
        write_session(writer, rows, row);
    }
    json_write_array_end(writer);
    http_reply(request, 200, writer);
}

void sessions_list(struct http_request *request) {
    run(request, "session_list", false, NULL, reply_list);
}

/* ---- DELETE /auth/sessions/{id}, POST /auth/logout ---- */

static const struct problem_kind PROBLEM_NO_SESSION = {404, "session_not_found",
                                                       "Session not found", "Session not found"};

/* Somebody else's, one that is over, and one that never was: all the same. */
static void reply_ended(struct http_request *request, const PGresult *rows) {
    if (PQgetvalue(rows, 0, 1)[0] == 't') {
        http_reply_nothing(request);
    } else {
        http_reply_kind(request, &PROBLEM_NO_SESSION, NULL);
    }
}

void sessions_end(struct http_request *request) {
    struct http_text text = http_parameter(request, "id");
    uint8_t id[UUID_SIZE];
    if (uuid_parse(text.base, text.length, id)) {
        run(request, "session_end", true, id, reply_ended);
    } else {
        http_reply_kind(request, &PROBLEM_NO_SESSION, NULL);
    }
}

static void reply_logged_out(struct http_request *request, const PGresult *rows) {
    (void)rows;
    http_reply_nothing(request);
}

void session_logout(struct http_request *request) {
    run(request, "session_logout", true, NULL, reply_logged_out);
}

/* ---- GET /users/me ---- */

static void write_roles(struct json_writer *writer, const char *text) {
    unsigned roles = 0;
    json_write_key(writer, "roles");
    json_write_array_begin(writer);
    if (roles_parse(text, strlen(text), ' ', &roles)) {
        for (size_t i = 0; i < ROLE_COUNT; i++) {
            if ((roles & 1U << i) != 0) {
                json_write_string(writer, role_name(i));
            }
        }
    }
    json_write_array_end(writer);
}

static void reply_me(struct http_request *request, const PGresult *rows) {
    struct json_writer *writer = json_writer_create(USER_BYTES_MAX);
    json_write_object_begin(writer);
    json_write_member(writer, "id", PQgetvalue(rows, 0, 1));
    json_write_member(writer, "username", PQgetvalue(rows, 0, 2));
    write_roles(writer, PQgetvalue(rows, 0, 3));
    json_write_member(writer, "created_at", PQgetvalue(rows, 0, 4));
    json_write_object_end(writer);
    http_reply(request, 200, writer);
}

void users_me(struct http_request *request) {
    run(request, "user_me", false, NULL, reply_me);
}
