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
#include "wallet_api/operator_call.h"
#include "wallet_api/problems.h"
#include "wallet_api/wallet.h"

#define LEDGER_SIZE 12 /* a number of 32 bits */

/* ---- POST /wallet/accounts/{id}/freeze, unfreeze, close ---- */

static void set_status(struct http_request *request, const char *status) {
    struct ledger_uuid id;
    struct operator_call *operation = operator_call_reasoned(request, &id);
    if (operation == NULL) {
        return;
    }
    operator_call_hold(operation);
    operator_call_sent(operation, control_set_status(&operation->thread->reader, &operation->call,
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
    struct operator_call *operation = operator_call_create(request);
    struct ledger_uuid original, id;
    if (!handler_path_id(request, "id", &original) ||
        !http_only_members(request, http_json(request), names, 2) ||
        !operator_call_reason(operation) || !operator_call_key(operation)) {
        return;
    }
    uuid_v7(&operation->thread->uuids, id.bytes);
    operator_call_hold(operation);
    operator_call_sent(operation,
                       control_reverse(&operation->thread->reader, &operation->call,
                                       &operation->actor, operation->key, &id, &original));
}

/* ---- GET /reports/periods, POST /reports/periods/close ---- */

void control_periods_list(struct http_request *request) {
    struct operator_call *operation = operator_call_create(request);
    http_request_hold(request);
    operator_call_sent(operation, control_periods(&operation->thread->reader, &operation->call));
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
    call->on_result = operator_call_on_result;
    operator_call_sent(operation,
                       control_report_period(&operation->thread->reader, call, operation->to));
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
    struct operator_call *operation = operator_call_create(request);
    if (!http_only_members(request, http_json(request), names, 2) || !read_to(operation) ||
        !operator_call_reason(operation)) {
        return;
    }
    operation->call.on_result = on_closed;
    operator_call_hold(operation);
    operator_call_sent(operation, control_close_period(&operation->thread->reader, &operation->call,
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
