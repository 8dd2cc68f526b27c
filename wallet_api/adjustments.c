/*
 * adjustments: what operators post by hand, with four eyes.  One proposes a journal entry, or how
 * breaks of bank statements are to be resolved; another one approves it, which posts it, or rejects
 * it.  The database keeps proposals and decisions, and holds the two apart.
 */
#include <stdio.h>
#include <string.h>

#include "reports/moment.h"
#include "service_kit/uuid.h"
#include "wallet_api/handlers.h"
#include "wallet_api/operation.h"
#include "wallet_api/operator_call.h"
#include "wallet_api/wallet.h"

#define NAME_MAX_BYTES 255
#define BREAKS_MAX     100
#define BREAK_DIGITS   18

/* ---- reading: each answers and returns false, so that the handler returns ---- */

/* The code or id of an account; *name stays NULL when the member is absent and may be. */
static bool read_name(struct http_request *request, const char *member, bool required,
                      const char **name) {
    const struct json_node *node = json_member(http_json(request), member);
    if (node == NULL && !required) {
        return true;
    }
    if (node == NULL || node->type != JSON_STRING || node->length < 1 ||
        node->length > NAME_MAX_BYTES) {
        http_reply_field(request, member, "must be the code or the id of an account");
        return false;
    }
    char *text = http_alloc(request, node->length + 1);
    memcpy(text, node->text, node->length);
    *name = text;
    return true;
}

static bool read_amount(struct http_request *request, const char **amount) {
    const struct json_node *node = json_member(http_json(request), "amount");
    struct money_decimal decimal;
    if (node == NULL || (node->type != JSON_STRING && node->type != JSON_NUMBER) ||
        money_parse(node->text, node->length, &decimal) != MONEY_PARSED ||
        decimal.coefficient == 0) {
        http_reply_field(request, "amount",
                         "must be a decimal number greater than 0, such as 100 or \"100.50\"");
        return false;
    }
    char *text = http_alloc(request, MONEY_TEXT_MAX);
    money_format(decimal.coefficient, decimal.decimals, text);
    *amount = text;
    return true;
}

static bool read_effective_at(struct http_request *request, const char **effective_at) {
    const struct json_node *node = json_member(http_json(request), "effective_at");
    int64_t unix_us;
    if (node == NULL) {
        return true;
    }
    const char *wrong = operation_effective_at(node, &unix_us);
    char *text = http_alloc(request, MOMENT_TEXT_SIZE);
    if (wrong == NULL && !moment_parse(node->text, node->length, MOMENT_START, text)) {
        wrong = "is no time";
    }
    if (wrong != NULL) {
        http_reply_field(request, "effective_at", wrong);
        return false;
    }
    *effective_at = text;
    return true;
}

static bool is_break(const struct json_node *node) {
    if (node->type != JSON_NUMBER || node->length < 1 || node->length > BREAK_DIGITS ||
        node->text[0] == '0') {
        return false;
    }
    for (size_t i = 0; i < node->length; i++) {
        if (node->text[i] < '0' || node->text[i] > '9') {
            return false;
        }
    }
    return true;
}

/* The array `breaks` as one of the database: "{1,2}". */
static bool read_breaks(struct http_request *request, const char **breaks) {
    const struct json_node *array = json_member(http_json(request), "breaks");
    bool good = array != NULL && array->type == JSON_ARRAY && array->count >= 1 &&
                array->count <= BREAKS_MAX;
    char *text = http_alloc(request, BREAKS_MAX * (BREAK_DIGITS + 1) + 3);
    size_t length = 0;
    for (const struct json_node *node = good ? array->first : NULL; node != NULL;
         node = node->next) {
        good = good && is_break(node);
        if (good) {
            text[length] = length == 0 ? '{' : ',';
            memcpy(text + length + 1, node->text, node->length);
            length += node->length + 1;
        }
    }
    if (!good) {
        http_reply_field(request, "breaks", "must be an array of the ids of 1 to 100 breaks");
        return false;
    }
    text[length] = '}';
    *breaks = text;
    return true;
}

/* ---- GET and POST /reports/adjustments ---- */

void adjustments_list(struct http_request *request) {
    struct operator_call *operation = operator_call_create(request);
    http_request_hold(request);
    operator_call_sent(operation,
                       control_adjustments(&operation->thread->reader, &operation->call));
}

void adjustments_propose(struct http_request *request) {
    static const char *const names[] = {"debit",        "credit", "amount",
                                        "effective_at", "reason", "idempotency_key"};
    struct operator_call *operation = operator_call_create(request);
    struct control_entry entry = {0};
    struct ledger_uuid id;
    if (!http_only_members(request, http_json(request), names, 6) ||
        !read_name(request, "debit", true, &entry.debit) ||
        !read_name(request, "credit", true, &entry.credit) ||
        !read_amount(request, &entry.amount) || !read_effective_at(request, &entry.effective_at) ||
        !operator_call_reason(operation) || !operator_call_key(operation)) {
        return;
    }
    uuid_v7(&operation->thread->uuids, id.bytes);
    operator_call_hold(operation);
    operator_call_sent(operation,
                       control_propose_entry(&operation->thread->reader, &operation->call,
                                             &operation->actor, operation->key, &id, &entry));
}

/* ---- POST /reports/breaks/resolve ---- */

void adjustments_resolve_breaks(struct http_request *request) {
    static const char *const names[] = {"breaks", "against", "reason", "idempotency_key"};
    struct operator_call *operation = operator_call_create(request);
    const char *breaks, *against = NULL;
    struct ledger_uuid id;
    if (!http_only_members(request, http_json(request), names, 4) ||
        !read_breaks(request, &breaks) || !read_name(request, "against", false, &against) ||
        !operator_call_reason(operation) || !operator_call_key(operation)) {
        return;
    }
    uuid_v7(&operation->thread->uuids, id.bytes);
    operator_call_hold(operation);
    operator_call_sent(operation, control_propose_resolution(&operation->thread->reader,
                                                             &operation->call, &operation->actor,
                                                             operation->key, &id, breaks, against));
}

/* ---- POST /reports/adjustments/{id}/approve, reject ---- */

static void decide(struct http_request *request, bool approve) {
    struct ledger_uuid id;
    struct operator_call *operation = operator_call_reasoned(request, &id);
    if (operation == NULL) {
        return;
    }
    operator_call_hold(operation);
    operator_call_sent(operation, control_decide(&operation->thread->reader, &operation->call,
                                                 &operation->actor, &id, approve));
}

void adjustments_approve(struct http_request *request) {
    decide(request, true);
}

void adjustments_reject(struct http_request *request) {
    decide(request, false);
}
