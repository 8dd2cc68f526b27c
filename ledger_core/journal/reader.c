/*
 * Parameters and results are binary: no text is parsed, and a length that is not the type's is an
 * error (READER_FAILED), never an assertion, because it comes from the database.
 *
 * A page of history is a range of entry.seq: seq counts 1, 2, 3 ... per account without a gap and
 * balance.entries is the newest one, so "skip 10,000" is a subtraction and every page costs the
 * same.
 *
 * Plans must be right for tables of any size, also when they were made on an empty database, before
 * anybody analysed anything: a scan of a small table that has grown since would be fatal.  Hence
 * READER_OPTIONS, and OFFSET 0, which keeps a look-up by key a look-up by key.
 */
#include "ledger_core/journal/reader.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_core/journal/wire.h"
#include "service_kit/db_schema.h"

#define PARAMETERS_MAX 6

#define ACCOUNT_COLUMNS                                                                            \
    "a.id, a.owner_id, a.asset, s.decimals, a.class, a.status, b.posted, b.held, b.entries,"       \
    " a.created_at "                                                                               \
    "FROM ledger.account a"                                                                        \
    " JOIN ledger.asset s ON s.ledger_id = a.ledger_id AND s.code = a.asset"                       \
    " CROSS JOIN LATERAL (SELECT x.posted, x.held, x.entries FROM ledger.balance x"                \
    "  WHERE x.ledger_id = $1::int4 AND x.account_id = a.id OFFSET 0) b "

const struct db_statement READER_STATEMENTS[] = {
    {"reader_accounts",
     "SELECT " ACCOUNT_COLUMNS "WHERE a.ledger_id = $1::int4 AND a.owner_id = $2::uuid"
     " ORDER BY a.created_at, a.id LIMIT 10000"},
    {"reader_account",
     "SELECT " ACCOUNT_COLUMNS "WHERE a.ledger_id = $1::int4 AND a.owner_id = $2::uuid"
     " AND a.id = $3::uuid"},
    {"reader_open",
     "WITH wanted AS ("
     "  SELECT code, decimals FROM ledger.asset WHERE ledger_id = $1::int4 AND code = $4::text),"
     " others AS ("
     "  SELECT count(*) AS accounts FROM (SELECT FROM ledger.account"
     "   WHERE ledger_id = $1::int4 AND owner_id = $2::uuid LIMIT $5::int8) o),"
     " opened AS ("
     "  INSERT INTO ledger.account (ledger_id, id, owner_id, asset, class, code, floor)"
     "  SELECT $1::int4, $3::uuid, $2::uuid, w.code, 'liability', 'liabilities:wallets:' || "
     "$3::uuid, 0"
     "    FROM wanted w, others o WHERE o.accounts < $5::int8"
     "  RETURNING ledger_id, id, created_at),"
     " snapshot AS ("
     "  INSERT INTO ledger.balance (ledger_id, account_id) SELECT ledger_id, id FROM opened)"
     " SELECT w.decimals, p.created_at"
     "   FROM others o LEFT JOIN wanted w ON true LEFT JOIN opened p ON true"},
    {"reader_history",
     "SELECT a.asset, s.decimals, a.class, b.entries,"
     " e.seq, e.transaction_id, e.kind, e.amount, e.created_at, e.effective_at "
     "FROM ledger.account a"
     " JOIN ledger.asset s ON s.ledger_id = a.ledger_id AND s.code = a.asset"
     " JOIN ledger.balance b ON b.ledger_id = a.ledger_id AND b.account_id = a.id"
     " LEFT JOIN LATERAL ("
     "  SELECT l.seq, l.transaction_id, t.kind, l.amount, t.created_at, t.effective_at"
     "    FROM (SELECT i.seq, i.transaction_id, i.amount FROM ledger.entry i"
     "           WHERE i.ledger_id = $1::int4 AND i.account_id = $3::uuid"
     "             AND i.seq <= least(b.entries, $4::int8) - $5::int8"
     "             AND i.seq > least(b.entries, $4::int8) - $5::int8 - $6::int8"
     "           ORDER BY i.seq DESC LIMIT 100) l"
     "    CROSS JOIN LATERAL (SELECT x.kind, x.created_at, x.effective_at"
     "      FROM ledger.transaction x WHERE x.ledger_id = $1::int4 AND x.id = l.transaction_id "
     "OFFSET 0) t"
     " ) e ON true "
     "WHERE a.ledger_id = $1::int4 AND a.owner_id = $2::uuid AND a.id = $3::uuid"
     " ORDER BY e.seq DESC"},
    {"reader_transaction",
     "SELECT t.kind, t.created_at, t.effective_at, t.reverses,"
     " e.account_id, a.owner_id, a.class, a.asset, s.decimals, e.amount, e.balance_after,"
     " (SELECT r.id FROM ledger.transaction r"
     "   WHERE r.ledger_id = $1::int4 AND r.reverses = $3::uuid OFFSET 0) "
     "FROM ledger.transaction t"
     " JOIN ledger.entry e ON e.ledger_id = $1::int4 AND e.transaction_id = $3::uuid"
     " CROSS JOIN LATERAL (SELECT x.owner_id, x.class, x.asset FROM ledger.account x"
     "  WHERE x.ledger_id = $1::int4 AND x.id = e.account_id OFFSET 0) a"
     " JOIN ledger.asset s ON s.ledger_id = $1::int4 AND s.code = a.asset "
     "WHERE t.ledger_id = $1::int4 AND t.id = $3::uuid AND EXISTS ("
     "  SELECT FROM ledger.entry m"
     "    CROSS JOIN LATERAL (SELECT x.owner_id FROM ledger.account x"
     "     WHERE x.ledger_id = $1::int4 AND x.id = m.account_id OFFSET 0) o"
     "   WHERE m.ledger_id = $1::int4 AND m.transaction_id = $3::uuid AND o.owner_id = $2::uuid)"
     " ORDER BY e.amount < 0, e.account_id, e.seq LIMIT 1000"},
    DB_SCHEMA_STATEMENT,
};
const size_t READER_STATEMENT_COUNT = sizeof READER_STATEMENTS / sizeof READER_STATEMENTS[0];

