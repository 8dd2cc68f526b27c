/*
 * Design.  One view of everything, no lock above that of a read.  A full check proves the books in
 * one pass (check_plain.sql, check_proof.sql) and looks closer only when that does not succeed; an
 * incremental one looks at what was recorded since the last good run.
 *
 * Its watermark is the lowest transaction number that was in progress in the view of that run:
 * whatever had a lower one was decided and was seen.  A late commit has a higher one, so nothing is
 * left out that was written within the hour before that run; some of it is looked at twice.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "reports/command.h"
#include "reports/options.h"
#include "reports/output.h"
#include "reports/render.h"
#include "reports/source.h"

extern const char REPORT_SQL_CHECK_ACCOUNTS[];
extern const char REPORT_SQL_CHECK_DETAILS[];
extern const char REPORT_SQL_CHECK_PLAIN[];
extern const char REPORT_SQL_CHECK_PROOF[];
extern const char REPORT_SQL_CHECK_RECENT[];
extern const char REPORT_SQL_CHECK_SHAPE[];

#define FINDINGS_BYTES_MAX 65536   /* of ledger.check_run.findings, and of what is printed */
#define OUT_OF_RANGE       "22003" /* SQLSTATE */

struct check {
    struct source *source;
    bool full;
    char ledger_id[16];
    PGresult *facts;     /* see ask_facts */
    struct output json;  /* the findings, without their brackets */
    struct output text;  /* the same for people */
    int64_t kinds;       /* of findings */
    int64_t differences; /* places */
    int64_t transactions, entries;
};

static void print_help(void) {
    puts(
        "ledger_report check: proves the books, in one consistent view, without blocking "
        "anybody\n\n"
        "usage: ledger_report check [options]\n\n"
        "  --full        everything (what was recorded since the last good run)\n"
        "  --no-record   leaves no row in the history of runs, see ledger_report reconciliation\n\n"
        "Names the first bad place of each kind. Exit status: 0 the books are right, 1 they are\n"
        "not, 2 could not run. The first check of a ledger, the first one in another cluster, and\n"
        "one after a run that found differences are full ones.\n\n"
        "example: ledger_report check --full || mail -s 'books differ' auditor < report");
}

enum { FACT_WATERMARK, FACT_CLUSTER, FACT_STARTED_AT, FACT_SINCE, FACT_BOOKED_SINCE };

/*
 * The view's watermark and cluster, and where the last run stopped (NULL: there is none, or it
 * found differences, after which nothing is believed).
 */
static bool ask_facts(struct check *check) {
    const char *const values[] = {check->ledger_id};
    check->facts = source_query(
        check->source,
        "SELECT pg_snapshot_xmin(pg_current_snapshot()), c.system_identifier, now(),"
        " r.watermark, r.started_at - interval '1 hour'"
        "  FROM pg_control_system() c"
        "  LEFT JOIN (SELECT x.* FROM ledger.check_run x WHERE x.ledger_id = $1::integer"
        "              ORDER BY x.number DESC LIMIT 1) r"
        "   ON r.cluster = c.system_identifier AND r.differences = 0",
        values, 1);
    if (check->facts == NULL)
        return false;
    check->full = check->full || PQgetisnull(check->facts, 0, FACT_SINCE);
    return true;
}

static bool read_count(const char *text, int64_t *count) {
    char *end;
    errno = 0;
    *count = strtoll(text, &end, 10);
    return errno == 0 && *end == '\0' && end != text && *count >= 0;
}

static bool add_finding(struct check *check, const char *category, const char *invariant,
                        const char *count_text, const char *place) {
    int64_t count = 0;
    if (!read_count(count_text, &count) ||
        __builtin_add_overflow(check->differences, count, &check->differences))
        return false;
    output_text(&check->json, check->kinds == 0 ? "{\"category\":" : ",{\"category\":");
    render_json_string(&check->json, category);
    output_text(&check->json, ",\"invariant\":");
    render_json_string(&check->json, invariant);
    output_format(&check->json, ",\"count\":%" PRId64 ",\"first\":", count);
    render_json_string(&check->json, place);
    output_text(&check->json, "}");
    output_format(&check->text, "%s (%s): %" PRId64 ", first: ", category, invariant, count);
    output_text(&check->text, place);
    output_text(&check->text, "\n");
    check->kinds++;
    return check->json.error == 0 && check->text.error == 0;
}

/* Rows of category, invariant, how many, the first place. */
static bool add_findings(struct check *check, PGresult *rows, int first) {
    bool good = rows != NULL;
    for (int row = first; good && row < PQntuples(rows); row++) {
        good = add_finding(check, PQgetvalue(rows, row, 0), PQgetvalue(rows, row, 1),
                           PQgetvalue(rows, row, 2), PQgetvalue(rows, row, 3));
        if (!good)
            source_complain("the database sent a finding of an unexpected form");
    }
    PQclear(rows);
    return good;
}

