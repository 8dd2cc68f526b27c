/*
 * ledger_report import-statement: a bank's file becomes statements of settlement accounts.
 *
 * Design.  The file is read and checked without the database first (statements/), then against what
 * is there: nothing twice, the chain of each account goes on without a gap, the currency is the
 * account's.  All of it is one transaction, with the matching behind it.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/command.h"
#include "reports/options.h"
#include "reports/output.h"
#include "reports/reconcile.h"
#include "reports/render.h"
#include "reports/source.h"
#include "reports/statements/statement.h"
#include "service_kit/memory.h"

#define ACTOR_MAX      100
#define DIGEST_TEXT    (2 + 64 + 1) /* \x and hex digits */
#define TOLD_BYTES_MAX ((size_t)1024 * 1024)
#define JSON_BYTES_MAX ((size_t)900 * 1024 * 1024)

struct arguments {
    const char *account, *format, *mapping, *by, *help, *file;
};

struct asset {
    char code[17];
    int decimals;
};

struct import {
    struct source *source;
    const struct arguments *given;
    const char *made_by;
    char ledger_id[16];
    struct asset *assets;
    size_t asset_count;
    enum statement_format format;
    char file_digest[DIGEST_TEXT];
    bool refused;       /* else: could not run */
    struct output told; /* printed once all of it is recorded */
};

static void print_help(void) {
    puts("ledger_report import-statement: bank statements of a settlement account\n\n"
         "usage: ledger_report import-statement [options] FILE\n\n"
         "  --account CODE   account that the statement is of (assets:settlement:<currency>)\n"
         "  --format F       camt053, mt940, ofx or csv (what the file looks like)\n"
         "  --mapping FILE   csv: which column is what, see reports/README.md\n"
         "  --by NAME        who imports it (the user who runs the program)\n\n"
         "The whole file is taken or nothing of it. A file, or a statement, that is there already\n"
         "is not taken twice. Entries and lines are matched at once; what has no counterpart is a\n"
         "break, see ledger_report breaks.\n\n"
         "Exit status: 0 imported or there already, 1 refused, 2 could not run.\n\n"
         "example: ledger_report import-statement --format csv --mapping bank.map november.csv");
}

/* ---- files ---- */

/* All of a file, NUL-terminated; NULL after a message. */
static char *read_file(const char *path, size_t bytes_max, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        source_complain("%s cannot be opened: %s", path, strerrordesc_np(errno));
        return NULL;
    }
    size_t room = 65536, used = 0;
    char *bytes = memory_allocate(room + 1, 1);
    for (size_t got; (got = fread(bytes + used, 1, room - used, file)) > 0;) {
        used += got;
        if (used == room && room <= bytes_max) {
            room *= 2;
            bytes = memory_resize(bytes, room + 1);
        }
    }
    const bool failed = ferror(file) != 0;
    if (fclose(file) != 0 || failed || used > bytes_max) {
        source_complain(used > bytes_max ? "%s is too large" : "%s cannot be read", path);
        free(bytes);
        return NULL;
    }
    bytes[used] = '\0';
    *length = used;
    return bytes;
}

static bool digest(const char *bytes, size_t length, char text[static DIGEST_TEXT]) {
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (EVP_Digest(bytes, length, hash, &size, EVP_sha256(), NULL) != 1 || size != 32) {
        source_complain("SHA-256 is not available");
        return false;
    }
    memcpy(text, "\\x", 3);
    for (size_t i = 0; i < size; i++)
        (void)snprintf(text + 2 + 2 * i, 3, "%02x", hash[i]);
    return true;
}

/* ---- the ledger's currencies ---- */