static_assert(READER_QUERY_COUNT + 1 == sizeof READER_STATEMENTS / sizeof READER_STATEMENTS[0],
              "one statement for each query, in that order, then the schema's version");
static_assert(READER_ACCOUNTS_MAX == 10000 && READER_PAGE_MAX == 100 && READER_ENTRIES_MAX == 1000,
              "the LIMITs of the statements");

/* ---- parameters ---- */

struct parameters {
    int count;
    const char *values[PARAMETERS_MAX];
    int lengths[PARAMETERS_MAX];
    int formats[PARAMETERS_MAX];
    uint64_t numbers[PARAMETERS_MAX]; /* big-endian bytes that `values` point to */
};

static void put_bytes(struct parameters *parameters, const void *bytes, size_t length) {
    assert(parameters->count < PARAMETERS_MAX);
    parameters->values[parameters->count] = bytes;
    parameters->lengths[parameters->count] = (int)length;
    parameters->formats[parameters->count] = 1;
    parameters->count++;
}

static void put_int32(struct parameters *parameters, int32_t value) {
    uint64_t *slot = &parameters->numbers[parameters->count];
    uint32_t wire = htobe32((uint32_t)value);
    memcpy(slot, &wire, sizeof wire);
    put_bytes(parameters, slot, sizeof wire);
}

static void put_int64(struct parameters *parameters, int64_t value) {
    uint64_t *slot = &parameters->numbers[parameters->count];
    *slot = htobe64((uint64_t)value);
    put_bytes(parameters, slot, sizeof *slot);
}

/* ---- results: the first wrong field makes the row wrong ---- */

struct row {
    const PGresult *result;
    int number;
    bool ok;
};

static bool is_null(const struct row *row, int column) {
    return PQgetisnull(row->result, row->number, column) != 0;
}

static bool get_bytes(struct row *row, int column, void *bytes, size_t length) {
    if (column >= PQnfields(row->result) || is_null(row, column) ||
        PQgetlength(row->result, row->number, column) != (int)length) {
        row->ok = false;
        return false;
    }
    memcpy(bytes, PQgetvalue(row->result, row->number, column), length);
    return true;
}

static int64_t get_int64(struct row *row, int column) {
    uint64_t wire = 0;
    return get_bytes(row, column, &wire, sizeof wire) ? (int64_t)be64toh(wire) : 0;
}

static int64_t get_time_us(struct row *row, int column) {
    int64_t time_us = 0;
    if (__builtin_add_overflow(get_int64(row, column), WIRE_EPOCH_US, &time_us)) {
        row->ok = false;
    }
    return time_us;
}

