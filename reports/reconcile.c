/*
 * Design.  An item's number is made of what names it in the database (statement and line, or the
 * entry's seq), so that the matcher's order is the books' order.  Loaded is what could still find a
 * partner: everything from a little before the oldest item that has none.  Results go back as JSON
 * texts, three statements in all, whatever their number.
 *
 * An entry is a break only within the days that the statements cover; a later one is on its way.
 */
#include "reports/reconcile.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reports/output.h"
#include "reports/render.h"
#include "service_kit/memory.h"

#define ITEMS_MAX      2000000
#define JSON_BYTES_MAX ((size_t)512 * 1024 * 1024)

/* What is older than all that is open, and farther away than a match may be, is left out. */
#define SINCE                                                                                      \
    "SELECT least((SELECT min(f.booked_on) FROM (SELECT l.booked_on, EXISTS ("                     \
    "   SELECT FROM ledger.statement_match_line m WHERE m.ledger_id = l.ledger_id"                 \
    "    AND m.account_id = l.account_id AND m.statement = l.statement AND m.n = l.n) AS settled"  \
    "  FROM ledger.statement_line l"                                                               \
    "  WHERE l.ledger_id = $1::integer AND l.account_id = $2::uuid OFFSET 0) f"                    \
    "  WHERE NOT f.settled), (SELECT min(f.found_on) FROM ("                                       \
    "  SELECT b.found_at::date AS found_on, EXISTS ("                                              \
    "   SELECT FROM ledger.statement_match_entry m WHERE m.ledger_id = b.ledger_id"                \
    "    AND m.account_id = b.account_id AND m.seq = b.seq) AS settled"                            \
    "  FROM ledger.statement_break b WHERE b.ledger_id = $1::integer"                              \
    "   AND b.account_id = $2::uuid AND b.seq IS NOT NULL OFFSET 0) f WHERE NOT f.settled),"       \
    " (SELECT max(s.closed_on) FROM ledger.statement s"                                            \
    "  WHERE s.ledger_id = $1::integer AND s.account_id = $2::uuid)) - 400"

static const char LINES_SQL[] =
    "SELECT l.statement, l.n, l.booked_on - DATE '1970-01-01', l.amount, l.reversal,"
    " EXISTS (SELECT FROM ledger.statement_match_line m WHERE m.ledger_id = l.ledger_id"
    "  AND m.account_id = l.account_id AND m.statement = l.statement AND m.n = l.n),"
    " array_to_string(l.refs || nullif(l.bank_reference, ''), E'\\x1f'), true"
    " FROM ledger.statement_line l"
    " WHERE l.ledger_id = $1::integer AND l.account_id = $2::uuid AND l.booked_on >= (" SINCE ")";

static const char ENTRIES_SQL[] =
    "SELECT 0, e.seq, (t.effective_at AT TIME ZONE 'UTC')::date - DATE '1970-01-01', e.amount,"
    " t.kind = 'reversal', EXISTS (SELECT FROM ledger.statement_match_entry m"
    "  WHERE m.ledger_id = e.ledger_id AND m.account_id = e.account_id AND m.seq = e.seq),"
    " concat_ws(E'\\x1f', t.id, t.idempotency_key, t.metadata ->> 'reference',"
    "  t.metadata ->> 'end_to_end_id', t.metadata ->> 'bank_reference'),"
    " (t.effective_at AT TIME ZONE 'UTC')::date BETWEEN c.opened_on AND c.closed_on"
    " FROM (SELECT min(opened_on) AS opened_on, max(closed_on) AS closed_on FROM ledger.statement"
    "  WHERE ledger_id = $1::integer AND account_id = $2::uuid) c"
    " JOIN ledger.entry e ON e.ledger_id = $1::integer AND e.account_id = $2::uuid"
    " JOIN ledger.transaction t ON t.ledger_id = e.ledger_id AND t.id = e.transaction_id"
    " WHERE t.effective_at >= (" SINCE ") AND t.effective_at < c.closed_on + 32";

static const char MATCH_SQL[] =
    "WITH base AS (SELECT coalesce(max(id), 0) + 1 AS id FROM ledger.statement_match"
    "  WHERE ledger_id = $1::integer AND account_id = $2::uuid),"
    " m AS (INSERT INTO ledger.statement_match (ledger_id, account_id, id, pass, made_by)"
    "  SELECT $1::integer, $2::uuid, base.id + (x ->> 0)::bigint, (x ->> 1)::smallint, $6"
    "   FROM base, jsonb_array_elements($3::jsonb) x),"
    " l AS (INSERT INTO ledger.statement_match_line (ledger_id, account_id, statement, n, match_id)"
    "  SELECT $1::integer, $2::uuid, (x ->> 1)::integer, (x ->> 2)::integer,"
    "   base.id + (x ->> 0)::bigint FROM base, jsonb_array_elements($4::jsonb) x)"
    " INSERT INTO ledger.statement_match_entry (ledger_id, account_id, seq, match_id)"
    "  SELECT $1::integer, $2::uuid, (x ->> 2)::bigint, base.id + (x ->> 0)::bigint"
    "   FROM base, jsonb_array_elements($5::jsonb) x";