static bool load_assets(struct import *import) {
    const char *const values[] = {import->ledger_id};
    PGresult *rows = source_query(
        import->source, "SELECT code, decimals FROM ledger.asset WHERE ledger_id = $1::integer",
        values, 1);
    if (rows == NULL)
        return false;
    import->asset_count = (size_t)PQntuples(rows);
    import->assets = memory_allocate(import->asset_count, sizeof(*import->assets));
    for (size_t i = 0; i < import->asset_count; i++) {
        struct asset *asset = &import->assets[i];
        (void)snprintf(asset->code, sizeof(asset->code), "%s", PQgetvalue(rows, (int)i, 0));
        asset->decimals = (int)strtol(PQgetvalue(rows, (int)i, 1), NULL, 10);
    }
    PQclear(rows);
    return true;
}

static int decimals_of(void *owner, const char *currency) {
    const struct import *import = owner;
    for (size_t i = 0; i < import->asset_count; i++) {
        if (strcmp(import->assets[i].code, currency) == 0)
            return import->assets[i].decimals;
    }
    return -1;
}

/* ---- one statement ---- */

static bool refuse(struct import *import, const struct statement *statement, const char *reason) {
    import->refused = true;
    source_complain("%s: line %u: statement %s: %s", import->given->file, statement->position,
                    statement->reference, reason);
    return false;
}

static void write_minor(struct output *output, money_minor minor) {
    char text[MONEY_TEXT_MAX];
    money_format(minor, 0, text);
    output_format(output, "\"%s\"", text);
}

static void write_date(struct output *output, int32_t day) {
    char text[STATEMENT_DATE_TEXT];
    if (day == STATEMENT_NO_DATE) {
        output_text(output, "null");
        return;
    }
    statement_date_format(day, text);
    output_format(output, "\"%s\"", text);
}

static void write_line(struct output *output, size_t number, const struct statement_line *line) {
    output_format(output, "{\"n\":%zu,\"booked_on\":", number);
    write_date(output, line->booked_on);
    output_text(output, ",\"value_on\":");
    write_date(output, line->value_on);
    output_text(output, ",\"amount\":");
    write_minor(output, line->amount);
    output_text(output, ",\"refs\":[");
    for (size_t i = 0; i < line->reference_count; i++) {
        output_text(output, i == 0 ? "" : ",");
        render_json_string(output, line->references[i]);
    }
    output_text(output, "],\"bank_reference\":");
    render_json_string(output, line->bank_reference);
    output_text(output, ",\"counterparty\":");
    render_json_string(output, line->counterparty);
    output_text(output, ",\"description\":");
    render_json_string(output, line->text);
    output_format(output, ",\"reversal\":%s}", line->reversal ? "true" : "false");
}

/* The whole statement; what its digest is of, and what is recorded. */
static void write_statement(struct output *output, const struct statement *statement) {
    output_text(output, "{\"reference\":");
    render_json_string(output, statement->reference);
    output_text(output, ",\"bank_account\":");
    render_json_string(output, statement->account);
    if (statement->sequence > 0)
        output_format(output, ",\"sequence\":%lld", (long long)statement->sequence);
    output_text(output, ",\"opened_on\":");
    write_date(output, statement->opened_on);
    output_text(output, ",\"closed_on\":");
    write_date(output, statement->closed_on);
    output_text(output, ",\"opening\":");
    write_minor(output, statement->opening);
    output_text(output, ",\"closing\":");
    write_minor(output, statement->closing);
    output_format(output, ",\"line_count\":%zu,\"lines\":[", statement->line_count);
    for (size_t i = 0; i < statement->line_count; i++) {
        output_text(output, i == 0 ? "" : ",");
        write_line(output, i + 1, &statement->lines[i]);
    }
    output_bytes(output, "]}", 3); /* with its NUL */
}

/*
 * Why the statement cannot follow, in words, or NULL; computed where the rows are.  $3 the
 * statement as JSON, $4 its format.
 */