static uint8_t get_decimals(struct row *row, int column) {
    uint16_t wire = 0;
    if (get_bytes(row, column, &wire, sizeof wire) && be16toh(wire) > MONEY_DECIMALS_MAX) {
        row->ok = false;
    }
    return row->ok ? (uint8_t)be16toh(wire) : 0;
}

static money_minor get_money(struct row *row, int column) {
    money_minor minor = 0;
    if (column >= PQnfields(row->result) || is_null(row, column) ||
        !wire_numeric_get((const uint8_t *)PQgetvalue(row->result, row->number, column),
                          PQgetlength(row->result, row->number, column), &minor)) {
        row->ok = false;
    }
    return minor;
}

static void get_uuid(struct row *row, int column, struct ledger_uuid *uuid) {
    get_bytes(row, column, uuid->bytes, sizeof uuid->bytes);
}

static bool get_optional_uuid(struct row *row, int column, struct ledger_uuid *uuid) {
    if (column < PQnfields(row->result) && is_null(row, column)) {
        return false;
    }
    get_uuid(row, column, uuid);
    return row->ok;
}

static void get_asset(struct row *row, int column, char asset[static ASSET_CODE_MAX + 1]) {
    int length = PQgetlength(row->result, row->number, column);
    if (length < 1 || length > ASSET_CODE_MAX) {
        row->ok = false;
        return;
    }
    get_bytes(row, column, asset, (size_t)length);
    asset[length] = '\0';
}

/* The place of a text in a list of names. */
static unsigned get_name(struct row *row, int column, const char *const *names, unsigned count) {
    size_t length = (size_t)PQgetlength(row->result, row->number, column);
    const char *text = PQgetvalue(row->result, row->number, column);
    for (unsigned i = 0; i < count; i++) {
        if (strlen(names[i]) == length && memcmp(names[i], text, length) == 0) {
            return i;
        }
    }
    row->ok = false;
    return 0;
}

static enum posting_class get_class(struct row *row, int column) {
    static const char *const names[] = {"asset", "liability", "equity", "income", "expense"};
    return (enum posting_class)get_name(row, column, names, 5);
}

static enum posting_status get_status(struct row *row, int column) {
    static const char *const names[] = {"open", "frozen", "closed"};
    return (enum posting_status)get_name(row, column, names, 3);
}

static enum reader_kind get_kind(struct row *row, int column) {
    static const char *const names[] = {"deposit", "withdraw", "transfer", "reversal",
                                        "adjustment"};
    return (enum reader_kind)get_name(row, column, names, 5);
}

/* ---- one query each ---- */

/* Calls back with what was read, or with READER_FAILED when a row was not as it should be. */
static void finish(struct reader_call *call, struct reader_result *result, bool ok) {
    if (!ok) {
        *result = (struct reader_result){.end = READER_FAILED,
                                         .reason = "a row of the database has an unexpected form"};
    }
    call->on_result(call, result);
}

static void *rows_alloc(size_t count, size_t size) {
    void *rows = calloc(count > 0 ? count : 1, size);
    if (rows == NULL) {
        abort();
    }
    return rows;
}

static void on_accounts(struct reader_call *call, const PGresult *rows) {
    size_t count = (size_t)PQntuples(rows);
    struct reader_account *accounts = rows_alloc(count, sizeof *accounts);
    bool ok = true;
    for (size_t i = 0; i < count; i++) {
        struct row row = {rows, (int)i, true};
        struct reader_account *account = &accounts[i];
        get_uuid(&row, 0, &account->id);
        account->has_owner = get_optional_uuid(&row, 1, &account->owner);
        get_asset(&row, 2, account->asset);
        account->decimals = get_decimals(&row, 3);
        account->class = get_class(&row, 4);
        account->status = get_status(&row, 5);
        account->posted = get_money(&row, 6);
        account->held = get_money(&row, 7);
        account->entries = get_int64(&row, 8);
        account->created_at_us = get_time_us(&row, 9);
        ok = ok && row.ok;
    }
    struct reader_result result = {.end = READER_OK, .accounts = accounts, .account_count = count};
    if (call->query == READER_QUERY_ACCOUNT && count == 0) {
        result.end = READER_NOT_FOUND;
    }
    finish(call, &result, ok);
    free(accounts);
}

