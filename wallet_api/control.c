/*
 * control: what operators do: accounts are frozen, opened again and closed, transactions are
 * reversed, periods closed.  Every call has a reason, and is in the audit trail with its outcome,
 * refused or not; one that is repeated changes nothing, so that after outcome_unknown the same
 * request tells.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/moment.h"
#include "service_kit/audit.h"
#include "service_kit/log.h"
#include "service_kit/memory.h"
#include "wallet_api/handlers.h"
#include "wallet_api/operation.h"
#include "wallet_api/problems.h"
#include "wallet_api/wallet.h"

#define REASON_MAX  256
#define JSON_ROOM   64 /* of a writer, beyond what it is to hold */
#define LEDGER_SIZE 12 /* a number of 32 bits */

struct operator_call {
    struct control_call call;
    struct http_request *request;
    struct wallet_thread *thread;
    struct control_actor actor;
    bool replays; /* the key stands in the header: a repetition gets the first answer */
    char key[POSTING_KEY_MAX + 1];
    char to[MOMENT_TEXT_SIZE];
};

/* ---- reading ---- */

/* The member `reason` of the body. */
static bool read_reason(struct operator_call *operation) {
    struct http_request *request = operation->request;
    const struct json_node *node = json_member(http_json(request), "reason");
    if (node == NULL || node->type != JSON_STRING || node->length < 1 ||
        node->length > REASON_MAX || memchr(node->text, '\0', node->length) != NULL) {
        http_reply_field(request, "reason", "is required: text of 1 to 256 bytes");
        return false;
    }
    char *reason = http_alloc(request, node->length + 1);
    memcpy(reason, node->text, node->length);
    operation->actor.reason = reason;
    return true;
}

/* The idempotency key, in the header or in the body. */
static bool read_key(struct operator_call *operation) {
    struct http_request *request = operation->request;
    size_t header_count = 0;
    struct http_text header = http_header(request, "idempotency-key", &header_count);
    const struct json_node *node = json_member(http_json(request), "idempotency_key");
    const char *key = NULL;
    size_t length = 0;
    if (header_count > 1) {
        http_reply_kind(request, &PROBLEM_BAD_REQUEST, "More than one Idempotency-Key header");
        return false;
    }
    if (node != NULL) {
        if (node->type != JSON_STRING || !operation_key_valid(node->text, node->length)) {
            http_reply_field(request, "idempotency_key", OPERATION_KEY_RULE);
            return false;
        }
        key = node->text;
        length = node->length;
    }
    if (header_count == 1) {
        const char *in_body = key;
        size_t in_body_length = length;
        if (!operation_header_key(header.base, header.length, &key, &length)) {
            http_reply_field(request, "Idempotency-Key", OPERATION_KEY_RULE);
            return false;
        }
        if (in_body != NULL && (in_body_length != length || memcmp(in_body, key, length) != 0)) {
            http_reply_field(request, "Idempotency-Key",
                             "differs from idempotency_key in the body");
            return false;
        }
        operation->replays = true;
    }
    if (key == NULL) {
        http_reply_field(request, "idempotency_key",
                         "is required, here or in an Idempotency-Key header");
        return false;
    }
    memcpy(operation->key, key, length);
    return true;
}

/* ---- answering ---- */

static void on_result(struct control_call *call, const struct control_result *result) {
    struct operator_call *operation = call->owner;
    struct http_request *request = operation->request;
    operation->thread->controls--;
    if (handler_control_ok(request, result, operation->replays)) {
        struct json_writer *writer = json_writer_create(result->json_length + JSON_ROOM);
        json_write_raw(writer, result->json, result->json_length);
        http_reply(request, 200, writer);
    }
    http_request_release(request);
}

static void on_deadline(void *owner) {
    handler_reply_unknown(owner, NULL);
}

static struct operator_call *create(struct http_request *request) {
    struct operator_call *operation = http_alloc(request, sizeof *operation);
    operation->request = request;
    operation->thread = http_thread_state(request);
    operation->call.owner = operation;
    operation->call.on_result = on_result;
    operation->call.deadline_us = http_deadline_us(request);
    operation->actor.principal = handler_principal(request);
    operation->actor.origin = audit_origin(request);
    return operation;
}

/* After the call was sent, or not; the request is held. */
static void sent(struct operator_call *operation, bool accepted) {
    struct http_request *request = operation->request;
    if (accepted) {
        operation->thread->controls++;
        return;
    }
    handler_reply_busy(request, db_pool_ready(operation->thread->reader.pool));
    http_request_release(request);
}

static void hold(struct operator_call *operation) {
    http_request_hold(operation->request);
    http_on_deadline(operation->request, on_deadline, operation->request);
}

/* ---- POST /wallet/accounts/{id}/freeze, unfreeze, close ---- */

