/*
 * admin: GET /users/, GET /users/{id}, PUT /users/{id}/roles, POST /users/{id}/disable, enable and
 * unlock.
 *
 *   a change -user_change-> on_changed -admin_user-> on_shown -> answered
 *   unlock   -admin_user-> on_named -user_unlock-> on_changed …
 *
 * A change ends the sessions and tokens of whom it is about, by a trigger of the database.
 */
#include "auth_api/admin.h"

#include <stdio.h>
#include <string.h>

#include "auth_api/attempt.h"
#include "auth_api/auth.h"
#include "auth_api/session.h"
#include "service_kit/audit.h"

#define LIST_BYTES_MAX 262144
#define USER_BYTES_MAX 1024
#define SEARCH_MAX     STORE_USERNAME_MAX
#define LIMIT_DEFAULT  50
#define LIMIT_MAX      200

static const struct problem_kind PROBLEM_NO_USER = {404, "user_not_found", "User not found",
                                                    "User not found"};
static const struct problem_kind PROBLEM_LAST_ADMIN = {
    409, "last_admin", "Last administrator",
    "Nobody could administrate users any more; nothing was changed."};
static const struct problem_kind PROBLEM_NAME_TAKEN = {
    409, "name_taken", "Name taken", "A service account with this name already exists."};

struct call {
    struct store_query query; /* first: a query is its call */
    struct http_request *request;
    uint8_t id[UUID_SIZE];
    int64_t limit;
};

static void end_call(struct call *call) {
    http_request_release(call->request);
}

static struct call *begin_call(struct http_request *request) {
    struct call *call = http_alloc(request, sizeof *call);
    call->request = request;
    return call;
}

static void send_call(struct call *call, const char *statement, bool writes,
                      void (*on_end)(struct store_query *, enum store_end, const PGresult *),
                      const struct store_params *params) {
    call->query = (struct store_query){.on_end = on_end, .statement = statement, .writes = writes};
    if (!store_query(http_thread_state(call->request), &call->query, params)) {
        auth_reply_busy(call->request);
        end_call(call);
    }
}

/* ---- shared with service accounts ---- */

bool admin_read_roles(struct http_request *request, unsigned allowed, unsigned *roles) {
    const struct json_node *node = json_member(http_json(request), "roles");
    *roles = 0;
    if (node == NULL || node->type != JSON_ARRAY) {
        http_reply_field(request, "roles", node == NULL ? "is required" : "must be a list");
        return false;
    }
    for (const struct json_node *one = node->first; one != NULL; one = one->next) {
        unsigned role = one->type == JSON_STRING ? role_parse(one->text, one->length) : 0;
        if ((role & allowed) == 0) {
            char names[ROLES_TEXT_SIZE], reason[ROLES_TEXT_SIZE + 32];
            roles_format(allowed, ' ', names);
            snprintf(reason, sizeof reason, "may hold only: %s", names);
            http_reply_field(request, "roles", reason);
            return false;
        }
        *roles |= role;
    }
    return true;
}

void admin_write_account(struct json_writer *writer, const char *name_member, const PGresult *rows,
                         int row) {
    unsigned roles = 0;
    json_write_member(writer, "id", PQgetvalue(rows, row, 1));
    json_write_member(writer, name_member, PQgetvalue(rows, row, 2));
    json_write_key(writer, "roles");
    json_write_array_begin(writer);
    (void)!roles_parse(PQgetvalue(rows, row, 3), (size_t)PQgetlength(rows, row, 3), ' ', &roles);
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if ((roles & 1U << i) != 0) {
            json_write_string(writer, role_name(i));
        }
    }
    json_write_array_end(writer);
    json_write_member(writer, "created_at", PQgetvalue(rows, row, 4));
    json_write_member(writer, "disabled_at",
                      PQgetisnull(rows, row, 5) ? NULL : PQgetvalue(rows, row, 5));
}

