/*
 * Design.  COPY ... TO STDOUT in binary form costs the server least and leaves parallel plans
 * possible, which a cursor does not.  It takes no parameters; what goes into its text are numbers.
 * All three parts have the same columns.  A row is decoded in place, in libpq's buffer.
 */
#include "reports/export_rows.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ledger_core/journal/wire.h"
#include "service_kit/uuid.h"

#define COLUMNS             17
#define HEADER_BYTES        19
#define EPOCH_DIFFERENCE_US 946684800000000LL /* 2000-01-01 */

#define RANGE                                                                                      \
    "t.ledger_id = %1$" PRId32 " AND t.created_at >= 'epoch'::timestamptz + %2$" PRId64            \
    " * interval '1 microsecond'"                                                                  \
    " AND t.created_at < 'epoch'::timestamptz + %3$" PRId64 " * interval '1 microsecond'"
#define ACCOUNT_COLUMNS "a.code, a.class, a.asset, s.decimals::integer"
#define ACCOUNT_JOINS                                                                              \
    " LEFT JOIN ledger.account a ON a.ledger_id = e.ledger_id AND a.id = e.account_id"             \
    " LEFT JOIN ledger.asset s ON s.ledger_id = a.ledger_id AND s.code = a.asset"
#define JOURNAL                                                                                    \
    "ledger.transaction t"                                                                         \
    " JOIN ledger.entry e ON e.ledger_id = t.ledger_id AND e.transaction_id = t.id"
#define EDGE_COLUMNS                                                                               \
    "NULL::uuid, NULL::timestamptz, NULL::timestamptz, NULL, NULL::uuid, NULL, NULL::uuid, NULL,"  \
    " NULL, e.account_id, "
#define EDGE_ENTRIES(which)                                                                        \
    " FROM (SELECT e.account_id, " which "(e.seq) AS seq FROM " JOURNAL " WHERE " RANGE            \
    " GROUP BY e.account_id) f"                                                                    \
    " JOIN ledger.entry e ON e.ledger_id = %1$" PRId32                                             \
    " AND e.account_id = f.account_id AND e.seq = f.seq" ACCOUNT_JOINS

static const char *const QUERIES[] = {
    [EXPORT_OPENINGS] =
        "COPY (SELECT " EDGE_COLUMNS
        "e.seq - 1, e.amount, e.balance_after - e.amount, " ACCOUNT_COLUMNS EDGE_ENTRIES(
            "min") " WHERE f.seq > 1 ORDER BY a.code)"
                   " TO STDOUT (FORMAT binary)",
    [EXPORT_ENTRIES] =
        "COPY (SELECT t.id, t.created_at, t.effective_at, t.kind, t.principal, t.idempotency_key,"
        " t.reverses, t.description, t.metadata::text, e.account_id, e.seq, e.amount,"
        " e.balance_after, " ACCOUNT_COLUMNS " FROM " JOURNAL ACCOUNT_JOINS " WHERE " RANGE
        " ORDER BY t.created_at, t.id, e.account_id, e.seq) TO STDOUT (FORMAT binary)",
    [EXPORT_CLOSINGS] = "COPY (SELECT " EDGE_COLUMNS
                        "e.seq, e.amount, e.balance_after, " ACCOUNT_COLUMNS EDGE_ENTRIES(
                            "max") " ORDER BY a.code)"
                                   " TO STDOUT (FORMAT binary)",
};
/* The same without what only tables show: less to sort. */
static const char ENTRIES_WITHOUT_DETAILS[] =
    "COPY (SELECT t.id, t.created_at, NULL::timestamptz, t.kind, NULL::uuid, NULL,"
    " t.reverses, t.description, NULL, e.account_id, e.seq, e.amount,"
    " e.balance_after, " ACCOUNT_COLUMNS " FROM " JOURNAL ACCOUNT_JOINS " WHERE " RANGE
    " ORDER BY t.created_at, t.id, e.account_id, e.seq) TO STDOUT (FORMAT binary)";

/* ---- decoding ---- */

struct field {
    char *bytes; /* NULL: SQL's NULL */
    int length;
};

/* The fields of a row; 0: the end of the data; -1: not such a row. */
static int split_row(char *at, const char *end, struct field fields[static COLUMNS]) {
    uint16_t count = 0;
    if (end - at < 2)
        return -1;
    memcpy(&count, at, sizeof(count));
    at += sizeof(count);
    if (count == 0xFFFF)
        return 0;
    if (be16toh(count) != COLUMNS)
        return -1;
    for (int i = 0; i < COLUMNS; i++) {
        int32_t length = 0;
        if (end - at < 4 || !wire_int32_get(at, 4, &length))
            return -1;
        at += 4;
        if (length > end - at || length < -1)
            return -1;
        fields[i] = (struct field){length < 0 ? NULL : at, length};
        at += length < 0 ? 0 : length;
    }
    /* Every length has been read: the byte behind a text can end it. libpq adds one at the end. */
    for (int i = 0; i < COLUMNS; i++) {
        if (fields[i].bytes != NULL)
            fields[i].bytes[fields[i].length] = '\0';
    }
    return 1;
}

