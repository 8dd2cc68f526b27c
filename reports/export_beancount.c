/*
 * Design.  beancount asserts a balance at the start of a day, so the balances are asserted once, on
 * the day after the last transaction.  Tolerances are zero: to the last minor unit.
 */
#include <stdio.h>
#include <string.h>

#include "reports/export.h"

#define OPENING_ACCOUNT "Equity:Opening-BALANCES"
#define US_PER_DAY      86400000000LL

/* A currency ends with a letter or a digit there; "." stands in none of ours. */
static void put_currency(struct output *output, const char *asset) {
    output_text(output, asset);
    if (asset[strlen(asset) - 1] == '_')
        output_text(output, ".0");
}

static void put_money(struct output *output, money_minor minor, const struct export_row *row) {
    export_amount(output, minor, row->decimals);
    output_text(output, " ");
    put_currency(output, row->asset);
}

static void begin(struct export *export) {
    output_format(export->output, "; beancount journal of ledger %s, positions %lld to %lld\n",
                  export->ledger_name, (long long)export->from, (long long)export->to);
    output_text(export->output, "option \"inferred_tolerance_multiplier\" \"0\"\n");
    if (export->from > 0)
        output_text(export->output, "1970-01-01 open " OPENING_ACCOUNT "\n");
}

static void currency(struct export *export, const struct export_row *row) {
    output_text(export->output, "1970-01-01 commodity ");
    put_currency(export->output, row->asset);
    output_format(export->output, "\n  decimals: %d\n", (int)row->decimals);
}

static void account(struct export *export, const struct export_row *row) {
    output_format(export->output, "%s open ", export->date);
    export_beancount_name(export->output, row);
    output_text(export->output, " ");
    put_currency(export->output, row->asset);
    output_text(export->output, "\n  code: \"");
    export_escaped(export->output, row->code);
    output_format(export->output, "\"\n  id: \"%s\"\n", row->account_id);
}

static void opening(struct export *export, const struct export_row *row) {
    output_format(export->output, "\n%s * \"opening balance\"\n  ", export->date);
    export_beancount_name(export->output, row);
    output_text(export->output, "  ");
    put_money(export->output, row->balance_after, row);
    output_text(export->output, "\n  " OPENING_ACCOUNT "  ");
    put_money(export->output, -row->balance_after, row);
    output_text(export->output, "\n");
}

static void transaction(struct export *export, const struct export_row *row) {
    output_format(export->output, "\n%s * \"%s\" \"", export->date, row->kind);
    if (row->description != NULL)
        export_escaped(export->output, row->description);
    output_format(export->output, "\"\n  id: \"%s\"\n", row->transaction_id);
    if (row->reverses != NULL)
        output_format(export->output, "  reverses: \"%s\"\n", row->reverses);
}

static void entry(struct export *export, const struct export_row *row, bool first) {
    (void)first;
    output_text(export->output, "  ");
    export_beancount_name(export->output, row);
    output_text(export->output, "  ");
    put_money(export->output, row->amount, row);
    output_format(export->output, "\n    seq: %lld\n", (long long)row->seq);
}

static void closing(struct export *export, const struct export_row *row) {
    char date[EXPORT_DATE_TEXT];
    export_date(row->position + US_PER_DAY, date);
    output_format(export->output, "%s balance ", date);
    export_beancount_name(export->output, row);
    output_text(export->output, "  ");
    export_amount(export->output, row->balance_after, row->decimals);
    output_text(export->output, " ~ 0 ");
    put_currency(export->output, row->asset);
    output_text(export->output, "\n");
}

const struct export_format EXPORT_BEANCOUNT = {
    .name = "beancount",
    .openings = true,
    .closings = true,
    .begin = begin,
    .currency = currency,
    .account = account,
    .opening = opening,
    .transaction = transaction,
    .entry = entry,
    .closing = closing,
};