static const char CHECK_SQL[] =
    "SELECT s.reason FROM (SELECT x.*, p.number, p.closing AS before, p.sequence AS last,"
    "  p.closed_on AS until, p.bank_account AS bank"
    " FROM jsonb_to_record($3::jsonb) AS x (bank_account text, sequence bigint, opened_on date,"
    "  closed_on date, opening numeric)"
    " LEFT JOIN LATERAL (SELECT * FROM ledger.statement"
    "  WHERE ledger_id = $1::integer AND account_id = $2::uuid ORDER BY number DESC LIMIT 1) p"
    " ON true) f CROSS JOIN LATERAL (SELECT CASE"
    " WHEN f.number IS NULL THEN NULL"
    " WHEN f.bank <> '' AND f.bank_account <> '' AND f.bank <> f.bank_account"
    "  THEN 'it is of another account of the bank than those before'"
    " WHEN f.closed_on < f.until THEN 'it is older than the last one'"
    " WHEN f.opening <> f.before THEN format("
    "  'it opens with %s where the last one, number %s, closed with %s (minor units)',"
    "  f.opening, f.number, f.before)"
    " WHEN f.sequence <> f.last + 1 AND NOT (f.sequence = 1"
    "  AND extract(year FROM f.closed_on) > extract(year FROM f.until))"
    "  THEN format('its number is %s where %s must follow', f.sequence, f.last + 1)"
    " WHEN $4 = 'ofx' AND EXISTS (SELECT FROM jsonb_to_recordset($3::jsonb -> 'lines')"
    "  AS n (bank_reference text) JOIN ledger.statement_line l"
    "   ON l.ledger_id = $1::integer AND l.account_id = $2::uuid"
    "   AND l.bank_reference = n.bank_reference)"
    "  THEN 'a line of it (FITID) is there already' END AS reason) s";

static const char INSERT_SQL[] =
    "WITH s AS (INSERT INTO ledger.statement (ledger_id, account_id, number, reference,"
    "  bank_account, sequence, format, file_name, file_digest, content_digest, opened_on,"
    "  closed_on, opening, closing, line_count, imported_by)"
    " SELECT $1::integer, $2::uuid, coalesce((SELECT max(number) FROM ledger.statement"
    "   WHERE ledger_id = $1::integer AND account_id = $2::uuid), 0) + 1,"
    "  x.reference, x.bank_account, x.sequence, $4, $5, $6::bytea, $7::bytea, x.opened_on,"
    "  x.closed_on, x.opening, x.closing, x.line_count, $8"
    "  FROM jsonb_to_record($3::jsonb) AS x (reference text, bank_account text, sequence bigint,"
    "   opened_on date, closed_on date, opening numeric, closing numeric, line_count integer)"
    " RETURNING number), l AS (INSERT INTO ledger.statement_line (ledger_id, account_id,"
    "  statement, n, booked_on, value_on, amount, refs, bank_reference, counterparty, description,"
    "  reversal)"
    " SELECT $1::integer, $2::uuid, s.number, x.n, x.booked_on, x.value_on, x.amount,"
    "  ARRAY(SELECT jsonb_array_elements_text(x.refs)), x.bank_reference, x.counterparty,"
    "  x.description, x.reversal"
    "  FROM s, jsonb_to_recordset($3::jsonb -> 'lines') AS x (n integer, booked_on date,"
    "   value_on date, amount numeric, refs jsonb, bank_reference text, counterparty text,"
    "   description text, reversal boolean))"
    " SELECT number FROM s";

/* The account's id, in `rows`; NULL after a message. */
static PGresult *find_account(struct import *import, const struct statement *statement) {
    char code[64];
    (void)snprintf(code, sizeof(code), "assets:settlement:%s", statement->currency);
    const char *wanted = import->given->account == NULL ? code : import->given->account;
    const char *const values[] = {import->ledger_id, wanted, statement->currency};
    PGresult *rows = source_query(import->source,
                                  "SELECT id, class, asset = $3 FROM ledger.account"
                                  " WHERE ledger_id = $1::integer AND code = $2",
                                  values, 3);
    if (rows == NULL)
        return NULL;
    const char *reason = NULL;
    if (PQntuples(rows) != 1)
        reason = "there is no such account";
    else if (strcmp(PQgetvalue(rows, 0, 1), "asset") != 0)
        reason = "the account is not of class asset";
    else if (strcmp(PQgetvalue(rows, 0, 2), "t") != 0)
        reason = "the account is of another currency";
    if (reason != NULL) {
        (void)refuse(import, statement, reason);
        PQclear(rows);
        return NULL;
    }
    return rows;
}