static const char BREAK_SQL[] =
    "INSERT INTO ledger.statement_break (ledger_id, id, account_id, statement, n, seq)"
    " SELECT $1::integer, base.id + row_number() OVER (ORDER BY x.statement, x.n, x.seq),"
    "  $2::uuid, x.statement, x.n, x.seq"
    " FROM (SELECT coalesce(max(id), 0) AS id FROM ledger.statement_break"
    "  WHERE ledger_id = $1::integer) base,"
    "  jsonb_to_recordset($3::jsonb) AS x (statement integer, n integer, seq bigint)"
    " WHERE NOT EXISTS (SELECT FROM ledger.statement_break b WHERE b.ledger_id = $1::integer"
    "  AND b.account_id = $2::uuid AND (b.seq = x.seq OR (b.statement = x.statement AND b.n = "
    "x.n)))";

/*
 * A state that is the same as before is no event.  Each look-up is by a whole key, in a subquery of
 * its own: the tables are new to the planner when the first statement is imported.
 */
static const char EVENT_SQL[] =
    "INSERT INTO ledger.statement_break_event (ledger_id, break_id, n, status, category, owner,"
    " reason, match_id, made_by)"
    " SELECT b.ledger_id, b.id, coalesce(v.n, 0) + 1,"
    "  CASE WHEN b.match_id IS NULL THEN 'open' ELSE 'resolved' END,"
    "  coalesce(x.category, v.category), v.owner,"
    "  CASE WHEN b.match_id IS NULL THEN v.reason ELSE 'matched in pass ' || (SELECT g.pass"
    "   FROM ledger.statement_match g WHERE g.ledger_id = b.ledger_id"
    "    AND g.account_id = b.account_id AND g.id = b.match_id) END,"
    "  b.match_id, $4"
    " FROM (SELECT k.*, coalesce((SELECT l.match_id FROM ledger.statement_match_line l"
    "    WHERE l.ledger_id = k.ledger_id AND l.account_id = k.account_id"
    "     AND l.statement = k.statement AND l.n = k.n), (SELECT e.match_id"
    "    FROM ledger.statement_match_entry e WHERE e.ledger_id = k.ledger_id"
    "     AND e.account_id = k.account_id AND e.seq = k.seq)) AS match_id"
    "   FROM ledger.statement_break k"
    "   WHERE k.ledger_id = $1::integer AND k.account_id = $2::uuid OFFSET 0) b"
    " LEFT JOIN LATERAL (SELECT e.* FROM ledger.statement_break_event e"
    "  WHERE e.ledger_id = b.ledger_id AND e.break_id = b.id ORDER BY e.n DESC LIMIT 1) v ON true"
    " LEFT JOIN jsonb_to_recordset($3::jsonb) AS x (statement integer, n integer, seq bigint,"
    "  category text) ON coalesce(x.statement, 0) = coalesce(b.statement, 0)"
    "   AND coalesce(x.n, 0) = coalesce(b.n, 0) AND coalesce(x.seq, 0) = coalesce(b.seq, 0)"
    " WHERE v.status IS DISTINCT FROM 'resolved'"
    "  AND (b.match_id IS NOT NULL OR (x.category IS NOT NULL"
    "   AND x.category IS DISTINCT FROM v.category))";

static const char OPEN_SQL[] =
    "SELECT count(*) FROM ledger.statement_break b CROSS JOIN LATERAL ("
    " SELECT e.status FROM ledger.statement_break_event e WHERE e.ledger_id = b.ledger_id"
    "  AND e.break_id = b.id ORDER BY e.n DESC LIMIT 1) v"
    " WHERE b.ledger_id = $1::integer AND b.account_id = $2::uuid AND v.status = 'open'";

/* One side of the matching; the references point into `rows`. */
struct loaded {
    PGresult *rows;
    struct match_item *items;
    struct match_outcome *outcomes;
    bool *covered; /* a break if it stays alone */
    char *texts;   /* the references, cut apart */
    size_t count;
};

/* ---- loading ---- */

/* Digits of numeric(38,0). */
static bool read_minor(const char *text, money_minor *minor) {
    const bool negative = *text == '-';
    struct money_decimal decimal;
    text += negative ? 1 : 0;
    if (money_parse(text, strlen(text), &decimal) != MONEY_PARSED || decimal.decimals != 0)
        return false;
    *minor = negative ? -decimal.coefficient : decimal.coefficient;
    return true;
}