static void on_opened(struct reader_call *call, const PGresult *rows) {
    struct row row = {rows, 0, PQntuples(rows) == 1};
    struct reader_result result = {.end = READER_OK, .accounts = &call->opened, .account_count = 1};
    if (row.ok && is_null(&row, 0)) {
        result = (struct reader_result){.end = READER_NO_ASSET};
    } else if (row.ok && is_null(&row, 1)) {
        result = (struct reader_result){.end = READER_TOO_MANY_ACCOUNTS};
    } else if (row.ok) {
        call->opened.decimals = get_decimals(&row, 0);
        call->opened.created_at_us = get_time_us(&row, 1);
    }
    finish(call, &result, row.ok);
}

static void on_history(struct reader_call *call, const PGresult *rows) {
    size_t count = (size_t)PQntuples(rows);
    struct reader_result result = {.end = READER_NOT_FOUND};
    if (count == 0) {
        finish(call, &result, true);
        return;
    }
    struct row first = {rows, 0, true};
    struct reader_account *account = &call->opened;
    get_asset(&first, 0, account->asset);
    account->decimals = get_decimals(&first, 1);
    account->class = get_class(&first, 2);
    account->entries = get_int64(&first, 3);
    bool ok = first.ok;
    if (is_null(&first, 4)) { /* the account alone: no line on this page */
        count = 0;
    }
    struct reader_line *lines = rows_alloc(count, sizeof *lines);
    for (size_t i = 0; i < count; i++) {
        struct row row = {rows, (int)i, true};
        lines[i].seq = get_int64(&row, 4);
        get_uuid(&row, 5, &lines[i].transaction_id);
        lines[i].kind = get_kind(&row, 6);
        lines[i].amount = get_money(&row, 7);
        lines[i].created_at_us = get_time_us(&row, 8);
        lines[i].effective_at_us = get_time_us(&row, 9);
        ok = ok && row.ok;
    }
    result = (struct reader_result){.end = READER_OK,
                                    .accounts = account,
                                    .account_count = 1,
                                    .lines = lines,
                                    .line_count = count};
    finish(call, &result, ok);
    free(lines);
}

static void on_transaction(struct reader_call *call, const PGresult *rows) {
    size_t count = (size_t)PQntuples(rows);
    struct reader_result result = {.end = READER_NOT_FOUND};
    if (count == 0) {
        finish(call, &result, true);
        return;
    }
    struct row first = {rows, 0, true};
    struct reader_transaction transaction = {.id = call->id};
    transaction.kind = get_kind(&first, 0);
    transaction.created_at_us = get_time_us(&first, 1);
    transaction.effective_at_us = get_time_us(&first, 2);
    transaction.has_reverses = get_optional_uuid(&first, 3, &transaction.reverses);
    transaction.was_reversed = get_optional_uuid(&first, 11, &transaction.reversed_by);
    bool ok = first.ok;
    struct reader_entry *entries = rows_alloc(count, sizeof *entries);
    for (size_t i = 0; i < count; i++) {
        struct row row = {rows, (int)i, true};
        struct reader_entry *entry = &entries[i];
        get_uuid(&row, 4, &entry->account_id);
        entry->has_owner = get_optional_uuid(&row, 5, &entry->owner);
        entry->class = get_class(&row, 6);
        get_asset(&row, 7, entry->asset);
        entry->decimals = get_decimals(&row, 8);
        entry->amount = get_money(&row, 9);
        entry->balance_after = get_money(&row, 10);
        ok = ok && row.ok;
    }
    result = (struct reader_result){
        .end = READER_OK, .transaction = &transaction, .entries = entries, .entry_count = count};
    finish(call, &result, ok);
    free(entries);
}