static bool ask(struct check *check, const char *sql) {
    const char *const values[] = {check->ledger_id};
    return add_findings(check, source_query(check->source, sql, values, 1), 0);
}

/* The columns of a proof; the first row of check_recent.sql begins like it. */
enum { PROOF_TRANSACTIONS, PROOF_ENTRIES, PROOF_PAIRS, PROOF_PROVEN };

static bool read_counts(struct check *check, const PGresult *rows) {
    if (PQntuples(rows) > 0 &&
        read_count(PQgetvalue(rows, 0, PROOF_TRANSACTIONS), &check->transactions) &&
        read_count(PQgetvalue(rows, 0, PROOF_ENTRIES), &check->entries))
        return true;
    source_complain("the database sent counts of an unexpected form");
    return false;
}

static bool run_statement(struct source *source, const char *sql) {
    PGresult *rows = source_query(source, sql, NULL, 0);
    PQclear(rows);
    return rows != NULL;
}

enum { SHAPE_ONLY_LEDGER, SHAPE_PLAIN, SHAPE_MAY_BE_IN_DEBIT };

static bool is_true(const PGresult *rows, int column) {
    return strcmp(PQgetvalue(rows, 0, column), "t") == 0;
}

/*
 * Tries the quick proof; *proven stays false where the books are not plain, and where it fails.
 * The planner sees its parameters as constants.  Behind a number out of range the view goes on.
 */
static bool prove_plain(struct check *check, const char *seed, bool *proven) {
    const char *const ledger[] = {check->ledger_id};
    PGresult *shape = source_query(check->source, REPORT_SQL_CHECK_SHAPE, ledger, 1);
    if (shape == NULL || !is_true(shape, SHAPE_PLAIN)) {
        PQclear(shape);
        return shape != NULL;
    }
    const char *const values[] = {check->ledger_id, seed, PQgetvalue(shape, 0, SHAPE_ONLY_LEDGER),
                                  PQgetvalue(shape, 0, SHAPE_MAY_BE_IN_DEBIT)};
    PGresult *rows = NULL;
    if (run_statement(check->source, "SAVEPOINT plain"))
        rows = source_try(check->source, REPORT_SQL_CHECK_PLAIN, values, 4, OUT_OF_RANGE);
    bool good = rows != NULL;
    if (good && PQresultStatus(rows) == PGRES_TUPLES_OK) {
        good = read_counts(check, rows);
        *proven = good && is_true(rows, PROOF_PROVEN);
    } else if (good) {
        good = run_statement(check->source, "ROLLBACK TO SAVEPOINT plain");
    }
    PQclear(rows);
    PQclear(shape);
    return good;
}

/* *pairs: each transaction is a debit and a credit of one amount; *proven: everything else. */
static bool prove(struct check *check, bool *pairs, bool *proven) {
    int64_t number;
    char seed[24];
    if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number)) {
        source_complain("no random number: %s", strerrordesc_np(errno));
        return false;
    }
    /* Half of the range: a seq is added to it. */
    snprintf(seed, sizeof(seed), "%" PRId64, number / 2);
    if (!prove_plain(check, seed, proven))
        return false;
    *pairs = *proven;
    if (*proven)
        return true;
    const char *const values[] = {check->ledger_id, seed};
    PGresult *rows = source_query(check->source, REPORT_SQL_CHECK_PROOF, values, 2);
    if (rows == NULL)
        return false;
    bool good = read_counts(check, rows);
    *pairs = good && is_true(rows, PROOF_PAIRS);
    *proven = good && is_true(rows, PROOF_PROVEN);
    PQclear(rows);
    return good;
}

static bool check_everything(struct check *check) {
    bool pairs = false, proven = false;
    if (!prove(check, &pairs, &proven) || !ask(check, REPORT_SQL_CHECK_ACCOUNTS))
        return false;
    if (pairs && proven && check->kinds == 0)
        return true;
    if (!ask(check, REPORT_SQL_CHECK_DETAILS))
        return false;
    /* Only transactions of more than two legs may be right without being proven. */
    return proven || check->kinds > 0 ||
           add_finding(check, "unproven", "INV3", "1", "the proof fails, and no row tells why");
}

