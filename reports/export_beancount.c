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

static void put_money(struct output *output, money_minor minor,
                      const struct export_account *account) {
    export_amount(output, minor, account->decimals);
    output_text(output, " ");
    put_currency(output, account->asset);
}

static void begin(struct export *export) {
    output_format(export->output, "; beancount journal of ledger %s, positions %lld to %lld\n",
                  export->ledger_name, (long long)export->from, (long long)export->to);
    output_text(export->output, "option \"inferred_tolerance_multiplier\" \"0\"\n");
    if (export->from > 0)
        output_text(export->output, "1970-01-01 open " OPENING_ACCOUNT "\n");
}

static void currency(struct export *export, const struct export_account *account) {
    output_text(export->output, "1970-01-01 commodity ");
    put_currency(export->output, account->asset);
    output_format(export->output, "\n  decimals: %d\n", (int)account->decimals);
}

static void account(struct export *export, const struct export_account *account) {
    output_format(export->output, "%s open ", export->date);
    export_beancount_name(export->output, account);
    output_text(export->output, " ");
    put_currency(export->output, account->asset);
    output_text(export->output, "\n  code: \"");
    export_escaped(export->output, account->code);
    output_format(export->output, "\"\n  id: \"%s\"\n", account->id_text);
}

static void opening(struct export *export, const struct export_row *row) {
    output_format(export->output, "\n%s * \"opening balance\"\n  ", export->date);
    export_beancount_name(export->output, row->account);
    output_text(export->output, "  ");
    put_money(export->output, row->balance_after, row->account);
    output_text(export->output, "\n  " OPENING_ACCOUNT "  ");
    put_money(export->output, -row->balance_after, row->account);
    output_text(export->output, "\n");
}

static void transaction(struct export *export, const struct export_row *row) {
    struct output *output = export->output;
    output_bytes(output, "\n", 1);
    output_text(output, export->date);
    output_text(output, " * \"");
    output_text(output, row->kind);
    output_text(output, "\" \"");
    if (row->description != NULL)
        export_escaped(output, row->description);
    output_text(output, "\"\n  id: \"");
    output_bytes(output, row->transaction_id, UUID_TEXT_LENGTH);
    output_text(output, "\"\n");
    if (row->reverses != NULL)
        output_format(output, "  reverses: \"%s\"\n", row->reverses);
}

/* "  name  " amount " RUB\n    seq: " number */
static void piece(struct output *output, const struct export_account *account, int number) {
    if (number == 0) {
        output_text(output, "  ");
        export_beancount_name(output, account);
        output_text(output, "  ");
    } else if (number == 1) {
        output_text(output, " ");
        put_currency(output, account->asset);
        output_text(output, "\n    seq: ");
    }
}

static void entry(struct export *export, const struct export_row *row) {
    struct output *output = export->output;
    export_piece(output, row->account, 0);
    export_amount(output, row->amount, row->account->decimals);
    export_piece(output, row->account, 1);
    output_number(output, row->seq);
    output_bytes(output, "\n", 1);
}

static void closing(struct export *export, const struct export_row *row) {
    char date[EXPORT_DATE_TEXT];
    export_date(row->position + US_PER_DAY, date);
    output_format(export->output, "%s balance ", date);
    export_beancount_name(export->output, row->account);
    output_text(export->output, "  ");
    export_amount(export->output, row->balance_after, row->account->decimals);
    output_text(export->output, " ~ 0 ");
    put_currency(export->output, row->account->asset);
    output_text(export->output, "\n");
}

const struct export_format EXPORT_BEANCOUNT = {
    .name = "beancount",
    .openings = true,
    .closings = true,
    .begin = begin,
    .currency = currency,
    .account = account,
    .piece = piece,
    .opening = opening,
    .transaction = transaction,
    .entry = entry,
    .closing = closing,
};