static void set_status(struct http_request *request, const char *status) {
    static const char *const names[] = {"reason"};
    struct operator_call *operation = create(request);
    struct ledger_uuid id;
    if (!handler_path_id(request, "id", &id) ||
        !http_only_members(request, http_json(request), names, 1) || !read_reason(operation)) {
        return;
    }
    hold(operation);
    sent(operation, control_set_status(&operation->thread->reader, &operation->call,
                                       &operation->actor, &id, status));
}

void control_freeze(struct http_request *request) {
    set_status(request, "frozen");
}

void control_unfreeze(struct http_request *request) {
    set_status(request, "open");
}

void control_close(struct http_request *request) {
    set_status(request, "closed");
}

/* ---- POST /wallet/transactions/{id}/reverse ---- */

void control_reverse_transaction(struct http_request *request) {
    static const char *const names[] = {"reason", "idempotency_key"};
    struct operator_call *operation = create(request);
    struct ledger_uuid original, id;
    if (!handler_path_id(request, "id", &original) ||
        !http_only_members(request, http_json(request), names, 2) || !read_reason(operation) ||
        !read_key(operation)) {
        return;
    }
    uuid_v7(&operation->thread->uuids, id.bytes);
    hold(operation);
    sent(operation, control_reverse(&operation->thread->reader, &operation->call, &operation->actor,
                                    operation->key, &id, &original));
}

/* ---- GET /reports/periods, POST /reports/periods/close ---- */

void control_periods_list(struct http_request *request) {
    struct operator_call *operation = create(request);
    http_request_hold(request);
    sent(operation, control_periods(&operation->thread->reader, &operation->call));
}

/* The period is closed; its report, which can take longer, is a statement of its own, so that
 * postings need not wait for it.  Without an answer to that one the same request makes it. */
static void on_closed(struct control_call *call, const struct control_result *result) {
    struct operator_call *operation = call->owner;
    struct http_request *request = operation->request;
    operation->thread->controls--;
    if (!handler_control_ok(request, result, false)) {
        http_request_release(request);
        return;
    }
    call->on_result = on_result;
    sent(operation, control_report_period(&operation->thread->reader, call, operation->to));
}

/* The member `to`: a day, which is included, or a time. */
static bool read_to(struct operator_call *operation) {
    const struct json_node *node = json_member(http_json(operation->request), "to");
    if (node == NULL || node->type != JSON_STRING ||
        !moment_parse(node->text, node->length, MOMENT_END, operation->to)) {
        http_reply_field(operation->request, "to",
                         "is required: a day (2026-10-31) or a time (2026-11-01T00:00:00Z)");
        return false;
    }
    return true;
}

void control_periods_close(struct http_request *request) {
    static const char *const names[] = {"to", "reason"};
    struct operator_call *operation = create(request);
    if (!http_only_members(request, http_json(request), names, 2) || !read_to(operation) ||
        !read_reason(operation)) {
        return;
    }
    operation->call.on_result = on_closed;
    hold(operation);
    sent(operation, control_close_period(&operation->thread->reader, &operation->call,
                                         &operation->actor, operation->to));
}

/* ---- GET /audit: of the ledger that this service serves, whatever else the database has ---- */

void control_audit(struct http_request *request) {
    struct wallet_thread *thread = http_thread_state(request);
    char ledger[LEDGER_SIZE];
    snprintf(ledger, sizeof ledger, "%" PRId32, thread->reader.ledger_id);
    audit_list(request, thread->reader.pool, &thread->controls, ledger);
}

/* ---- refused authorisations ---- */

/* The line is no part of the answer, which does not wait for it. */
static void on_noted(struct control_call *call, const struct control_result *result) {
    struct wallet_thread *thread = call->owner;
    thread->controls--;
    if (result->end != CONTROL_ANSWERED) {
        log_message(LOG_WARN, "audit_failed", "reason", result->reason);
    }
    free(call);
}

void control_denied(struct http_request *request) {
    struct wallet_thread *thread = http_thread_state(request);
    if (!audit_spend(&thread->denials)) {
        return;
    }
    char subject[AUDIT_SUBJECT_SIZE];
    audit_route(request, subject);
    const struct control_actor actor = {.principal = handler_principal(request),
                                        .reason = PROBLEM_INSUFFICIENT_ROLE.code,
                                        .origin = audit_origin(request)};
    struct control_call *call = memory_allocate(1, sizeof *call);
    call->on_result = on_noted;
    call->owner = thread;
    if (!control_note_failure(&thread->reader, call, "authz_fail", &actor, subject)) {
        log_message(LOG_WARN, "audit_failed", "reason", "the database is busy or away");
        free(call);
        return;
    }
    thread->controls++;
}
