/*
 * One call is one statement of the database, which decides, does and records; so what is here only
 * reads what all of them have, and answers what the database says.
 */
#include "wallet_api/operator_call.h"

#include <string.h>

#include "service_kit/audit.h"
#include "wallet_api/handlers.h"
#include "wallet_api/operation.h"
#include "wallet_api/wallet.h"

#define REASON_MAX 256
#define JSON_ROOM  64 /* of a writer, beyond what it is to hold */

/* ---- reading ---- */

/* The member `reason` of the body. */
bool operator_call_reason(struct operator_call *operation) {
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
bool operator_call_key(struct operator_call *operation) {
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

void operator_call_on_result(struct control_call *call, const struct control_result *result) {
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

struct operator_call *operator_call_create(struct http_request *request) {
    struct operator_call *operation = http_alloc(request, sizeof *operation);
    operation->request = request;
    operation->thread = http_thread_state(request);
    operation->call.owner = operation;
    operation->call.on_result = operator_call_on_result;
    operation->call.deadline_us = http_deadline_us(request);
    operation->actor.principal = handler_principal(request);
    operation->actor.origin = audit_origin(request);
    return operation;
}

struct operator_call *operator_call_reasoned(struct http_request *request, struct ledger_uuid *id) {
    static const char *const names[] = {"reason"};
    struct operator_call *operation = operator_call_create(request);
    bool good = handler_path_id(request, "id", id) &&
                http_only_members(request, http_json(request), names, 1) &&
                operator_call_reason(operation);
    return good ? operation : NULL;
}

/* After the call was sent, or not; the request is held. */
void operator_call_sent(struct operator_call *operation, bool accepted) {
    struct http_request *request = operation->request;
    if (accepted) {
        operation->thread->controls++;
        return;
    }
    handler_reply_busy(request, db_pool_ready(operation->thread->reader.pool));
    http_request_release(request);
}

void operator_call_hold(struct operator_call *operation) {
    http_request_hold(operation->request);
    http_on_deadline(operation->request, on_deadline, operation->request);
}
