/*
 * reports: the reports of reports/, for operators and auditors, and an owner's statement of his
 * own account.
 *
 * A report runs on connections of its own, a few per thread, so that it keeps no other call
 * waiting; what does not fit their queue is told so at once.  A moment in the past is settled
 * first (reports/settle.h), by asking again from a timer.  Rows are rendered into memory with a
 * limit: what is larger than an answer may be is refused and pointed to pages, a smaller scope, or
 * the tool, which streams.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "reports/output.h"
#include "reports/render.h"
#include "reports/report.h"
#include "reports/settle.h"
#include "service_kit/log.h"
#include "service_kit/loop.h"
#include "service_kit/uuid.h"
#include "wallet_api/handlers.h"
#include "wallet_api/problems.h"
#include "wallet_api/report_query.h"
#include "wallet_api/wallet.h"

#define PATH_PREFIX    "/reports/"
#define STATEMENT      "statement"
#define ROWS_MAX       20000
#define BYTES_MAX      (8UL * 1024 * 1024)
#define SETTLE_WAIT_US 50000
#define RETRY_AFTER_S  1

struct report_call {
    struct http_request *request;
    struct wallet_thread *thread;
    const struct report *report;
    struct report_request query;
    enum report_format format;
    struct loop_timer timer;
    char number[24]; /* from SETTLE_NOTE_SQL; "" before */
    char owner[UUID_TEXT_LENGTH + 1], account[UUID_TEXT_LENGTH + 1];
};

size_t reports_statements(struct db_statement statements[static REPORTS_STATEMENTS_MAX]) {
    size_t count = 0;
    assert(2 * REPORT_COUNT + 4 <= REPORTS_STATEMENTS_MAX);
    for (size_t i = 0; i < REPORT_COUNT; i++) {
        const struct report *report = &REPORTS[i];
        statements[count++] = (struct db_statement){report->name, report->sql};
        if (report->effective.sql != NULL) {
            statements[count++] =
                (struct db_statement){report->effective.name, report->effective.sql};
        }
    }
    statements[count++] = (struct db_statement){SETTLE_NOTE_NAME, SETTLE_NOTE_SQL};
    statements[count++] = (struct db_statement){SETTLE_DONE_NAME, SETTLE_DONE_SQL};
    statements[count++] = (struct db_statement){SETTLE_INDEX_NAME, SETTLE_INDEX_SQL};
    statements[count++] = (struct db_statement){SETTLE_CURRENCY_NAME, SETTLE_CURRENCY_SQL};
    return count;
}

static void release(struct report_call *call) {
    loop_timer_stop(call->thread->loop, &call->timer);
    http_request_release(call->request);
}

/* ---- what the database says ---- */

static void log_failure(const struct report_call *call, enum log_level level,
                        const struct db_result *result) {
    struct log_line line;
    log_begin(&line, level, "report_failed");
    log_string(&line, "request_id", http_request_id(call->request));
    log_string(&line, "report", call->report->name);
    log_string(&line, "sqlstate", result->sqlstate);
    log_string(&line, "reason", result->message);
    log_end(&line);
}

/* Too late, for whatever reason: nothing is wrong with the request. */
static void on_deadline(void *owner) {
    const struct report_call *call = owner;
    const struct problem problem = {.kind = &PROBLEM_DEADLINE, .retry_after_s = RETRY_AFTER_S};
    http_reply_problem(call->request, &problem);
}

/* Answers for whatever is no success. */
static bool succeeded(struct report_call *call, const struct db_result *result) {
    static const char query_canceled[] = "57014", lock_not_available[] = "55P03";
    if (result->end == DB_END_OK && result->statements[0] != NULL) {
        return true;
    }
    if (strcmp(result->sqlstate, query_canceled) == 0 ||
        strcmp(result->sqlstate, lock_not_available) == 0) {
        on_deadline(call);
    } else if (result->end == DB_END_LOST || result->end == DB_END_UNSENT) {
        handler_reply_busy(call->request, false); /* the connection has told the log */
    } else if (db_error_passes(result)) {
        log_failure(call, LOG_WARN, result);
        handler_reply_busy(call->request, false);
    } else {
        log_failure(call, LOG_ERROR, result);
        http_reply_kind(call->request, &PROBLEM_INTERNAL, NULL);
    }
    return false;
}

