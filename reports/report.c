/* Design.  A table.  Adding a report means a file in sql/, a line in CMakeLists.txt and a row here.
 */
#include "reports/report.h"

#include <stdio.h>
#include <string.h>

#include "reports/moment.h"
#include "service_kit/uuid.h"

extern const char REPORT_SQL_ACCOUNTS[];
extern const char REPORT_SQL_TRIAL_BALANCE[];
extern const char REPORT_SQL_BALANCE_SHEET[];
extern const char REPORT_SQL_INCOME_STATEMENT[];
extern const char REPORT_SQL_DAILY_MOVEMENT[];
extern const char REPORT_SQL_JOURNAL[];
extern const char REPORT_SQL_STATEMENT[];
extern const char REPORT_SQL_STATEMENT_EFFECTIVE[];
extern const char REPORT_SQL_CUSTOMER_BALANCES[];
extern const char REPORT_SQL_RECONCILIATION[];
extern const char REPORT_SQL_BREAKS[];

#define CODE                                                                                       \
    { "code", REPORT_TEXT, 44 }
#define CLASS                                                                                      \
    { "class", REPORT_TEXT, 10 }
#define CURRENCY                                                                                   \
    { "currency", REPORT_TEXT, 9 }
#define TIME(n)                                                                                    \
    { n, REPORT_TEXT, 28 }
#define ID(n)                                                                                      \
    { n, REPORT_TEXT, 37 }
#define COUNT(n)                                                                                   \
    { n, REPORT_INTEGER, 10 }
#define MONEY(n)                                                                                   \
    { n, REPORT_AMOUNT, 24 }

const struct report REPORTS[] = {
    {.name = "accounts",
     .title = "Chart of accounts",
     .purpose = "the accounts and their balances, rolled up by the segments of their codes",
     .sql = REPORT_SQL_ACCOUNTS,
     .needs = REPORT_AS_OF | REPORT_DEPTH,
     .depth_default = 2,
     .sections = {"lines", "totals"},
     .columns = {CODE, CLASS, CURRENCY, COUNT("accounts"), COUNT("entries"), MONEY("balance")}},
    {.name = "trial-balance",
     .title = "Trial balance",
     .purpose = "both sides of all accounts; each currency's are equal",
     .sql = REPORT_SQL_TRIAL_BALANCE,
     .needs = REPORT_AS_OF | REPORT_DEPTH,
     .depth_default = 2,
     .sections = {"lines", "totals"},
     .columns = {CODE, CLASS, CURRENCY, COUNT("accounts"), MONEY("debit"), MONEY("credit"),
                 MONEY("balance")}},
    {.name = "balance-sheet",
     .title = "Balance sheet",
     .purpose = "assets against liabilities, equity and the result so far",
     .sql = REPORT_SQL_BALANCE_SHEET,
     .needs = REPORT_AS_OF | REPORT_DEPTH,
     .depth_default = 2,
     .sections = {"lines", "totals"},
     .columns = {CLASS, CODE, CURRENCY, MONEY("balance"), MONEY("assets"), MONEY("claims")}},
    {.name = "income-statement",
     .title = "Income statement",
     .purpose = "income and expenses of a period, and the result",
     .sql = REPORT_SQL_INCOME_STATEMENT,
     .needs = REPORT_PERIOD | REPORT_DEPTH,
     .depth_default = 2,
     .sections = {"lines", "totals"},
     .columns = {CLASS, CODE, CURRENCY, COUNT("entries"), MONEY("amount")}},
    {.name = "journal",
     .title = "General journal",
     .purpose = "every transaction of a period with its entries",
     .sql = REPORT_SQL_JOURNAL,
     .needs = REPORT_PERIOD | REPORT_PAGES,
     .sections = {"lines"},
     .columns = {ID("transaction_id"),
                 TIME("booked_at"),
                 TIME("effective_at"),
                 {"kind", REPORT_TEXT, 11},
                 {"code", REPORT_TEXT, 58},
                 CURRENCY,
                 MONEY("debit"),
                 MONEY("credit"),
                 ID("reverses"),
                 {"description", REPORT_TEXT, 0}},
     .place = REPORT_PLACE_TRANSACTION},
    {.name = "statement",
     .title = "Account statement",
     .purpose = "one account: opening, every movement with the running balance, closing",
     .sql = REPORT_SQL_STATEMENT,
     .effective = {"statement_effective", REPORT_SQL_STATEMENT_EFFECTIVE},
     .needs = REPORT_PERIOD | REPORT_ACCOUNT | REPORT_PAGES,
     .sections = {"opening", "lines", "closing"},
     .columns = {COUNT("line"),
                 TIME("booked_at"),
                 TIME("effective_at"),
                 {"kind", REPORT_TEXT, 11},
                 ID("transaction_id"),
                 ID("reverses"),
                 {"description", REPORT_TEXT, 20},
                 CURRENCY,
                 MONEY("amount"),
                 MONEY("balance")},
     .place = REPORT_PLACE_NUMBER,
     .page_column = "line"},
    {.name = "customer-balances",
     .title = "Customer balances",
     .purpose = "what is owed to each owner, account by account",
     .sql = REPORT_SQL_CUSTOMER_BALANCES,
     .needs = REPORT_AS_OF | REPORT_PAGES,
     .sections = {"lines", "totals"},
     .columns = {ID("owner_id"),
                 ID("account_id"),
                 {"code", REPORT_TEXT, 58},
                 CURRENCY,
                 COUNT("entries"),
                 MONEY("balance")},
     .place = REPORT_PLACE_ID,
     .page_column = "account_id"},
    {.name = "daily-movement",
     .title = "Daily movement",
     .purpose = "what moved on each day (UTC), by account code",
     .sql = REPORT_SQL_DAILY_MOVEMENT,
     .needs = REPORT_PERIOD | REPORT_DEPTH,
     .depth_default = 2,
     .sections = {"lines", "totals"},
     .columns = {{"day", REPORT_TEXT, 12},
                 CODE,
                 CLASS,
                 CURRENCY,
                 COUNT("entries"),
                 MONEY("debit"),
                 MONEY("credit")}},
    {.name = "breaks",
     .title = "Breaks",
     .purpose = "lines of bank statements and entries without a counterpart, with age and owner",
     .sql = REPORT_SQL_BREAKS,
     .needs = REPORT_AS_OF,
     .sections = {"lines", "totals"},
     .columns = {COUNT("id"),
                 {"currency", REPORT_TEXT, 9},
                 {"side", REPORT_TEXT, 7},
                 {"day", REPORT_TEXT, 11},
                 COUNT("age"),
                 {"days", REPORT_TEXT, 6},
                 {"category", REPORT_TEXT, 21},
                 MONEY("amount"),
                 {"owner", REPORT_TEXT, 12},
                 {"reason", REPORT_TEXT, 20},
                 {"what", REPORT_TEXT, 37},
                 {"code", REPORT_TEXT, 0}}},
    {.name = "reconciliation",
     .title = "Internal reconciliation",
     .purpose = "what the last checks of the books found",
     .sql = REPORT_SQL_RECONCILIATION,
     .needs = REPORT_PAGES,
     .sections = {"lines"},
     .columns = {COUNT("number"),
                 {"state", REPORT_TEXT, 12},
                 {"mode", REPORT_TEXT, 12},
                 TIME("started_at"),
                 TIME("finished_at"),
                 COUNT("transactions"),
                 COUNT("entries"),
                 COUNT("differences"),
                 {"findings", REPORT_TEXT, 0}},
     .page_column = "number",
     .place = REPORT_PLACE_NUMBER},
};
const size_t REPORT_COUNT = sizeof(REPORTS) / sizeof(REPORTS[0]);