/* 1: this very statement is there already; 0: it is new; -1: refused or failed. */
static int find_known(struct import *import, const struct statement *statement,
                      const char *account_id, const char *content_digest) {
    const char *const values[] = {import->ledger_id, account_id, statement->reference,
                                  content_digest};
    PGresult *rows = source_query(
        import->source,
        "SELECT content_digest = $4::bytea FROM ledger.statement WHERE ledger_id = $1::integer"
        " AND account_id = $2::uuid AND reference = $3",
        values, 4);
    int known = -1;
    if (rows != NULL) {
        known = PQntuples(rows);
        if (known == 1 && strcmp(PQgetvalue(rows, 0, 0), "t") != 0) {
            (void)refuse(import, statement, "it is there already, with another content");
            known = -1;
        }
    }
    PQclear(rows);
    return known;
}

static bool check_chain(struct import *import, const struct statement *statement,
                        const char *const *values) {
    PGresult *rows = source_query(import->source, CHECK_SQL, values, 4);
    const bool good = rows != NULL && (PQgetisnull(rows, 0, 0) != 0 ||
                                       refuse(import, statement, PQgetvalue(rows, 0, 0)));
    PQclear(rows);
    return good;
}

static bool record(struct import *import, const struct statement *statement, const char *account_id,
                   const char *json, const char *content_digest) {
    const char *const values[] = {import->ledger_id,
                                  account_id,
                                  json,
                                  statement_format_name(import->format),
                                  import->given->file,
                                  import->file_digest,
                                  content_digest,
                                  import->made_by};
    if (!check_chain(import, statement, values))
        return false;
    PGresult *rows = source_query(import->source, INSERT_SQL, values, 8);
    if (rows == NULL)
        return false;
    output_format(&import->told, "statement %s is number %s in %s: %zu lines\n",
                  statement->reference, PQgetvalue(rows, 0, 0), statement->currency,
                  statement->line_count);
    PQclear(rows);
    struct reconcile_result result;
    if (!reconcile_account(import->source, account_id, &MATCH_RULES_DEFAULT, import->made_by,
                           &result))
        return false;
    output_format(&import->told, "%zu new matches, %zu open breaks\n", result.matches,
                  result.open_breaks);
    return true;
}

static bool import_statement(struct import *import, const struct statement *statement) {
    char content_digest[DIGEST_TEXT];
    struct output json;
    PGresult *account = find_account(import, statement);
    if (account == NULL)
        return false;
    output_to_memory(&json, JSON_BYTES_MAX);
    write_statement(&json, statement);
    bool good = json.error == 0;
    if (!good)
        source_complain("%s: the statement is too large", import->given->file);
    good = good && digest(json.bytes, json.length - 1, content_digest);
    const char *account_id = PQgetvalue(account, 0, 0);
    const int known = good ? find_known(import, statement, account_id, content_digest) : -1;
    if (known == 1)
        output_format(&import->told, "statement %s is there already\n", statement->reference);
    good = known == 1 ||
           (known == 0 && record(import, statement, account_id, json.bytes, content_digest));
    output_free(&json);
    PQclear(account);
    return good;
}

/* ---- the file ---- */

/* 1: the file is there already; 0: it is not; -1: failed. */
static int find_file(struct import *import) {
    const char *const values[] = {import->ledger_id, import->file_digest};
    PGresult *rows = source_query(import->source,
                                  "SELECT count(*) FROM ledger.statement"
                                  " WHERE ledger_id = $1::integer AND file_digest = $2::bytea",
                                  values, 2);
    const int known = rows == NULL ? -1 : strcmp(PQgetvalue(rows, 0, 0), "0") != 0;
    PQclear(rows);
    return known;
}

