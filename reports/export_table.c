/*
 * Design.  CSV has a line per entry, JSON Lines an object per transaction.  Both carry everything
 * that the journal knows.
 */
#include <stdio.h>

#include "reports/export.h"
#include "reports/render.h"

static void put_time(struct output *output, int64_t time_us) {
    char text[EXPORT_TIME_TEXT];
    export_time(time_us, text);
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

static void entry_csv(struct export *export, const struct export_row *row, bool first) {
    (void)first;
    struct output *output = export->output;
    output_format(output, "%lld,%s,%s,", (long long)row->position, row->transaction_id, row->kind);
    put_time(output, row->position);
    output_text(output, ",");
    put_time(output, row->effective_us);
    output_text(output, ",");
    put_cell(output, row->principal);
    put_cell(output, row->idempotency_key);
    put_cell(output, row->reverses);
    put_cell(output, row->description);
    output_format(output, "%s,", row->account_id);
    put_cell(output, row->code);
    output_format(output, "%s,%s,%d,%lld,", row->class, row->asset, (int)row->decimals,
                  (long long)row->seq);
    export_amount(output, row->amount, row->decimals);
    output_text(output, ",");
    export_amount(output, row->balance_after, row->decimals);
    output_text(output, "\r\n");
}

/* ---- JSON Lines ---- */

static void put_member(struct output *output, const char *name, const char *text) {
    output_format(output, ",\"%s\":", name);
    if (text != NULL)
        render_json_string(output, text);
    else
        output_text(output, "null");
}

static void transaction_jsonl(struct export *export, const struct export_row *row) {
    struct output *output = export->output;
    output_format(output, "{\"position\":%lld", (long long)row->position);
    put_member(output, "id", row->transaction_id);
    put_member(output, "kind", row->kind);
    output_text(output, ",\"booked_at\":\"");
    put_time(output, row->position);
    output_text(output, "\",\"effective_at\":\"");
    put_time(output, row->effective_us);
    output_text(output, "\"");
    put_member(output, "principal", row->principal);
    put_member(output, "idempotency_key", row->idempotency_key);
    put_member(output, "reverses", row->reverses);
    put_member(output, "description", row->description);
    output_text(output, ",\"metadata\":");
    output_text(output, row->metadata == NULL ? "null" : row->metadata);
    output_text(output, ",\"entries\":[");
}

static void entry_jsonl(struct export *export, const struct export_row *row, bool first) {
    struct output *output = export->output;
    output_format(output, "%s{\"account_id\":\"%s\"", first ? "" : ",", row->account_id);
    put_member(output, "account_code", row->code);
    put_member(output, "class", row->class);
    put_member(output, "currency", row->asset);
    output_format(output, ",\"decimals\":%d,\"seq\":%lld,\"amount\":\"", (int)row->decimals,
                  (long long)row->seq);
    export_amount(output, row->amount, row->decimals);
    output_text(output, "\",\"balance_after\":\"");
    export_amount(output, row->balance_after, row->decimals);
    output_text(output, "\"}");
}

static void end_jsonl(struct export *export) {
    output_text(export->output, "]}\n");
}

const struct export_format EXPORT_CSV = {
    .name = "csv",
    .details = true,
    .begin = begin_csv,
    .entry = entry_csv,
};

const struct export_format EXPORT_JSONL = {
    .name = "jsonl",
    .details = true,
    .transaction = transaction_jsonl,
    .entry = entry_jsonl,
    .transaction_end = end_jsonl,
};