static bool check_recent(struct check *check) {
    const char *const values[] = {check->ledger_id, PQgetvalue(check->facts, 0, FACT_SINCE),
                                  PQgetvalue(check->facts, 0, FACT_BOOKED_SINCE)};
    PGresult *rows = source_query(check->source, REPORT_SQL_CHECK_RECENT, values, 3);
    if (rows == NULL)
        return false;
    if (!read_counts(check, rows)) {
        PQclear(rows);
        return false;
    }
    return add_findings(check, rows, 1) && ask(check, REPORT_SQL_CHECK_ACCOUNTS);
}

/* In a transaction of its own, after the view. */
static bool record(struct check *check) {
    char transactions[24], entries[24], differences[24];
    snprintf(transactions, sizeof(transactions), "%" PRId64, check->transactions);
    snprintf(entries, sizeof(entries), "%" PRId64, check->entries);
    snprintf(differences, sizeof(differences), "%" PRId64, check->differences);
    struct output findings;
    output_to_memory(&findings, FINDINGS_BYTES_MAX);
    output_text(&findings, "[");
    if (check->json.length > 0)
        output_bytes(&findings, check->json.bytes, check->json.length);
    output_bytes(&findings, "]", sizeof("]"));
    const char *const values[] = {check->ledger_id,
                                  check->full ? "full" : "incremental",
                                  PQgetvalue(check->facts, 0, FACT_STARTED_AT),
                                  PQgetvalue(check->facts, 0, FACT_WATERMARK),
                                  PQgetvalue(check->facts, 0, FACT_CLUSTER),
                                  transactions,
                                  entries,
                                  differences,
                                  findings.bytes};
    PGresult *rows =
        findings.error != 0
            ? NULL
            : source_query(check->source,
                           "INSERT INTO ledger.check_run (ledger_id, mode, started_at, watermark,"
                           " cluster, transactions, entries, differences, findings)"
                           " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                           values, 9);
    output_free(&findings);
    PQclear(rows);
    if (rows == NULL)
        source_complain("the run could not be recorded");
    return rows != NULL;
}

static bool print_result(const struct check *check) {
    struct output output;
    output_to_descriptor(&output, STDOUT_FILENO);
    output_format(
        &output, "ledger %s, %s check: %" PRId64 " transactions, %" PRId64 " entries: %s\n",
        check->source->ledger_name, check->full ? "full" : "incremental", check->transactions,
        check->entries, check->differences == 0 ? "clean" : "differences");
    if (check->text.length > 0) /* without findings there is not even a buffer */
        output_bytes(&output, check->text.bytes, check->text.length);
    bool good = output_flush(&output);
    if (!good)
        source_complain("the result cannot be written: %s", strerrordesc_np(output.error));
    output_free(&output);
    return good;
}

/*
 * Hashes and sorts in memory as far as this; beyond it the server uses temporary files.  A full
 * check reads rows themselves, which is faster than an index over them, and its proof calls a dozen
 * small functions an entry: the more entries, the more it is worth to compile it.
 */
static bool tune(const struct check *check) {
    return run_statement(check->source, "SET LOCAL work_mem = '64MB'") &&
           (!check->full || (run_statement(check->source, "SET LOCAL enable_indexonlyscan = off") &&
                             run_statement(check->source, "SET LOCAL jit = on")));
}

static int run_check(struct check *check, bool recorded) {
    bool good = source_begin_view(check->source) && ask_facts(check) && tune(check) &&
                (check->full ? check_everything(check) : check_recent(check)) &&
                run_statement(check->source, "COMMIT");
    if (!good)
        return EXIT_COULD_NOT_RUN;
    good = print_result(check);
    if ((recorded && !record(check)) || !good)
        return EXIT_COULD_NOT_RUN;
    return check->differences == 0 ? 0 : EXIT_DIFFERENCES;
}

int command_check(int argc, char **argv) {
    const char *full = NULL, *no_record = NULL, *help = NULL;
    const struct option_rule rules[] = {
        {"--full", false, &full}, {"--no-record", false, &no_record}, {"--help", false, &help}};
    size_t words = 0;
    if (!options_read(argc, argv, rules, sizeof(rules) / sizeof(rules[0]), NULL, 0, &words))
        return EXIT_USAGE;
    if (help != NULL) {
        print_help();
        return 0;
    }
    struct source source;
    int status = source_open(&source);
    if (status != 0)
        return status;
    struct check check = {.source = &source, .full = full != NULL};
    snprintf(check.ledger_id, sizeof(check.ledger_id), "%" PRId32, source.ledger_id);
    output_to_memory(&check.json, FINDINGS_BYTES_MAX);
    output_to_memory(&check.text, FINDINGS_BYTES_MAX);
    status = run_check(&check, no_record == NULL);
    PQclear(check.facts);
    output_free(&check.json);
    output_free(&check.text);
    source_close(&source);
    return status;
}