bool admin_done(struct http_request *request, const char *outcome) {
    if (strcmp(outcome, "done") == 0) {
        return true;
    }
    if (strcmp(outcome, "missing") == 0) {
        http_reply_kind(request, &PROBLEM_NO_USER, NULL);
    } else if (strcmp(outcome, "last_admin") == 0) {
        http_reply_kind(request, &PROBLEM_LAST_ADMIN, NULL);
    } else if (strcmp(outcome, "taken") == 0) {
        http_reply_kind(request, &PROBLEM_NAME_TAKEN, NULL);
    } else {
        http_reply_invalid_token(request, "The caller is no administrator any more.");
    }
    return false;
}

/* ---- looking ---- */

static void on_shown(struct store_query *query, enum store_end end, const PGresult *rows) {
    struct call *call = (struct call *)query;
    struct http_request *request = call->request;
    if (end != STORE_DONE) {
        store_refuse(request, end);
    } else if (!session_caller_good(request, rows)) {
        /* answered */
    } else if (PQgetisnull(rows, 0, 1)) {
        http_reply_kind(request, &PROBLEM_NO_USER, NULL);
    } else {
        struct json_writer *writer = json_writer_create(USER_BYTES_MAX);
        json_write_object_begin(writer);
        admin_write_account(writer, "username", rows, 0);
        json_write_object_end(writer);
        http_reply(request, 200, writer);
    }
    end_call(call);
}

static void show(struct call *call,
                 void (*on_end)(struct store_query *, enum store_end, const PGresult *)) {
    struct store_params params = {.count = 0};
    session_add_caller(&params, call->request);
    store_add_bytes(&params, call->id, UUID_SIZE);
    send_call(call, "admin_user", false, on_end, &params);
}

/* The user that the path names; what is no id is nobody's. */
static struct call *begin_user_call(struct http_request *request) {
    struct http_text text = http_parameter(request, "id");
    struct call *call = begin_call(request);
    if (!uuid_parse(text.base, text.length, call->id)) {
        http_reply_kind(request, &PROBLEM_NO_USER, NULL);
        return NULL;
    }
    http_request_hold(request);
    return call;
}

void admin_user_show(struct http_request *request) {
    struct call *call = begin_user_call(request);
    if (call != NULL) {
        show(call, on_shown);
    }
}

static void on_listed(struct store_query *query, enum store_end end, const PGresult *rows) {
    struct call *call = (struct call *)query;
    if (end != STORE_DONE) {
        store_refuse(call->request, end);
    } else if (session_caller_good(call->request, rows)) {
        int count = PQgetisnull(rows, 0, 1) ? 0 : PQntuples(rows);
        struct json_writer *writer = json_writer_create(LIST_BYTES_MAX);
        json_write_array_begin(writer);
        for (int row = 0; row < count; row++) {
            json_write_object_begin(writer);
            admin_write_account(writer, "username", rows, row);
            json_write_object_end(writer);
        }
        json_write_array_end(writer);
        if (count == call->limit) {
            http_set_header(call->request, "X-Next-Cursor", PQgetvalue(rows, count - 1, 1));
        }
        http_reply(call->request, 200, writer);
    }
    end_call(call);
}

static bool read_limit(struct http_request *request, int64_t *limit) {
    struct http_text text;
    *limit = LIMIT_DEFAULT;
    if (!http_query(request, "limit", &text)) {
        return false;
    }
    if (text.base == NULL) {
        return true;
    }
    *limit = 0;
    for (size_t i = 0; i < text.length && *limit <= LIMIT_MAX; i++) {
        bool digit = text.base[i] >= '0' && text.base[i] <= '9';
        *limit = digit ? *limit * 10 + (text.base[i] - '0') : LIMIT_MAX + 1;
    }
    if (*limit < 1 || *limit > LIMIT_MAX) {
        http_reply_field(request, "limit", "must be a whole number, 1 to 200");
        return false;
    }
    return true;
}

