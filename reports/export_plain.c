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

static void put_money(struct output *output, money_minor minor,
                      const struct export_account *account) {
    export_amount(output, minor, account->decimals);
    output_text(output, " ");
    put_currency(output, account->asset);
}

static void put_header(struct export *export, const char *program) {
    char from[EXPORT_TIME_TEXT], to[EXPORT_TIME_TEXT];
    export_time(&export->clock, export->from, from);
    export_time(&export->clock, export->to, to);
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
static void put_sample(struct output *output, const struct export_account *account) {
    output_text(output, "1000.");
    for (unsigned i = 0; i < account->decimals; i++)
        output_text(output, "0");
    output_text(output, " ");
    put_currency(output, account->asset);
}

static void currency_hledger(struct export *export, const struct export_account *account) {
    output_text(export->output, "commodity ");
    put_sample(export->output, account);
    output_text(export->output, "\n");
}

static void currency_ledger(struct export *export, const struct export_account *account) {
    output_text(export->output, "commodity ");
    put_currency(export->output, account->asset);
    output_text(export->output, "\n");
}

static void put_account(struct export *export, const struct export_account *account) {
    output_text(export->output, "account ");
    export_account_name(export->output, account);
}

static void account_hledger(struct export *export, const struct export_account *account) {
    static const char *const types[][2] = {
        {"asset", "A"}, {"liability", "L"}, {"equity", "E"}, {"income", "R"}, {"expense", "X"}};
    put_account(export, account);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i][0], account->class) == 0)
            output_format(export->output, "  ; type:%s", types[i][1]);
    }
    output_format(export->output, ", id:%s\n", account->id_text);
}

static void account_ledger(struct export *export, const struct export_account *account) {
    put_account(export, account);
    output_text(export->output, "\n");
}

static void transaction(struct export *export, const struct export_row *row) {
    struct output *output = export->output;
    output_bytes(output, "\n", 1);
    output_text(output, export->date);
    output_text(output, " * (");
    output_bytes(output, row->transaction_id, UUID_TEXT_LENGTH);
    output_text(output, ") ");
    output_text(output, row->kind);
    if (row->description != NULL && row->description[0] != '\0') {
        output_text(output, " | ");
        export_escaped(output, row->description);
    }
    output_text(output, "  ; id:");
    output_bytes(output, row->transaction_id, UUID_TEXT_LENGTH);
    output_text(output, ", position:");
    output_number(output, row->position);
    if (row->reverses != NULL) {
        output_text(output, ", reverses:");
        output_text(output, row->reverses);
    }
    output_text(output, "\n");
}

/* "    name  " amount " RUB = " balance " RUB  ; seq:" number */
static void piece(struct output *output, const struct export_account *account, int number) {
    static const char *const before[] = {"    ", " ", " "}, *const after[] = {"  ", " = ",
                                                                              "  ; seq:"};
    output_text(output, before[number]);
    if (number == 0)
        export_account_name(output, account);
    else
        put_currency(output, account->asset);
    output_text(output, after[number]);
}

static void entry(struct export *export, const struct export_row *row) {
    struct output *output = export->output;
    const struct export_account *account = row->account;
    export_piece(output, account, 0);
    export_amount(output, row->amount, account->decimals);
    export_piece(output, account, 1);
    export_amount(output, row->balance_after, account->decimals);
    export_piece(output, account, 2);
    output_number(output, row->seq);
    output_bytes(output, "\n", 1);
}

static void opening(struct export *export, const struct export_row *row) {
    struct output *output = export->output;
    output_format(output, "\n%s * opening balance\n    ", export->date);
    export_account_name(output, row->account);
    output_text(output, "  ");
    put_money(output, row->balance_after, row->account);
    output_text(output, " = ");
    put_money(output, row->balance_after, row->account);
    output_format(output, "  ; seq:%lld\n    " OPENING_ACCOUNT "  ", (long long)row->seq);
    put_money(output, -row->balance_after, row->account);
    output_text(output, "\n");
}

const struct export_format EXPORT_HLEDGER = {
    .name = "hledger",
    .openings = true,
    .begin = begin_hledger,
    .currency = currency_hledger,
    .account = account_hledger,
    .piece = piece,
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
    .piece = piece,
    .opening = opening,
    .transaction = transaction,
    .entry = entry,
};
