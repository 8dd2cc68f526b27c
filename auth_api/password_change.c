/*
 * password_change: POST /auth/password takes the current password and a new one.
 *
 *   password_change -password_find-> on_found -attempt_begin-> on_begun -hashing-> on_verified
 *                   -attempt_undo-> on_undone -hashing-> on_made -password_change-> on_changed ->
 * answered
 *
 * A wrong current password is counted and answered like a wrong login.  The new password stands
 * only if the old one has not been changed meanwhile; all sessions but the caller's end with it.
 */
#include <string.h>

#include "auth_api/attempt.h"
#include "auth_api/auth.h"
#include "auth_api/credentials.h"
#include "auth_api/hashing.h"
#include "auth_api/session.h"
#include "service_kit/audit.h"
#include "service_kit/log.h"

static const struct problem_kind PROBLEM_INVALID_CREDENTIALS = {
    401, "invalid_credentials", "Invalid credentials", "Invalid credentials"};

struct change {
    struct hashing current, new; /* first: the hashing of the current one is its change */
    struct store_query find, write;
    struct attempt attempt;
    struct http_request *request;
};

static void end_change(struct change *change) {
    hashing_wipe(&change->current);
    hashing_wipe(&change->new);
    http_request_release(change->request);
}

static void on_changed(struct store_query *query, enum store_end end, const PGresult *rows) {
    struct change *change =
        (struct change *)(void *)((char *)query - offsetof(struct change, write));
    if (end != STORE_DONE) {
        store_refuse(change->request, end);
    } else if (PQgetvalue(rows, 0, 0)[0] != 't') { /* somebody else was quicker */
        http_reply_kind(change->request, &PROBLEM_INVALID_CREDENTIALS, NULL);
    } else {
        http_reply_nothing(change->request);
    }
    end_change(change);
}

static void on_deadline(void *owner) {
    store_refuse(owner, STORE_UNKNOWN);
}

static void on_made(struct hashing *hashing) {
    struct change *change =
        (struct change *)(void *)((char *)hashing - offsetof(struct change, new));
    struct http_request *request = change->request;
    if (!http_request_waiting(request)) { /* it was told that nothing happened */
        end_change(change);
        return;
    }
    if (!hashing->job.processed || !hashing->good) {
        if (hashing->job.processed) {
            log_message(LOG_ERROR, "hash_failed", "request_id", http_request_id(request));
        }
        auth_reply_later(request, &PROBLEM_DEADLINE);
        end_change(change);
        return;
    }
    change->write.on_end = on_changed;
    change->write.statement = "password_change";
    change->write.writes = true;
    struct store_params params = {.count = 0};
    session_add_caller(&params, request);
    store_add_text(&params, change->attempt.password_hash);
    store_add_text(&params, hashing->made);
    store_add_text(&params, audit_origin(request));
    if (!store_query(http_thread_state(request), &change->write, &params)) {
        auth_reply_busy(request);
        end_change(change);
        return;
    }
    http_on_deadline(request, on_deadline, request);
}

/* The trail is written before the answer is given. */
static void on_refused(struct store_query *query, enum store_end end, const PGresult *rows) {
    struct change *change =
        (struct change *)(void *)((char *)query - offsetof(struct change, write));
    (void)rows;
    if (end == STORE_DONE) {
        http_reply_kind(change->request, &PROBLEM_INVALID_CREDENTIALS, NULL);
    } else {
        store_refuse(change->request, end);
    }
    end_change(change);
}

static void refuse(struct change *change) {
    struct http_request *request = change->request;
    change->write.on_end = on_refused;
    change->write.statement = "password_refuse";
    struct store_params params = {.count = 0};
    store_add_bytes(&params, http_principal(request), UUID_SIZE);
    store_add_text(&params, audit_origin(request));
    if (!store_query(http_thread_state(request), &change->write, &params)) {
        auth_reply_busy(request);
        end_change(change);
    }
}

static void on_undone(struct attempt *attempt) {
    struct change *change =
        (struct change *)(void *)((char *)attempt - offsetof(struct change, attempt));
    if (!hashing_start(&change->new)) {
        end_change(change);
    }
}

static void on_verified(struct hashing *hashing) {
    struct change *change = (struct change *)hashing;
    if (!hashing->job.processed) {
        auth_reply_later(change->request, &PROBLEM_DEADLINE);
        end_change(change);
    } else if (!hashing->good) {
        refuse(change);
    } else {
        attempt_undo(&change->attempt); /* it was no guess */
    }
}

static void on_begun(struct attempt *attempt, bool go) {
    struct change *change =
        (struct change *)(void *)((char *)attempt - offsetof(struct change, attempt));
    change->current.stored = attempt->password_hash;
    if (!go || !hashing_start(&change->current)) {
        end_change(change);
    }
}

/* The new password must not be made of the caller's name, either. */
static bool is_good_for(struct change *change) {
    const struct auth_thread *thread = http_thread_state(change->request);
    const char *reason = credentials_password_refusal(
        thread->auth, change->attempt.username, change->new.password, change->new.password_length);
    if (reason != NULL) {
        http_reply_field(change->request, "new_password", reason);
    }
    return reason == NULL;
}

static void on_found(struct store_query *query, enum store_end end, const PGresult *rows) {
    struct change *change =
        (struct change *)(void *)((char *)query - offsetof(struct change, find));
    if (end != STORE_DONE) {
        store_refuse(change->request, end);
        end_change(change);
        return;
    }
    if (!session_caller_good(change->request, rows)) {
        end_change(change);
        return;
    }
    size_t length = (size_t)PQgetlength(rows, 0, 1);
    if (length < sizeof change->attempt.username) {
        memcpy(change->attempt.username, PQgetvalue(rows, 0, 1), length);
    }
    if (!is_good_for(change) || !attempt_begin(&change->attempt)) {
        end_change(change);
    }
}

/* The member, when it is a string that the rule of passwords lets pass; else 422 was answered. */
static bool read_password(struct http_request *request, const char *name,
                          const char *(*refusal)(const char *text, size_t length),
                          struct hashing *hashing) {
    const struct json_node *node = json_member(http_json(request), name);
    const char *reason = "is required";
    if (node != NULL) {
        reason = node->type == JSON_STRING ? refusal(node->text, node->length) : "must be a string";
    }
    if (reason != NULL) {
        http_reply_field(request, name, reason);
        return false;
    }
    memcpy(hashing->password, node->text, node->length);
    hashing->password[node->length] = '\0';
    hashing->password_length = node->length;
    hashing->request = request;
    return true;
}

void password_change(struct http_request *request) {
    struct change *change = http_alloc(request, sizeof *change);
    change->request = request;
    if (!read_password(request, "current_password", password_impossible, &change->current) ||
        !read_password(request, "new_password", password_refusal, &change->new)) {
        hashing_wipe(&change->current);
        return;
    }
    change->current.on_end = on_verified;
    change->attempt.request = request;
    change->attempt.on_begun = on_begun;
    change->attempt.on_undone = on_undone;
    change->new.on_end = on_made;
    change->new.make = true;
    change->find.on_end = on_found;
    change->find.statement = "password_find";
    struct store_params params = {.count = 0};
    session_add_caller(&params, request);
    http_request_hold(request);
    if (!store_query(http_thread_state(request), &change->find, &params)) {
        auth_reply_busy(request);
        end_change(change);
    }
}