static bool ask(struct report_call *call, const char *statement, const char *const *values,
                int count, db_on_result *on_result) {
    const struct db_call query = {.statement = statement,
                                  .params = {.count = count, .values = values}};
    struct db_pool *pool = call->thread->reports;
    if (db_pool_query(pool, &query, on_result, call)) {
        return true;
    }
    handler_reply_busy(call->request, db_pool_ready(pool));
    release(call);
    return false;
}

/* ---- the report ---- */

static bool render_rows(struct render *render, const PGresult *rows) {
    for (int row = 0; row < PQntuples(rows); row++) {
        if (!render_row(render, rows, row)) {
            return false;
        }
    }
    render_end(render);
    return true;
}

static void reply_rendered(const struct report_call *call, const PGresult *rows) {
    struct http_request *request = call->request;
    struct output output;
    struct render render;
    output_to_memory(&output, BYTES_MAX);
    render_begin(&render, call->report, &call->query, call->format, &output);
    if (!render_rows(&render, rows)) {
        struct db_result wrong = {0};
        snprintf(wrong.message, sizeof wrong.message, "%s", render.error);
        log_failure(call, LOG_ERROR, &wrong);
        http_reply_kind(request, &PROBLEM_INTERNAL, NULL);
    } else if (!output_flush(&output)) {
        http_reply_kind(request, &PROBLEM_REPORT_TOO_LARGE, NULL);
    } else {
        const char *next = render_next(&render);
        if (next != NULL) {
            http_set_header(request, "X-Next-Cursor", next);
        }
        http_reply_bytes(request, 200, render_content_type(call->format), output.bytes,
                         output.length);
    }
    output_free(&output);
}

static void on_report(void *owner, const struct db_result *result) {
    struct report_call *call = owner;
    if (succeeded(call, result)) {
        const PGresult *rows = result->statements[0];
        if (call->report->needs & REPORT_ACCOUNT && PQntuples(rows) == 0) {
            http_reply_kind(call->request, problems_of_outcome(POSTING_ACCOUNT_NOT_FOUND), NULL);
        } else if (!(call->report->needs & REPORT_PAGES) && PQntuples(rows) > ROWS_MAX) {
            http_reply_kind(call->request, &PROBLEM_REPORT_TOO_LARGE, NULL);
        } else {
            reply_rendered(call, rows);
        }
    }
    release(call);
}

static void run_report(struct report_call *call) {
    struct report_parameters parameters;
    report_parameters_fill(&call->query, &parameters);
    (void)ask(call, report_statement(call->report, call->query.effective), parameters.values,
              REPORT_PARAMETERS, on_report);
}

/* ---- settling ---- */

static void on_note(void *owner, const struct db_result *result);
static void on_done(void *owner, const struct db_result *result);

static void settle(struct report_call *call) {
    const char *const moments[] = {settle_moment(&call->query)};
    const char *const numbers[] = {call->number};
    if (call->number[0] == '\0') {
        (void)ask(call, SETTLE_NOTE_NAME, moments, 1, on_note);
    } else {
        (void)ask(call, SETTLE_DONE_NAME, numbers, 1, on_done);
    }
}

static void on_timer(struct loop_timer *timer) {
    struct report_call *call =
        (struct report_call *)((char *)timer - offsetof(struct report_call, timer));
    if (http_request_waiting(call->request)) {
        settle(call);
    } else {
        release(call);
    }
}

