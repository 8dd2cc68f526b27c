/*
 * Design.  hledger and ledger read the same lines; they differ in how currencies and accounts are
 * declared.  Every posting asserts its account's running balance, so that a line that is missing,
 * doubled or changed is found by the program that reads it.
 */
#include <string.h>

#include "reports/export.h"

#define OPENING_ACCOUNT "equity:opening balances"

static void put_currency(struct output *output, const char *asset) {
    /* A symbol with a digit or an underscore has to be quoted. */
    bool quoted = strpbrk(asset, "0123456789_") != NULL;
    output_text(output, quoted ? "\"" : "");
    output_text(output, asset);
    output_text(output, quoted ? "\"" : "");
}

static void put_money(struct output *output, money_minor minor, const struct export_row *row) {
    export_amount(output, minor, row->decimals);
    output_text(output, " ");
    put_currency(output, row->asset);
}

static void put_header(const struct export *export, const char *program) {
    char from[EXPORT_TIME_TEXT], to[EXPORT_TIME_TEXT];
    export_time(export->from, from);
    export_time(export->to, to);
    output_format(export->output, "; %s journal of ledger %s, positions %lld to %lld\n", program,
                  export->ledger_name, (long long)export->from, (long long)export->to);
    output_format(export->output, "; booked from %s on, before %s\n", from, to);
}

/* Where the balances before a range come from. */
static void declare_opening(struct export *export) {
    if (export->from > 0)
        output_text(export->output, "account " OPENING_ACCOUNT "\n");
}

static void begin_hledger(struct export *export) {
    put_header(export, "hledger");
    output_text(export->output, "decimal-mark .\n\n");
    declare_opening(export);
}

static void begin_ledger(struct export *export) {
    put_header(export, "ledger");
    output_text(export->output, "\n");
    declare_opening(export);
}

/* "1000.00", the sample of how amounts of a currency are written; "1000." without decimals. */
static void put_sample(struct output *output, const struct export_row *row) {
    output_text(output, "1000.");
    for (unsigned i = 0; i < row->decimals; i++)
        output_text(output, "0");
    output_text(output, " ");
    put_currency(output, row->asset);
}

static void currency_hledger(struct export *export, const struct export_row *row) {
    output_text(export->output, "commodity ");
    put_sample(export->output, row);
    output_text(export->output, "\n");
}

static void currency_ledger(struct export *export, const struct export_row *row) {
    output_text(export->output, "commodity ");
    put_currency(export->output, row->asset);
    output_text(export->output, "\n");
}

static void put_account(struct export *export, const struct export_row *row) {
    output_text(export->output, "account ");
    export_account_name(export->output, row);
}

static void account_hledger(struct export *export, const struct export_row *row) {
    static const char *const types[][2] = {
        {"asset", "A"}, {"liability", "L"}, {"equity", "E"}, {"income", "R"}, {"expense", "X"}};
    put_account(export, row);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i][0], row->class) == 0)
            output_format(export->output, "  ; type:%s", types[i][1]);
    }
    output_format(export->output, ", id:%s\n", row->account_id);
}

static void account_ledger(struct export *export, const struct export_row *row) {
    put_account(export, row);
    output_text(export->output, "\n");
}

static void transaction(struct export *export, const struct export_row *row) {
    output_format(export->output, "\n%s * (%s) %s", export->date, row->transaction_id, row->kind);
    if (row->description != NULL && row->description[0] != '\0') {
        output_text(export->output, " | ");
        export_escaped(export->output, row->description);
    }
    output_format(export->output, "  ; id:%s, position:%lld", row->transaction_id,
                  (long long)row->position);
    if (row->reverses != NULL)
        output_format(export->output, ", reverses:%s", row->reverses);
    output_text(export->output, "\n");
}

static void entry(struct export *export, const struct export_row *row, bool first) {
    (void)first;
    struct output *output = export->output;
    output_text(output, "    ");
    export_account_name(output, row);
    output_text(output, "  ");
    put_money(output, row->amount, row);
    output_text(output, " = ");
    put_money(output, row->balance_after, row);
    output_format(output, "  ; seq:%lld\n", (long long)row->seq);
}

static void opening(struct export *export, const struct export_row *row) {
    struct output *output = export->output;
    output_format(output, "\n%s * opening balance\n    ", export->date);
    export_account_name(output, row);
    output_text(output, "  ");
    put_money(output, row->balance_after, row);
    output_text(output, " = ");
    put_money(output, row->balance_after, row);
    output_format(output, "  ; seq:%lld\n    " OPENING_ACCOUNT "  ", (long long)row->seq);
    put_money(output, -row->balance_after, row);
    output_text(output, "\n");
}

const struct export_format EXPORT_HLEDGER = {
    .name = "hledger",
    .openings = true,
    .begin = begin_hledger,
    .currency = currency_hledger,
    .account = account_hledger,
    .opening = opening,
    .transaction = transaction,
    .entry = entry,
};

const struct export_format EXPORT_LEDGER = {
    .name = "ledger",
    .openings = true,
    .begin = begin_ledger,
    .currency = currency_ledger,
    .account = account_ledger,
    .opening = opening,
    .transaction = transaction,
    .entry = entry,
};