/* Copies the references behind `texts` and cuts them apart; returns where the next may go. */
static char *read_references(struct match_item *item, const char *from, char *texts) {
    const size_t length = strlen(from);
    memcpy(texts, from, length + 1);
    for (char *at = texts; *at != '\0' && item->reference_count < MATCH_REFERENCES_MAX;) {
        char *stop = strchr(at, '\x1f');
        if (stop != NULL)
            *stop = '\0';
        if (*at != '\0')
            item->references[item->reference_count++] = at;
        at = stop == NULL ? at + strlen(at) : stop + 1;
    }
    return texts + length + 1;
}

static bool read_items(struct loaded *side) {
    size_t bytes = 0;
    for (int row = 0; row < PQntuples(side->rows); row++)
        bytes += (size_t)PQgetlength(side->rows, row, 6) + 1;
    char *texts = side->texts = memory_allocate(bytes, 1);
    for (size_t i = 0; i < side->count; i++) {
        const int row = (int)i;
        struct match_item *item = &side->items[i];
        item->order = strtoull(PQgetvalue(side->rows, row, 0), NULL, 10) << 32 |
                      strtoull(PQgetvalue(side->rows, row, 1), NULL, 10);
        item->on = (int32_t)strtol(PQgetvalue(side->rows, row, 2), NULL, 10);
        item->reversal = PQgetvalue(side->rows, row, 4)[0] == 't';
        item->settled = PQgetvalue(side->rows, row, 5)[0] == 't';
        side->covered[i] = PQgetvalue(side->rows, row, 7)[0] == 't';
        if (!read_minor(PQgetvalue(side->rows, row, 3), &item->amount)) {
            source_complain("an amount of the journal is not as it must be");
            return false;
        }
        texts = read_references(item, PQgetvalue(side->rows, row, 6), texts);
    }
    return true;
}

static bool load(struct source *source, const char *sql, const char *const *values,
                 struct loaded *side) {
    side->rows = source_query(source, sql, values, 2);
    if (side->rows == NULL)
        return false;
    if (PQntuples(side->rows) > ITEMS_MAX) {
        source_complain("more than %d lines or entries are to be matched at once", ITEMS_MAX);
        return false;
    }
    side->count = (size_t)PQntuples(side->rows);
    side->items = memory_allocate(side->count, sizeof(*side->items));
    side->outcomes = memory_allocate(side->count, sizeof(*side->outcomes));
    side->covered = memory_allocate(side->count, sizeof(*side->covered));
    return read_items(side);
}

static void release(struct loaded *side) {
    PQclear(side->rows);
    free(side->items);
    free(side->outcomes);
    free(side->covered);
    free(side->texts);
}

/* ---- recording ---- */

/* A text that libpq can take as a parameter; NULL after a message. */
static const char *finish_json(struct output *output) {
    output_bytes(output, "]", 2); /* with its NUL */
    if (output->error != 0)
        source_complain("there is too much to record at once");
    return output->error != 0 ? NULL : output->bytes;
}

static void write_members(struct output *output, const struct loaded *side) {
    output_to_memory(output, JSON_BYTES_MAX);
    output_text(output, "[");
    for (size_t i = 0; i < side->count; i++) {
        const struct match_outcome *outcome = &side->outcomes[i];
        if (outcome->category == MATCH_MATCHED && !side->items[i].settled)
            output_format(output, "%s[%zu,%llu,%llu]", output->length > 1 ? "," : "",
                          outcome->group, (unsigned long long)(side->items[i].order >> 32),
                          (unsigned long long)(side->items[i].order & 0xffffffffU));
    }
}

static bool record_matches(struct source *source, const char *const *account,
                           const struct loaded *lines, const struct loaded *entries,
                           const uint8_t *passes, size_t count, const char *made_by) {
    struct output texts[3];
    output_to_memory(&texts[0], JSON_BYTES_MAX);
    output_text(&texts[0], "[");
    for (size_t i = 0; i < count; i++)
        output_format(&texts[0], "%s[%zu,%u]", i == 0 ? "" : ",", i, passes[i]);
    write_members(&texts[1], lines);
    write_members(&texts[2], entries);
    const char *const values[] = {account[0],
                                  account[1],
                                  finish_json(&texts[0]),
                                  finish_json(&texts[1]),
                                  finish_json(&texts[2]),
                                  made_by};
    PGresult *rows = NULL;
    if (values[2] != NULL && values[3] != NULL && values[4] != NULL)
        rows = source_query(source, MATCH_SQL, values, 6);
    PQclear(rows);
    for (size_t i = 0; i < 3; i++)
        output_free(&texts[i]);
    return rows != NULL;
}

