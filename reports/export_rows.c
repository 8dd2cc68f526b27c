/*
 * Design.  COPY ... TO STDOUT in binary form costs the server least and leaves parallel plans
 * possible, which a cursor does not.  It takes no parameters; what goes into its text are numbers.
 * All parts have the same columns, the account first, so that a window's accounts are found without
 * splitting its rows.  A row is decoded in place, in libpq's buffer, and its transaction once.
 */
#include "reports/export_rows.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_core/journal/wire.h"
#include "service_kit/memory.h"

#define HEADER_BYTES 19
#define WINDOW_ROWS  EXPORT_ACCOUNTS_WANTED_MAX
#define WINDOW_BYTES (4U << 20) /* and one row more */

enum column {
    ACCOUNT_ID,
    TRANSACTION_ID,
    CREATED_AT,
    SEQ,
    AMOUNT,
    BALANCE_AFTER,
    KIND,
    REVERSES,
    DESCRIPTION,
    COLUMNS_WITHOUT_DETAILS,
    EFFECTIVE_AT = COLUMNS_WITHOUT_DETAILS,
    PRINCIPAL,
    IDEMPOTENCY_KEY,
    METADATA,
    COLUMNS_MAX,
};

#define RANGE                                                                                      \
    "t.ledger_id = %1$" PRId32 " AND t.created_at >= 'epoch'::timestamptz + %2$" PRId64            \
    " * interval '1 microsecond'"                                                                  \
    " AND t.created_at < 'epoch'::timestamptz + %3$" PRId64 " * interval '1 microsecond'"
#define JOURNAL                                                                                    \
    "ledger.transaction t"                                                                         \
    " JOIN ledger.entry e ON e.ledger_id = t.ledger_id AND e.transaction_id = t.id"
#define EDGES(which, balance)                                                                      \
    "COPY (SELECT e.account_id, NULL::uuid, NULL::timestamptz, e.seq, e.amount, " balance          \
    ", NULL, NULL::uuid, NULL FROM (SELECT e.account_id, " which "(e.seq) AS seq FROM " JOURNAL    \
    " WHERE " RANGE " GROUP BY e.account_id) f"                                                    \
    " JOIN ledger.entry e ON e.ledger_id = %1$" PRId32                                             \
    " AND e.account_id = f.account_id AND e.seq = f.seq"                                           \
    " LEFT JOIN ledger.account a ON a.ledger_id = e.ledger_id AND a.id = e.account_id"
#define ENTRIES(details)                                                                           \
    "COPY (SELECT e.account_id, t.id, t.created_at, e.seq, e.amount, e.balance_after, t.kind,"     \
    " t.reverses, t.description" details " FROM " JOURNAL " WHERE " RANGE                          \
    " ORDER BY t.created_at, t.id, e.account_id, e.seq) TO STDOUT (FORMAT binary)"

static const char *const QUERIES[] = {
    [EXPORT_OPENINGS] =
        EDGES("min", "e.balance_after - e.amount") " WHERE f.seq > 1"
                                                   " ORDER BY a.code) TO STDOUT (FORMAT binary)",
    [EXPORT_ENTRIES] = ENTRIES(""), /* what only tables show would have to be sorted, too */
    [EXPORT_CLOSINGS] = EDGES("max", "e.balance_after") " ORDER BY a.code"
                                                        ") TO STDOUT (FORMAT binary)",
};
static const char ENTRIES_WITH_DETAILS[] =
    ENTRIES(", t.effective_at, t.principal, t.idempotency_key, t.metadata::text");

/* ---- decoding ---- */

struct field {
    char *bytes; /* NULL: SQL's NULL */
    int length;
};

/* How many fields a row has; -1: the end of the data. */
static int field_count(const char *at, const char *end) {
    uint16_t count = 0;
    if (end - at < (ptrdiff_t)sizeof(count))
        return 0;
    memcpy(&count, at, sizeof(count));
    return count == 0xFFFF ? -1 : be16toh(count);
}