static void on_result(void *owner, const struct db_result *answer) {
    struct reader_call *call = owner;
    struct reader_result result = {.end = READER_FAILED, .reason = answer->message};
    switch (answer->end) {
    case DB_END_UNSENT:
        result.end = READER_UNAVAILABLE;
        break;
    case DB_END_LOST:
        result.end = call->query == READER_QUERY_OPEN ? READER_UNKNOWN : READER_UNAVAILABLE;
        break;
    case DB_END_ERROR:
        result.end = db_error_passes(answer) ? READER_UNAVAILABLE : READER_FAILED;
        break;
    case DB_END_OK:
        if (call->query == READER_QUERY_OPEN && answer->warning) {
            result.end = READER_UNKNOWN;
            break;
        }
        if (answer->statements[0] == NULL) {
            finish(call, &result, false);
            return;
        }
        switch (call->query) {
        case READER_QUERY_ACCOUNTS:
        case READER_QUERY_ACCOUNT:
            on_accounts(call, answer->statements[0]);
            return;
        case READER_QUERY_OPEN:
            on_opened(call, answer->statements[0]);
            return;
        case READER_QUERY_HISTORY:
            on_history(call, answer->statements[0]);
            return;
        case READER_QUERY_TRANSACTION:
            on_transaction(call, answer->statements[0]);
            return;
        case READER_QUERY_COUNT:
            abort();
        }
    }
    call->on_result(call, &result);
}

static bool send(const struct reader *reader, struct reader_call *call, enum reader_query query,
                 const struct parameters *parameters) {
    call->query = query;
    struct db_call statement = {
        .statement = READER_STATEMENTS[query].name,
        .params = {.count = parameters->count,
                   .values = parameters->values,
                   .lengths = parameters->lengths,
                   .formats = parameters->formats},
        .binary_result = true,
    };
    return db_pool_query(reader->pool, &statement, on_result, call);
}

/* The parameters that all statements begin with. */
static void put_scope(struct parameters *parameters, const struct reader *reader,
                      const struct ledger_uuid *owner) {
    put_int32(parameters, reader->ledger_id);
    put_bytes(parameters, owner->bytes, sizeof owner->bytes);
}

bool reader_accounts(const struct reader *reader, struct reader_call *call,
                     const struct ledger_uuid *owner) {
    struct parameters parameters = {0};
    put_scope(&parameters, reader, owner);
    return send(reader, call, READER_QUERY_ACCOUNTS, &parameters);
}

bool reader_account(const struct reader *reader, struct reader_call *call,
                    const struct ledger_uuid *owner, const struct ledger_uuid *account) {
    struct parameters parameters = {0};
    put_scope(&parameters, reader, owner);
    put_bytes(&parameters, account->bytes, sizeof account->bytes);
    return send(reader, call, READER_QUERY_ACCOUNT, &parameters);
}

bool reader_open(const struct reader *reader, struct reader_call *call,
                 const struct ledger_uuid *owner, const struct ledger_uuid *account,
                 const char *asset, int64_t accounts_max) {
    size_t asset_length = strlen(asset);
    assert(asset_length <= ASSET_CODE_MAX && accounts_max <= READER_ACCOUNTS_MAX);
    call->opened = (struct reader_account){.id = *account,
                                           .owner = *owner,
                                           .has_owner = true,
                                           .class = POSTING_LIABILITY,
                                           .status = POSTING_OPEN};
    memcpy(call->opened.asset, asset, asset_length + 1);
    struct parameters parameters = {0};
    put_scope(&parameters, reader, owner);
    put_bytes(&parameters, account->bytes, sizeof account->bytes);
    put_bytes(&parameters, call->opened.asset, asset_length);
    put_int64(&parameters, accounts_max);
    return send(reader, call, READER_QUERY_OPEN, &parameters);
}

bool reader_history(const struct reader *reader, struct reader_call *call,
                    const struct ledger_uuid *owner, const struct ledger_uuid *account,
                    int64_t newest, int64_t offset, int64_t limit) {
    assert(newest >= 0 && offset >= 0 && limit >= 1 && limit <= READER_PAGE_MAX);
    call->opened = (struct reader_account){.id = *account, .owner = *owner, .has_owner = true};
    struct parameters parameters = {0};
    put_scope(&parameters, reader, owner);
    put_bytes(&parameters, account->bytes, sizeof account->bytes);
    put_int64(&parameters, newest);
    put_int64(&parameters, offset);
    put_int64(&parameters, limit);
    return send(reader, call, READER_QUERY_HISTORY, &parameters);
}

bool reader_transaction(const struct reader *reader, struct reader_call *call,
                        const struct ledger_uuid *owner, const struct ledger_uuid *id) {
    call->id = *id;
    struct parameters parameters = {0};
    put_scope(&parameters, reader, owner);
    put_bytes(&parameters, id->bytes, sizeof id->bytes);
    return send(reader, call, READER_QUERY_TRANSACTION, &parameters);
}