static const char *category_name(enum match_category category, bool line) {
    switch (category) {
    case MATCH_MATCHED:
    case MATCH_MISSING:
        break;
    case MATCH_AMOUNT_MISMATCH:
        return "amount_mismatch";
    case MATCH_DATE_MISMATCH:
        return "date_mismatch";
    case MATCH_DUPLICATE:
        return "duplicate";
    case MATCH_REVERSAL_UNPAIRED:
        return "reversal_unpaired";
    case MATCH_AMBIGUOUS:
        return "ambiguous";
    }
    return line ? "missing_in_ledger" : "missing_in_statement";
}

static void write_breaks(struct output *output, const struct loaded *side, bool line) {
    for (size_t i = 0; i < side->count; i++) {
        const struct match_item *item = &side->items[i];
        if (side->outcomes[i].category == MATCH_MATCHED || !side->covered[i])
            continue;
        output_text(output, output->length > 1 ? ",{" : "{");
        if (line)
            output_format(output, "\"statement\":%llu,\"n\":%llu",
                          (unsigned long long)(item->order >> 32),
                          (unsigned long long)(item->order & 0xffffffffU));
        else
            output_format(output, "\"seq\":%llu", (unsigned long long)item->order);
        output_format(output, ",\"category\":\"%s\"}",
                      category_name(side->outcomes[i].category, line));
    }
}

static bool record_breaks(struct source *source, const char *const *account,
                          const struct loaded *lines, const struct loaded *entries,
                          const char *made_by) {
    struct output output;
    output_to_memory(&output, JSON_BYTES_MAX);
    output_text(&output, "[");
    write_breaks(&output, lines, true);
    write_breaks(&output, entries, false);
    const char *const values[] = {account[0], account[1], finish_json(&output), made_by};
    PGresult *rows = values[2] == NULL ? NULL : source_query(source, BREAK_SQL, values, 3);
    bool good = rows != NULL;
    PQclear(rows);
    if (good) {
        rows = source_query(source, EVENT_SQL, values, 4);
        good = rows != NULL;
        PQclear(rows);
    }
    output_free(&output);
    return good;
}

/* ---- the run ---- */

static bool match_loaded(struct source *source, const char *const *account, struct loaded *lines,
                         struct loaded *entries, const struct match_rules *rules,
                         const char *made_by, struct reconcile_result *result) {
    struct match_side line_side = {lines->items, lines->count, lines->outcomes};
    struct match_side entry_side = {entries->items, entries->count, entries->outcomes};
    uint8_t *passes;
    result->lines = lines->count;
    result->entries = entries->count;
    result->matches = match_run(&line_side, &entry_side, rules, &passes);
    const bool good = (result->matches == 0 || record_matches(source, account, lines, entries,
                                                              passes, result->matches, made_by)) &&
                      record_breaks(source, account, lines, entries, made_by);
    free(passes);
    return good;
}

bool reconcile_account(struct source *source, const char *account_id,
                       const struct match_rules *rules, const char *made_by,
                       struct reconcile_result *result) {
    char ledger_id[16];
    (void)snprintf(ledger_id, sizeof(ledger_id), "%d", (int)source->ledger_id);
    const char *const account[] = {ledger_id, account_id};
    struct loaded lines = {0}, entries = {0};
    bool good = load(source, LINES_SQL, account, &lines) &&
                load(source, ENTRIES_SQL, account, &entries) &&
                match_loaded(source, account, &lines, &entries, rules, made_by, result);
    release(&lines);
    release(&entries);
    if (!good)
        return false;
    PGresult *rows = source_query(source, OPEN_SQL, account, 2);
    if (rows == NULL)
        return false;
    result->open_breaks = (size_t)strtoull(PQgetvalue(rows, 0, 0), NULL, 10);
    PQclear(rows);
    return true;
}

/* ---- the transaction around it ---- */

static bool run(struct source *source, const char *sql, const char *const *values, int count) {
    PGresult *rows = source_query(source, sql, values, count);
    PQclear(rows);
    return rows != NULL;
}

bool reconcile_begin(struct source *source) {
    char ledger_id[16];
    (void)snprintf(ledger_id, sizeof(ledger_id), "%d", (int)source->ledger_id);
    const char *const values[] = {ledger_id};
    return run(source, "BEGIN", NULL, 0) &&
           run(source, "SELECT ledger.lock_reconciliation($1::integer)", values, 1);
}

bool reconcile_end(struct source *source, bool good) {
    if (good)
        return run(source, "COMMIT", NULL, 0);
    (void)run(source, "ROLLBACK", NULL, 0);
    return false;
}

const char *reconcile_actor(const char *given) {
    if (given != NULL)
        return given;
    const struct passwd *user = getpwuid(geteuid());
    return user == NULL ? "unknown" : user->pw_name;
}
