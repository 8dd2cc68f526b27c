/*
 * accounts: list, open, show.  The reader's call lives in the request's memory; the request is
 * held until its result has come, whatever has answered by then.
 */
#include <stdio.h>
#include <string.h>

#include "ledger_core/engine/asset.h"
#include "service_kit/loop.h"
#include "wallet_api/handlers.h"
#include "wallet_api/present.h"
#include "wallet_api/problems.h"
#include "wallet_api/wallet.h"

#define ACCOUNT_JSON_MAX 1024
#define LIST_JSON_MAX    (READER_ACCOUNTS_MAX * 256UL)

static struct reader_call *call_create(struct http_request *request,
                                       void (*on_result)(struct reader_call *call,
                                                         const struct reader_result *result)) {
    struct reader_call *call = http_alloc(request, sizeof *call);
    call->owner = request;
    call->on_result = on_result;
    return call;
}

/* ---- GET /wallet/accounts ---- */

static void on_list(struct reader_call *call, const struct reader_result *result) {
    struct http_request *request = call->owner;
    if (handler_read_ok(request, result, &PROBLEM_INTERNAL)) {
        struct json_writer *writer = json_writer_create(LIST_JSON_MAX);
        json_write_array_begin(writer);
        for (size_t i = 0; i < result->account_count; i++) {
            present_account(writer, &result->accounts[i]);
        }
        json_write_array_end(writer);
        http_reply(request, 200, writer);
    }
    http_request_release(request);
}

void accounts_list(struct http_request *request) {
    const struct wallet_thread *thread = http_thread_state(request);
    struct ledger_uuid principal = handler_principal(request);
    struct reader_call *call = call_create(request, on_list);
    http_request_hold(request);
    if (!reader_accounts(&thread->reader, call, &principal)) {
        handler_reply_busy(request, db_pool_ready(thread->reader.pool));
        http_request_release(request);
    }
}

/* ---- POST /wallet/accounts ---- */

/* The currency asked for, or the default one. */
static bool read_currency(struct http_request *request, const char *default_currency,
                          char currency[static ASSET_CODE_MAX + 1]) {
    static const char *const names[] = {"currency"};
    const struct json_node *body = http_json(request);
    const struct json_node *node = NULL;
    if (body != NULL) {
        if (!http_only_members(request, body, names, 1)) {
            return false;
        }
        node = json_member(body, "currency");
    }
    if (node == NULL) {
        snprintf(currency, ASSET_CODE_MAX + 1, "%s", default_currency);
        return true;
    }
    if (node->type != JSON_STRING || !asset_code_valid(node->text, node->length)) {
        http_reply_field(request, "currency", "must be a currency code such as USD");
        return false;
    }
    memcpy(currency, node->text, node->length);
    currency[node->length] = '\0';
    return true;
}

static void on_opened(struct reader_call *call, const struct reader_result *result) {
    struct http_request *request = call->owner;
    if (handler_read_ok(request, result, &PROBLEM_INTERNAL)) {
        char id[UUID_TEXT_LENGTH + 1];
        char location[64];
        uuid_format(result->accounts[0].id.bytes, id);
        snprintf(location, sizeof location, "/wallet/accounts/%s", id);
        struct json_writer *writer = json_writer_create(ACCOUNT_JSON_MAX);
        present_account(writer, &result->accounts[0]);
        http_set_header(request, "Location", location);
        http_reply(request, 201, writer);
    }
    http_request_release(request);
}

static void on_open_deadline(void *owner) {
    handler_reply_unknown(owner, HANDLER_OPEN_UNKNOWN);
}

void accounts_open(struct http_request *request) {
    struct wallet_thread *thread = http_thread_state(request);
    const struct wallet *wallet = thread->wallet;
    char currency[ASSET_CODE_MAX + 1];
    if (!read_currency(request, wallet->default_currency, currency)) {
        return;
    }
    struct ledger_uuid principal = handler_principal(request);
    struct ledger_uuid id;
    uuid_v7(&thread->uuids, id.bytes);
    struct reader_call *call = call_create(request, on_opened);
    http_request_hold(request);
    http_on_deadline(request, on_open_deadline, request);
    if (!reader_open(&thread->reader, call, &principal, &id, currency,
                     wallet->accounts_per_owner_max)) {
        handler_reply_busy(request, db_pool_ready(thread->reader.pool));
        http_request_release(request);
    }
}

/* ---- GET /wallet/accounts/{id} ---- */

static void on_shown(struct reader_call *call, const struct reader_result *result) {
    struct http_request *request = call->owner;
    if (handler_read_ok(request, result, problems_of_outcome(POSTING_ACCOUNT_NOT_FOUND))) {
        struct json_writer *writer = json_writer_create(ACCOUNT_JSON_MAX);
        present_account_in_full(writer, &result->accounts[0]);
        http_reply(request, 200, writer);
    }
    http_request_release(request);
}

void accounts_show(struct http_request *request) {
    const struct wallet_thread *thread = http_thread_state(request);
    struct ledger_uuid id;
    if (!handler_path_id(request, "id", &id)) {
        return;
    }
    struct ledger_uuid principal = handler_principal(request);
    struct reader_call *call = call_create(request, on_shown);
    http_request_hold(request);
    if (!reader_account(&thread->reader, call, &principal, &id)) {
        handler_reply_busy(request, db_pool_ready(thread->reader.pool));
        http_request_release(request);
    }
}