const struct report *report_find(const char *name, size_t length) {
    for (size_t i = 0; i < REPORT_COUNT; i++) {
        if (strlen(REPORTS[i].name) == length && memcmp(REPORTS[i].name, name, length) == 0)
            return &REPORTS[i];
    }
    return NULL;
}

static bool number_valid(const char *text, size_t length) {
    bool valid = length >= 1 && length <= 18;
    for (size_t i = 0; valid && i < length; i++)
        valid = text[i] >= '0' && text[i] <= '9';
    return valid;
}

bool report_place_valid(const struct report *report, const char *text, size_t length) {
    uint8_t id[UUID_SIZE];
    char moment[MOMENT_TEXT_SIZE];
    switch (report->place) {
    case REPORT_PLACE_NUMBER:
        return number_valid(text, length);
    case REPORT_PLACE_ID:
        return uuid_parse(text, length, id);
    case REPORT_PLACE_TRANSACTION: {
        const char *slash = memchr(text, '/', length);
        size_t before = slash == NULL ? 0 : (size_t)(slash - text);
        return slash != NULL && moment_parse(text, before, MOMENT_START, moment) &&
               uuid_parse(slash + 1, length - before - 1, id);
    }
    case REPORT_PLACE_NONE:
        break;
    }
    return false;
}

const char *report_sql(const struct report *report, bool effective) {
    return effective && report->effective.sql != NULL ? report->effective.sql : report->sql;
}

const char *report_statement(const struct report *report, bool effective) {
    return effective && report->effective.sql != NULL ? report->effective.name : report->name;
}

void report_parameters_fill(const struct report_request *request,
                            struct report_parameters *parameters) {
    snprintf(parameters->ledger_id, sizeof(parameters->ledger_id), "%d", (int)request->ledger_id);
    snprintf(parameters->depth, sizeof(parameters->depth), "%d", request->depth);
    snprintf(parameters->row_limit, sizeof(parameters->row_limit), "%lld",
             (long long)request->row_limit);
    const char *const values[REPORT_PARAMETERS] = {
        parameters->ledger_id,
        request->as_of,
        request->from,
        request->to,
        request->currency,
        request->effective ? "true" : "false",
        request->account,
        parameters->depth,
        request->row_limit > 0 ? parameters->row_limit : NULL,
        request->after,
        request->owner,
    };
    memcpy(parameters->values, values, sizeof(values));
}