void admin_users_list(struct http_request *request) {
    struct call *call = begin_call(request);
    struct http_text search, cursor;
    if (!read_limit(request, &call->limit) || !http_query(request, "search", &search) ||
        !http_query(request, "cursor", &cursor)) {
        return;
    }
    char text[SEARCH_MAX + 1] = "";
    if (search.base != NULL) {
        if (search.length > SEARCH_MAX || memchr(search.base, '\0', search.length) != NULL ||
            !json_utf8_valid(search.base, search.length)) {
            http_reply_field(request, "search", "must be a part of a username");
            return;
        }
        memcpy(text, search.base, search.length);
    }
    if (cursor.base != NULL && !uuid_parse(cursor.base, cursor.length, call->id)) {
        http_reply_field(request, "cursor", "must be a cursor of this call");
        return;
    }
    struct store_params params = {.count = 0};
    session_add_caller(&params, request);
    store_add_text(&params, search.base == NULL ? NULL : text);
    store_add_bytes(&params, cursor.base == NULL ? NULL : call->id, UUID_SIZE);
    store_add_integer(&params, call->limit);
    http_request_hold(request);
    send_call(call, "admin_users", false, on_listed, &params);
}

/* ---- changing ---- */

static void on_changed(struct store_query *query, enum store_end end, const PGresult *rows) {
    struct call *call = (struct call *)query;
    if (end != STORE_DONE) {
        store_refuse(call->request, end);
        end_call(call);
    } else if (admin_done(call->request, PQgetvalue(rows, 0, 0))) {
        show(call, on_shown);
    } else {
        end_call(call);
    }
}

static void change(struct call *call, const char *roles, const char *enabled) {
    struct store_params params = {.count = 0};
    session_add_caller(&params, call->request);
    store_add_text(&params, audit_origin(call->request));
    store_add_bytes(&params, call->id, UUID_SIZE);
    store_add_text(&params, roles);
    store_add_text(&params, enabled);
    send_call(call, "user_change", true, on_changed, &params);
}

void admin_user_set_roles(struct http_request *request) {
    static const char *const members[] = {"roles"};
    unsigned roles = 0;
    if (!http_only_members(request, http_json(request), members, 1) ||
        !admin_read_roles(request,
                          HTTP_ROLE_USER | HTTP_ROLE_OPERATOR | HTTP_ROLE_AUDITOR | HTTP_ROLE_ADMIN,
                          &roles)) {
        return;
    }
    struct call *call = begin_user_call(request);
    if (call != NULL) {
        char text[ROLES_TEXT_SIZE];
        roles_format(roles, ' ', text);
        change(call, text, NULL);
    }
}

void admin_user_disable(struct http_request *request) {
    struct call *call = begin_user_call(request);
    if (call != NULL) {
        change(call, NULL, "f");
    }
}

void admin_user_enable(struct http_request *request) {
    struct call *call = begin_user_call(request);
    if (call != NULL) {
        change(call, NULL, "t");
    }
}

static void on_named(struct store_query *query, enum store_end end, const PGresult *rows) {
    struct call *call = (struct call *)query;
    const struct auth_thread *thread = http_thread_state(call->request);
    if (end != STORE_DONE || PQntuples(rows) == 0 || PQgetisnull(rows, 0, 1)) {
        on_shown(query, end, rows); /* answers what is wrong */
        return;
    }
    uint8_t key[ATTEMPT_KEY_SIZE];
    attempt_name_key(thread->auth, PQgetvalue(rows, 0, 2), key);
    struct store_params params = {.count = 0};
    session_add_caller(&params, call->request);
    store_add_text(&params, audit_origin(call->request));
    store_add_bytes(&params, call->id, UUID_SIZE);
    store_add_bytes(&params, key, sizeof key);
    send_call(call, "user_unlock", true, on_changed, &params);
}

void admin_user_unlock(struct http_request *request) {
    struct call *call = begin_user_call(request);
    if (call != NULL) {
        show(call, on_named);
    }
}