static int import_file(struct import *import, const struct statement_file *file) {
    if (!reconcile_begin(import->source))
        return EXIT_COULD_NOT_RUN;
    const int known = find_file(import);
    bool good = known >= 0;
    if (known == 1)
        output_text(&import->told, "the file is there already: nothing to do\n");
    for (size_t i = 0; known == 0 && good && i < statement_count(file); i++)
        good = import_statement(import, statement_at(file, i));
    if (reconcile_end(import->source, good)) {
        (void)fwrite(import->told.bytes, 1, import->told.length, stdout);
        return 0;
    }
    return import->refused ? EXIT_DIFFERENCES : EXIT_COULD_NOT_RUN;
}

static int read_and_import(struct import *import, const char *bytes, size_t length,
                           const char *mapping, size_t mapping_length) {
    struct statement_error error;
    const struct statement_options options = {.decimals = decimals_of,
                                              .owner = import,
                                              .mapping = mapping,
                                              .mapping_length = mapping_length};
    if (import->format == STATEMENT_UNKNOWN)
        import->format = mapping != NULL ? STATEMENT_CSV : statement_detect(bytes, length);
    struct statement_file *file = statement_read(import->format, bytes, length, &options, &error);
    if (file == NULL) {
        source_complain("%s: line %u: %s %s", import->given->file, error.line, error.field,
                        error.reason);
        return EXIT_DIFFERENCES;
    }
    const int status = import_file(import, file);
    statement_file_free(file);
    return status;
}

static int run(struct source *source, const struct arguments *given, enum statement_format format) {
    struct import import = {
        .source = source, .given = given, .made_by = reconcile_actor(given->by), .format = format};
    size_t length = 0, mapping_length = 0;
    (void)snprintf(import.ledger_id, sizeof(import.ledger_id), "%d", (int)source->ledger_id);
    output_to_memory(&import.told, TOLD_BYTES_MAX);
    char *bytes = read_file(given->file, STATEMENT_FILE_BYTES_MAX, &length);
    char *mapping = NULL;
    int status = EXIT_COULD_NOT_RUN;
    if (bytes != NULL && given->mapping != NULL)
        mapping = read_file(given->mapping, 65536, &mapping_length);
    if (bytes != NULL && (given->mapping == NULL) == (mapping == NULL) &&
        digest(bytes, length, import.file_digest) && load_assets(&import))
        status = read_and_import(&import, bytes, length, mapping, mapping_length);
    output_free(&import.told);
    free(import.assets);
    free(mapping);
    free(bytes);
    return status;
}

int command_import_statement(int argc, char **argv) {
    struct arguments given = {0};
    const struct option_rule rules[] = {{"--account", true, &given.account},
                                        {"--format", true, &given.format},
                                        {"--mapping", true, &given.mapping},
                                        {"--by", true, &given.by},
                                        {"--help", false, &given.help}};
    size_t words;
    if (!options_read(argc, argv, rules, sizeof(rules) / sizeof(*rules), &given.file, 1, &words))
        return EXIT_USAGE;
    if (given.help != NULL) {
        print_help();
        return 0;
    }
    const enum statement_format format =
        given.format == NULL ? STATEMENT_UNKNOWN : statement_format_named(given.format);
    if (words == 0 || (given.format != NULL && format == STATEMENT_UNKNOWN) ||
        (given.by != NULL && (*given.by == '\0' || strlen(given.by) > ACTOR_MAX))) {
        source_complain("which file, in which format, by whom? see %s --help", argv[0]);
        return EXIT_USAGE;
    }
    struct source source;
    int status = source_open(&source);
    if (status != 0)
        return status;
    status = run(&source, &given, format);
    source_close(&source);
    if (fflush(stdout) != 0 && status == 0)
        status = EXIT_COULD_NOT_RUN;
    return status;
}
