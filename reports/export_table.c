/*
 * Design.  CSV has a line per entry, JSON Lines an object per transaction.  Both carry everything
 * that the journal knows.
 */
#include <stdio.h>

#include "reports/export.h"
#include "reports/render.h"

static void put_time(struct export *export, struct output *output, int64_t time_us) {
    char text[EXPORT_TIME_TEXT];
    export_time(&export->clock, time_us, text);
    output_text(output, text);
}

/* ---- CSV ---- */

static void begin_csv(struct export *export) {
    output_text(export->output,
                "position,transaction_id,kind,booked_at,effective_at,principal,idempotency_key,"
                "reverses,description,account_id,account_code,class,currency,decimals,seq,amount,"
                "balance_after\r\n");
}

static void put_cell(struct output *output, const char *text) {
    if (text != NULL)
        render_csv_cell(output, text);
    output_text(output, ",");
}

/* The first columns of all its entries. */
static void transaction_csv(struct export *export, const struct export_row *row) {
    struct output *output = &export->shared;
    output->length = 0;
    output_number(output, row->position);
    output_bytes(output, ",", 1);
    output_bytes(output, row->transaction_id, UUID_TEXT_LENGTH);
    output_bytes(output, ",", 1);
    output_text(output, row->kind);
    output_bytes(output, ",", 1);
    put_time(export, output, row->position);
    output_bytes(output, ",", 1);
    put_time(export, output, row->effective_us);
    output_bytes(output, ",", 1);
    put_cell(output, row->principal);
    put_cell(output, row->idempotency_key);
    put_cell(output, row->reverses);
    put_cell(output, row->description);
}

static void piece_csv(struct output *output, const struct export_account *account, int number) {
    if (number > 0)
        return;
    put_cell(output, account->id_text);
    put_cell(output, account->code);
    output_format(output, "%s,%s,%d,", account->class, account->asset, (int)account->decimals);
}

static void entry_csv(struct export *export, const struct export_row *row) {
    struct output *output = export->output;
    output_bytes(output, export->shared.bytes, export->shared.length);
    export_piece(output, row->account, 0);
    output_number(output, row->seq);
    output_bytes(output, ",", 1);
    export_amount(output, row->amount, row->account->decimals);
    output_bytes(output, ",", 1);
    export_amount(output, row->balance_after, row->account->decimals);
    output_bytes(output, "\r\n", 2);
}

/* ---- JSON Lines ---- */

static void put_member(struct output *output, const char *name, const char *text) {
    output_bytes(output, ",\"", 2);
    output_text(output, name);
    output_bytes(output, "\":", 2);
    if (text != NULL)
        render_json_string(output, text);
    else
        output_text(output, "null");
}

static void transaction_jsonl(struct export *export, const struct export_row *row) {
    struct output *output = export->output;
    output_text(output, "{\"position\":");
    output_number(output, row->position);
    put_member(output, "id", row->transaction_id);
    put_member(output, "kind", row->kind);
    output_text(output, ",\"booked_at\":\"");
    put_time(export, output, row->position);
    output_text(output, "\",\"effective_at\":\"");
    put_time(export, output, row->effective_us);
    output_text(output, "\"");
    put_member(output, "principal", row->principal);
    put_member(output, "idempotency_key", row->idempotency_key);
    put_member(output, "reverses", row->reverses);
    put_member(output, "description", row->description);
    output_text(output, ",\"metadata\":");
    output_text(output, row->metadata == NULL ? "null" : row->metadata);
    output_text(output, ",\"entries\":[");
}

/* "{" account "seq": number "amount": amount "balance_after": balance "}" */
static void piece_jsonl(struct output *output, const struct export_account *account, int number) {
    if (number > 0) {
        output_text(output, number == 1 ? ",\"amount\":\"" : "\",\"balance_after\":\"");
        return;
    }
    output_format(output, "{\"account_id\":\"%s\"", account->id_text);
    put_member(output, "account_code", account->code);
    put_member(output, "class", account->class);
    put_member(output, "currency", account->asset);
    output_format(output, ",\"decimals\":%d,\"seq\":", (int)account->decimals);
}

static void entry_jsonl(struct export *export, const struct export_row *row) {
    struct output *output = export->output;
    const struct export_account *account = row->account;
    if (!row->first)
        output_bytes(output, ",", 1);
    export_piece(output, account, 0);
    output_number(output, row->seq);
    export_piece(output, account, 1);
    export_amount(output, row->amount, account->decimals);
    export_piece(output, account, 2);
    export_amount(output, row->balance_after, account->decimals);
    output_bytes(output, "\"}", 2);
}

static void end_jsonl(struct export *export) {
    output_text(export->output, "]}\n");
}

const struct export_format EXPORT_CSV = {
    .name = "csv",
    .details = true,
    .begin = begin_csv,
    .piece = piece_csv,
    .transaction = transaction_csv,
    .entry = entry_csv,
};

const struct export_format EXPORT_JSONL = {
    .name = "jsonl",
    .details = true,
    .piece = piece_jsonl,
    .transaction = transaction_jsonl,
    .entry = entry_jsonl,
    .transaction_end = end_jsonl,
};