static bool get_uuid(const struct field *field, char text[static EXPORT_UUID_TEXT]) {
    text[0] = '\0';
    if (field->bytes == NULL || field->length != UUID_SIZE)
        return false;
    uuid_format((const uint8_t *)field->bytes, text);
    return true;
}

static bool get_time(const struct field *field, int64_t *time_us) {
    return wire_int64_get(field->bytes, field->length, time_us) &&
           !__builtin_add_overflow(*time_us, EPOCH_DIFFERENCE_US, time_us);
}

static bool decode_transaction(const struct field *fields, struct export_row *row) {
    if (!get_uuid(&fields[0], row->transaction_id) || !get_time(&fields[1], &row->position) ||
        fields[3].bytes == NULL)
        return false;
    row->effective_us = 0;
    if (fields[2].bytes != NULL && !get_time(&fields[2], &row->effective_us))
        return false;
    row->kind = fields[3].bytes;
    row->principal = get_uuid(&fields[4], row->principal_room) ? row->principal_room : NULL;
    row->idempotency_key = fields[5].bytes;
    row->reverses = get_uuid(&fields[6], row->reverses_room) ? row->reverses_room : NULL;
    row->description = fields[7].bytes;
    row->metadata = fields[8].bytes;
    return true;
}

static bool decode_entry(const struct field *fields, struct export_row *row) {
    int32_t decimals = 0;
    if (!get_uuid(&fields[9], row->account_id) ||
        !wire_int64_get(fields[10].bytes, fields[10].length, &row->seq) ||
        !wire_numeric_get(fields[11].bytes, fields[11].length, &row->amount) ||
        !wire_numeric_get(fields[12].bytes, fields[12].length, &row->balance_after) ||
        fields[13].bytes == NULL || fields[14].bytes == NULL || fields[15].bytes == NULL ||
        !wire_int32_get(fields[16].bytes, fields[16].length, &decimals) || decimals < 0 ||
        decimals > MONEY_DECIMALS_MAX)
        return false;
    row->code = fields[13].bytes;
    row->class = fields[14].bytes;
    row->asset = fields[15].bytes;
    row->decimals = (uint8_t)decimals;
    return true;
}

static bool decode(const struct field *fields, enum export_part part, struct export_row *row) {
    bool good =
        (part != EXPORT_ENTRIES || decode_transaction(fields, row)) && decode_entry(fields, row);
    if (!good)
        source_complain("transaction %s has an entry that cannot be exported (account %s): "
                        "run ledger_report check --full",
                        row->transaction_id, row->account_id);
    return good;
}

/* ---- the stream ---- */

static bool begin_copy(struct source *source, enum export_part part, const struct export *export) {
    char sql[2048];
    const char *query = part == EXPORT_ENTRIES && !export->format->details ? ENTRIES_WITHOUT_DETAILS
                                                                           : QUERIES[part];
    /* -Wformat-nonliteral: the queries are ours, all with the same three numbers. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int length = snprintf(sql, sizeof(sql), query, source->ledger_id, export->from, export->to);
#pragma GCC diagnostic pop
    if (length < 0 || (size_t)length >= sizeof(sql))
        return false;
    PGresult *result = PQexec(source->connection, sql);
    bool good = PQresultStatus(result) == PGRES_COPY_OUT;
    if (!good)
        source_complain("the database refuses: %s", PQerrorMessage(source->connection));
    PQclear(result);
    return good;
}

/* How the COPY ended, after its last row. */
static bool end_copy(struct source *source) {
    bool good = true;
    PGresult *result;
    while ((result = PQgetResult(source->connection)) != NULL) {
        if (PQresultStatus(result) != PGRES_COMMAND_OK) {
            source_complain("the database stopped: %s", PQerrorMessage(source->connection));
            good = false;
        }
        PQclear(result);
    }
    return good;
}

bool export_rows(struct source *source, enum export_part part, const struct export *export,
                 bool (*on_row)(void *owner, const struct export_row *row), void *owner) {
    static const char signature[] = "PGCOPY\n\377\r\n";
    if (!begin_copy(source, part, export))
        return false;
    struct export_row row = {0};
    bool header = true, good = true;
    char *data = NULL;
    int length;
    while (good && (length = PQgetCopyData(source->connection, &data, 0)) > 0) {
        char *at = data;
        if (header) {
            good = length >= HEADER_BYTES && memcmp(data, signature, sizeof(signature)) == 0;
            at += good ? HEADER_BYTES : 0;
            header = false;
        }
        struct field fields[COLUMNS];
        int split = good ? split_row(at, data + length, fields) : -1;
        if (split < 0) {
            source_complain("the database sent rows of an unexpected form");
            good = false;
        } else if (split > 0) {
            good = decode(fields, part, &row) && on_row(owner, &row);
        }
        PQfreemem(data);
    }
    /* Stopped in the middle: what is still on its way is of no use, and the caller gives up. */
    return good && end_copy(source);
}
