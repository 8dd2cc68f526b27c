/*
 * history: the lines of an account, by offset or by cursor, and one transaction with its entries.
 *
 * A cursor is the seq before which the next page begins: unlike an offset it does not move when
 * new lines arrive in front of it.  Every page names the next one, so that a client can begin
 * without a cursor and go on with it.
 */
#include <stdio.h>

#include "wallet_api/handlers.h"
#include "wallet_api/present.h"
#include "wallet_api/problems.h"
#include "wallet_api/wallet.h"

#define LIMIT_DEFAULT  20
#define OFFSET_MAX     10000
#define PAGE_JSON_MAX  (READER_PAGE_MAX * 512UL)
#define ENTRY_JSON_MAX (READER_ENTRIES_MAX * 512UL)

struct page {
    struct reader_call call;
    struct http_request *request;
    int64_t limit, offset, newest;
};

/* ---- GET /wallet/accounts/{id}/transactions ---- */

static bool read_page(struct http_request *request, struct page *page) {
    bool limit_given, offset_given, cursor_given;
    int64_t cursor = 0;
    page->limit = LIMIT_DEFAULT;
    page->offset = 0;
    page->newest = READER_NEWEST;
    if (!handler_query_number(request, "limit", 1, READER_PAGE_MAX, &limit_given, &page->limit) ||
        !handler_query_number(request, "offset", 0, OFFSET_MAX, &offset_given, &page->offset) ||
        !handler_query_number(request, "cursor", 1, INT64_MAX, &cursor_given, &cursor)) {
        return false;
    }
    if (cursor_given && offset_given) {
        http_reply_field(request, "cursor", "cannot be combined with offset");
        return false;
    }
    if (cursor_given) {
        page->newest = cursor - 1;
    }
    return true;
}

/* Where the next page is, unless this one reached the account's first line. */
static void name_next_page(const struct page *page, const struct reader_result *result) {
    if (result->line_count == 0) {
        return;
    }
    int64_t cursor = result->lines[result->line_count - 1].seq;
    if (cursor <= 1) {
        return;
    }
    char id[UUID_TEXT_LENGTH + 1];
    char text[32];
    char link[160];
    uuid_format(result->accounts[0].id.bytes, id);
    snprintf(text, sizeof text, "%lld", (long long)cursor);
    snprintf(link, sizeof link,
             "</wallet/accounts/%s/transactions?limit=%lld&cursor=%s>; rel=\"next\"", id,
             (long long)page->limit, text);
    http_set_header(page->request, "Link", link);
    http_set_header(page->request, "X-Next-Cursor", text);
}

static void on_page(struct reader_call *call, const struct reader_result *result) {
    const struct page *page = call->owner;
    struct http_request *request = page->request;
    if (handler_read_ok(request, result, &PROBLEM_HISTORY_FORBIDDEN)) {
        struct json_writer *writer = json_writer_create(PAGE_JSON_MAX);
        json_write_array_begin(writer);
        for (size_t i = 0; i < result->line_count; i++) {
            present_line(writer, &result->accounts[0], &result->lines[i]);
        }
        json_write_array_end(writer);
        name_next_page(page, result);
        http_reply(request, 200, writer);
    }
    http_request_release(request);
}

void history_list(struct http_request *request) {
    const struct wallet_thread *thread = http_thread_state(request);
    struct ledger_uuid id;
    struct page *page = http_alloc(request, sizeof *page);
    if (!handler_path_id(request, "id", &id) || !read_page(request, page)) {
        return;
    }
    struct ledger_uuid principal = handler_principal(request);
    page->request = request;
    page->call.owner = page;
    page->call.on_result = on_page;
    http_request_hold(request);
    if (!reader_history(&thread->reader, &page->call, &principal, &id, page->newest, page->offset,
                        page->limit)) {
        handler_reply_busy(request, db_pool_ready(thread->reader.pool));
        http_request_release(request);
    }
}

/* ---- GET /wallet/transactions/{id} ---- */

static void on_transaction(struct reader_call *call, const struct reader_result *result) {
    struct http_request *request = call->owner;
    if (handler_read_ok(request, result, &PROBLEM_TRANSACTION_NOT_FOUND)) {
        struct ledger_uuid viewer = handler_principal(request);
        struct json_writer *writer = json_writer_create(ENTRY_JSON_MAX);
        present_transaction(writer, result->transaction, result->entries, result->entry_count,
                            &viewer);
        http_reply(request, 200, writer);
    }
    http_request_release(request);
}

void history_transaction(struct http_request *request) {
    const struct wallet_thread *thread = http_thread_state(request);
    struct ledger_uuid id;
    if (!handler_path_id(request, "id", &id)) {
        return;
    }
    struct ledger_uuid principal = handler_principal(request);
    struct reader_call *call = http_alloc(request, sizeof *call);
    call->owner = request;
    call->on_result = on_transaction;
    http_request_hold(request);
    if (!reader_transaction(&thread->reader, call, &principal, &id)) {
        handler_reply_busy(request, db_pool_ready(thread->reader.pool));
        http_request_release(request);
    }
}