static bool split_row(char *at, const char *end, struct field fields[static COLUMNS_MAX]) {
    int count = field_count(at, end);
    if (count != COLUMNS_WITHOUT_DETAILS && count != COLUMNS_MAX)
        return false;
    at += 2;
    for (int i = 0; i < count; i++) {
        int32_t length = 0;
        if (end - at < 4 || !wire_int32_get(at, 4, &length))
            return false;
        at += 4;
        if (length > end - at || length < -1)
            return false;
        fields[i] = (struct field){length < 0 ? NULL : at, length};
        at += length < 0 ? 0 : length;
    }
    /* Every length has been read: the byte behind a text can end it. libpq adds one at the end. */
    for (int i = 0; i < count; i++) {
        if (fields[i].bytes != NULL)
            fields[i].bytes[fields[i].length] = '\0';
    }
    for (int i = count; i < COLUMNS_MAX; i++)
        fields[i] = (struct field){NULL, -1};
    return true;
}

static const uint8_t *uuid_of(const struct field *field) {
    return field->length == UUID_SIZE ? (const uint8_t *)field->bytes : NULL;
}

static const char *get_uuid(const struct field *field, char room[static EXPORT_UUID_TEXT]) {
    const uint8_t *uuid = uuid_of(field);
    if (uuid != NULL)
        uuid_format(uuid, room);
    return uuid == NULL ? NULL : room;
}

static bool get_time(const struct field *field, int64_t *time_us) {
    return wire_int64_get(field->bytes, field->length, time_us) &&
           !__builtin_add_overflow(*time_us, WIRE_EPOCH_US, time_us);
}

static bool decode_transaction(const struct field *fields, struct export_row *row) {
    if (get_uuid(&fields[TRANSACTION_ID], row->transaction_id) == NULL ||
        !get_time(&fields[CREATED_AT], &row->position) || fields[KIND].bytes == NULL)
        return false;
    row->effective_us = 0;
    if (fields[EFFECTIVE_AT].bytes != NULL && !get_time(&fields[EFFECTIVE_AT], &row->effective_us))
        return false;
    row->kind = fields[KIND].bytes;
    row->principal = get_uuid(&fields[PRINCIPAL], row->principal_room);
    row->idempotency_key = fields[IDEMPOTENCY_KEY].bytes;
    row->reverses = get_uuid(&fields[REVERSES], row->reverses_room);
    row->description = fields[DESCRIPTION].bytes;
    row->metadata = fields[METADATA].bytes;
    return true;
}

static bool decode_entry(const struct field *fields, const struct export_accounts *accounts,
                         struct export_row *row) {
    const uint8_t *account_id = uuid_of(&fields[ACCOUNT_ID]);
    if (account_id == NULL)
        return false;
    row->account = export_accounts_find(accounts, account_id);
    return row->account != NULL &&
           wire_int64_get(fields[SEQ].bytes, fields[SEQ].length, &row->seq) &&
           wire_numeric_get(fields[AMOUNT].bytes, fields[AMOUNT].length, &row->amount) &&
           wire_numeric_get(fields[BALANCE_AFTER].bytes, fields[BALANCE_AFTER].length,
                            &row->balance_after);
}

static void complain_of_entry(const struct field *fields) {
    char transaction[EXPORT_UUID_TEXT] = "", account[EXPORT_UUID_TEXT] = "";
    get_uuid(&fields[TRANSACTION_ID], transaction);
    get_uuid(&fields[ACCOUNT_ID], account);
    source_complain("transaction %s has an entry that cannot be exported (account %s): "
                    "run ledger_report check --full",
                    transaction, account);
}

/* ---- the stream ---- */

struct stream {
    struct source *source;
    struct export_accounts *accounts;
    enum export_part part;
    bool header_seen, over;
    struct export_row row;
    uint8_t transaction_id[UUID_SIZE]; /* of the row before */
    size_t count;                      /* rows in the window */
    struct {
        char *memory, *at, *end; /* memory is libpq's */
    } rows[WINDOW_ROWS];
};