static void settle_later(struct report_call *call) {
    call->timer.on_fire = on_timer;
    loop_timer_start(call->thread->loop, &call->timer, SETTLE_WAIT_US);
}

static void on_note(void *owner, const struct db_result *result) {
    struct report_call *call = owner;
    if (!succeeded(call, result)) {
        release(call);
        return;
    }
    const char *text = PQgetvalue(result->statements[0], 0, 0);
    switch (settle_read_note(text)) {
    case SETTLE_YOUNG:
        settle_later(call);
        break;
    case SETTLE_FUTURE:
        if (call->query.effective) {
            run_report(call);
            break;
        }
        http_reply_field(call->request, call->query.as_of != NULL ? "as_of" : "to",
                         "must have passed: until then its report would still change");
        release(call);
        break;
    case SETTLE_NOTED:
        snprintf(call->number, sizeof call->number, "%s", text);
        settle(call);
        break;
    }
}

static void on_index(void *owner, const struct db_result *result) {
    struct report_call *call = owner;
    if (succeeded(call, result)) {
        run_report(call);
    } else {
        release(call);
    }
}

static void on_done(void *owner, const struct db_result *result) {
    struct report_call *call = owner;
    if (!succeeded(call, result)) {
        release(call);
    } else if (strcmp(PQgetvalue(result->statements[0], 0, 0), "t") == 0) {
        (void)ask(call, SETTLE_INDEX_NAME, NULL, 0, on_index);
    } else {
        settle_later(call);
    }
}

/* ---- GET /reports/..., GET /wallet/accounts/{id}/statement ---- */

static void settle_or_run(struct report_call *call) {
    if (settle_moment(&call->query) != NULL) {
        settle(call);
    } else {
        run_report(call);
    }
}

static void on_currency(void *owner, const struct db_result *result) {
    struct report_call *call = owner;
    if (!succeeded(call, result)) {
        release(call);
    } else if (strcmp(PQgetvalue(result->statements[0], 0, 0), "t") == 0) {
        settle_or_run(call);
    } else {
        http_reply_field(call->request, "currency", SETTLE_NO_CURRENCY);
        release(call);
    }
}

static void start(struct report_call *call) {
    const struct wallet *wallet = call->thread->wallet;
    call->query.ledger_id = wallet->ledger_id;
    call->query.ledger_name = wallet->ledger_name;
    if (!(call->report->needs & REPORT_PAGES)) {
        call->query.row_limit = ROWS_MAX + 1;
    }
    http_request_hold(call->request);
    http_on_deadline(call->request, on_deadline, call);
    if (call->query.currency == NULL) {
        settle_or_run(call);
        return;
    }
    char ledger_id[16];
    snprintf(ledger_id, sizeof ledger_id, "%d", (int)wallet->ledger_id);
    const char *const values[] = {ledger_id, call->query.currency};
    (void)ask(call, SETTLE_CURRENCY_NAME, values, 2, on_currency);
}

static struct report_call *call_create(struct http_request *request, const char *name) {
    struct report_call *call = http_alloc(request, sizeof *call);
    call->request = request;
    call->thread = http_thread_state(request);
    call->report = report_find(name, strlen(name));
    return call;
}

void reports_show(struct http_request *request) {
    struct report_call *call =
        call_create(request, http_route_of(request)->pattern + strlen(PATH_PREFIX));
    if (report_query_read(request, call->report, &call->query, &call->format)) {
        start(call);
    }
}

void reports_own_statement(struct http_request *request) {
    struct report_call *call = call_create(request, STATEMENT);
    struct ledger_uuid account;
    struct ledger_uuid principal = handler_principal(request);
    if (!handler_path_id(request, "id", &account) ||
        !report_query_read_own(request, call->report, &call->query, &call->format)) {
        return;
    }
    uuid_format(account.bytes, call->account);
    uuid_format(principal.bytes, call->owner);
    call->query.account = call->account;
    call->query.owner = call->owner;
    start(call);
}