static bool begin_copy(struct source *source, const struct export_query *query) {
    char sql[2048];
    bool details = query->part == EXPORT_ENTRIES && query->details;
    const char *text = details ? ENTRIES_WITH_DETAILS : QUERIES[query->part];
    /* -Wformat-nonliteral: the queries are ours, all with the same three numbers. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int length = snprintf(sql, sizeof(sql), text, source->ledger_id, query->from, query->to);
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

static void empty_window(struct stream *stream) {
    for (size_t i = 0; i < stream->count; i++)
        PQfreemem(stream->rows[i].memory);
    stream->count = 0;
}

/* A row's account is wanted; true also for one that says that it is the end. */
static bool take_in(struct stream *stream, char *at, const char *end) {
    static const char signature[] = "PGCOPY\n\377\r\n";
    if (!stream->header_seen) {
        if (end - at < HEADER_BYTES || memcmp(at, signature, sizeof(signature)) != 0)
            return false;
        at += HEADER_BYTES;
        stream->header_seen = true;
        stream->rows[stream->count].at = at;
    }
    int32_t length = 0;
    if (field_count(at, end) < 0)
        return true;
    if (end - at < 2 + 4 + UUID_SIZE || !wire_int32_get(at + 2, 4, &length) || length != UUID_SIZE)
        return false;
    export_accounts_want(stream->accounts, (const uint8_t *)at + 2 + 4);
    stream->count++;
    return true;
}

/* Rows into the window until it is full or the data is over. */
static bool fill_window(struct stream *stream) {
    size_t bytes = 0;
    while (!stream->over && stream->count < WINDOW_ROWS && bytes < WINDOW_BYTES) {
        char *data = NULL;
        int length = PQgetCopyData(stream->source->connection, &data, 0);
        if (length <= 0) {
            stream->over = true;
            break;
        }
        size_t before = stream->count;
        bytes += (size_t)length;
        stream->rows[before].memory = stream->rows[before].at = data;
        stream->rows[before].end = data + length;
        bool good = take_in(stream, data, data + length);
        if (stream->count == before)
            PQfreemem(data);
        if (!good) {
            source_complain("the database sent rows of an unexpected form");
            return false;
        }
    }
    return true;
}

static bool pass_on(struct stream *stream, size_t number,
                    bool (*on_row)(void *owner, const struct export_row *row), void *owner) {
    struct field fields[COLUMNS_MAX];
    struct export_row *row = &stream->row;
    if (!split_row(stream->rows[number].at, stream->rows[number].end, fields)) {
        source_complain("the database sent rows of an unexpected form");
        return false;
    }
    bool good = true;
    if (stream->part == EXPORT_ENTRIES) {
        const uint8_t *id = uuid_of(&fields[TRANSACTION_ID]);
        row->first = id == NULL || row->transaction_id[0] == '\0' ||
                     memcmp(id, stream->transaction_id, UUID_SIZE) != 0;
        if (row->first) {
            good = decode_transaction(fields, row);
            if (id != NULL)
                memcpy(stream->transaction_id, id, UUID_SIZE);
        }
    }
    if (good && decode_entry(fields, stream->accounts, row))
        return on_row(owner, row);
    complain_of_entry(fields);
    return false;
}

bool export_rows(struct source *source, struct export_accounts *accounts,
                 const struct export_query *query,
                 bool (*on_row)(void *owner, const struct export_row *row), void *owner) {
    if (!begin_copy(source, query))
        return false;
    struct stream *stream = memory_allocate(1, sizeof(*stream));
    stream->source = source;
    stream->accounts = accounts;
    stream->part = query->part;
    bool good = true;
    while (good && !stream->over) {
        export_accounts_tidy(accounts);
        good = fill_window(stream) && export_accounts_fetch(accounts);
        for (size_t i = 0; good && i < stream->count; i++)
            good = pass_on(stream, i, on_row, owner);
        empty_window(stream);
    }
    free(stream);
    /* Stopped in the middle: what is still on its way is of no use, and the caller gives up. */
    return good && end_copy(source);
}
