/*
 * ledger_report breaks: what the banks and the books do not agree on, and what is done about it.
 *
 * Design.  The list is a report like the others (sql/breaks.sql).  A break is never edited:
 * `assign` adds an event with an owner, `resolve` records a match of what the breaks stand for,
 * after posting what their two sides differ by; all of that is ledger.resolve_breaks, in one
 * transaction. `match` runs the matcher again, as an import does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/command.h"
#include "reports/options.h"
#include "reports/output.h"
#include "reports/reconcile.h"
#include "reports/source.h"
#include "service_kit/uuid.h"

#define ACTOR_MAX    100
#define REASON_MAX   500
#define BREAKS_MAX   100
#define ID_DIGITS    18
#define IDS_TEXT_MAX (BREAKS_MAX * (ID_DIGITS + 1) + 3)

struct arguments {
    const char *owner, *reason, *by, *approved_by, *against, *account, *window, *help;
    const char *words[BREAKS_MAX];
    size_t word_count;
    char ids[IDS_TEXT_MAX]; /* "{1,2}" */
    int64_t window_days;
};

static void print_help(void) {
    puts("ledger_report breaks: lines of bank statements and entries without a counterpart\n\n"
         "usage: ledger_report breaks [list] [--as-of T] [--currency CODE] [--format F]\n"
         "       ledger_report breaks assign --owner NAME [--reason TEXT] [--by NAME] ID...\n"
         "       ledger_report breaks resolve --reason TEXT [--by NAME]\n"
         "           [--against CODE --approved-by NAME] ID...\n"
         "       ledger_report breaks match [--account CODE] [--window-days N] [--by NAME]\n\n"
         "assign names who looks after the breaks. resolve closes breaks of one account together:\n"
         "their lines and entries become one match. When the two sides differ, the difference is\n"
         "posted first, as an adjustment against the account CODE; somebody else than --by must\n"
         "approve that. match looks again for counterparts, 3 days apart or N.\n\n"
         "Exit status: 0 done, 2 could not run (nothing is changed), 64 usage.\n\n"
         "example: ledger_report breaks resolve --reason 'fee of the bank' --against "
         "expenses:bank:EUR\n"
         "             --by anna --approved-by boris 17");
}

/* ---- arguments ---- */

static bool is_text(const char *option, const char *text, size_t bytes_max) {
    if (text == NULL || (*text != '\0' && strlen(text) <= bytes_max))
        return true;
    source_complain("%s must be a text of 1 to %zu bytes", option, bytes_max);
    return false;
}

/* The words as an array of the database, each a number, none twice. */
static bool read_ids(struct arguments *given) {
    size_t used = 0;
    if (given->word_count == 0) {
        source_complain("breaks: which? their ids are needed");
        return false;
    }
    for (size_t i = 0; i < given->word_count; i++) {
        int64_t id;
        if (!options_number("an id", given->words[i], 1, 999999999999999999, &id))
            return false;
        for (size_t k = 0; k < i; k++) {
            if (strcmp(given->words[k], given->words[i]) == 0) {
                source_complain("breaks: %s is given twice", given->words[i]);
                return false;
            }
        }
        used += (size_t)snprintf(given->ids + used, sizeof(given->ids) - used, "%c%lld",
                                 i == 0 ? '{' : ',', (long long)id);
    }
    (void)snprintf(given->ids + used, sizeof(given->ids) - used, "}");
    return true;
}

static bool read_arguments(int argc, char **argv, const struct option_rule *rules, size_t count,
                           struct arguments *given) {
    return options_read(argc, argv, rules, count, given->words, BREAKS_MAX, &given->word_count) &&
           is_text("--owner", given->owner, ACTOR_MAX) && is_text("--by", given->by, ACTOR_MAX) &&
           is_text("--approved-by", given->approved_by, ACTOR_MAX) &&
           is_text("--reason", given->reason, REASON_MAX);
}

/* ---- what is done ---- */

typedef bool work(struct source *source, const struct arguments *given);

/* One transaction around it. */
static int run(const struct arguments *given, work *todo) {
    struct source source;
    const int status = source_open(&source);
    if (status != 0)
        return status;
    const bool done = reconcile_begin(&source) && reconcile_end(&source, todo(&source, given));
    source_close(&source);
    if (done && fflush(stdout) == 0)
        return 0;
    return EXIT_COULD_NOT_RUN;
}

static bool assign(struct source *source, const struct arguments *given) {
    char ledger_id[16];
    (void)snprintf(ledger_id, sizeof(ledger_id), "%d", (int)source->ledger_id);
    const char *const values[] = {ledger_id, given->ids, given->owner, given->reason,
                                  reconcile_actor(given->by)};
    PGresult *rows = source_query(
        source,
        "INSERT INTO ledger.statement_break_event (ledger_id, break_id, n, status, category,"
        " owner, reason, made_by)"
        " SELECT v.ledger_id, v.break_id, v.n + 1, v.status, v.category, $3,"
        "  coalesce($4, v.reason), $5"
        " FROM (SELECT DISTINCT ON (break_id) * FROM ledger.statement_break_event"
        "  WHERE ledger_id = $1::integer AND break_id = ANY ($2::bigint[])"
        "  ORDER BY break_id, n DESC) v WHERE v.status = 'open'",
        values, 5);
    const bool good = rows != NULL && strtoull(PQcmdTuples(rows), NULL, 10) == given->word_count;
    if (rows != NULL && !good)
        source_complain("not each of these is an open break");
    PQclear(rows);
    return good;
}

static bool resolve(struct source *source, const struct arguments *given) {
    char ledger_id[16], transaction_id[UUID_TEXT_LENGTH + 1];
    struct uuid_generator generator = {0};
    uint8_t uuid[UUID_SIZE];
    uuid_v7(&generator, uuid);
    uuid_format(uuid, transaction_id);
    (void)snprintf(ledger_id, sizeof(ledger_id), "%d", (int)source->ledger_id);
    const char *const values[] = {
        ledger_id,          given->ids,     given->reason,  reconcile_actor(given->by),
        given->approved_by, given->against, transaction_id,
    };
    PGresult *rows = source_query(source,
                                  "SELECT ledger.resolve_breaks($1::integer, $2::bigint[], $3, $4,"
                                  " $5, $6, $7::uuid)",
                                  values, 7);
    PQclear(rows);
    return rows != NULL;
}

static bool match_account(struct source *source, const struct arguments *given, const char *id,
                          const char *code) {
    struct match_rules rules = MATCH_RULES_DEFAULT;
    struct reconcile_result result;
    if (given->window != NULL)
        rules.window_days = (int)given->window_days;
    if (!reconcile_account(source, id, &rules, reconcile_actor(given->by), &result))
        return false;
    printf("%s: %zu new matches, %zu open breaks\n", code, result.matches, result.open_breaks);
    return true;
}

static bool match(struct source *source, const struct arguments *given) {
    char ledger_id[16];
    (void)snprintf(ledger_id, sizeof(ledger_id), "%d", (int)source->ledger_id);
    const char *const values[] = {ledger_id, given->account};
    PGresult *rows =
        source_query(source,
                     "SELECT a.id, a.code FROM ledger.account a WHERE a.ledger_id = $1::integer"
                     " AND ($2::text IS NULL OR a.code = $2::text)"
                     " AND EXISTS (SELECT FROM ledger.statement s WHERE s.ledger_id = a.ledger_id"
                     "  AND s.account_id = a.id) ORDER BY a.code",
                     values, 2);
    bool good = rows != NULL;
    if (good && given->account != NULL && PQntuples(rows) == 0) {
        source_complain("there is no account %s with statements", given->account);
        good = false;
    }
    for (int row = 0; good && row < PQntuples(rows); row++)
        good = match_account(source, given, PQgetvalue(rows, row, 0), PQgetvalue(rows, row, 1));
    PQclear(rows);
    return good;
}

/* ---- the words after the command ---- */

static int breaks_assign(int argc, char **argv) {
    struct arguments given = {0};
    const struct option_rule rules[] = {{"--owner", true, &given.owner},
                                        {"--reason", true, &given.reason},
                                        {"--by", true, &given.by}};
    if (!read_arguments(argc, argv, rules, sizeof(rules) / sizeof(*rules), &given) ||
        !read_ids(&given))
        return EXIT_USAGE;
    if (given.owner == NULL) {
        source_complain("breaks assign: --owner is needed");
        return EXIT_USAGE;
    }
    return run(&given, assign);
}

static int breaks_resolve(int argc, char **argv) {
    struct arguments given = {0};
    const struct option_rule rules[] = {{"--reason", true, &given.reason},
                                        {"--by", true, &given.by},
                                        {"--against", true, &given.against},
                                        {"--approved-by", true, &given.approved_by}};
    if (!read_arguments(argc, argv, rules, sizeof(rules) / sizeof(*rules), &given) ||
        !read_ids(&given))
        return EXIT_USAGE;
    if (given.reason == NULL) {
        source_complain("breaks resolve: --reason is needed");
        return EXIT_USAGE;
    }
    if (given.against != NULL &&
        (given.approved_by == NULL || strcmp(given.approved_by, reconcile_actor(given.by)) == 0)) {
        source_complain("breaks resolve: somebody else than --by must approve what is posted");
        return EXIT_USAGE;
    }
    return run(&given, resolve);
}

static int breaks_match(int argc, char **argv) {
    struct arguments given = {0};
    const struct option_rule rules[] = {{"--account", true, &given.account},
                                        {"--window-days", true, &given.window},
                                        {"--by", true, &given.by}};
    if (!read_arguments(argc, argv, rules, sizeof(rules) / sizeof(*rules), &given))
        return EXIT_USAGE;
    if (given.word_count > 0) {
        source_complain("breaks match: unexpected argument %s", given.words[0]);
        return EXIT_USAGE;
    }
    if (given.window != NULL &&
        !options_number("--window-days", given.window, 0, 30, &given.window_days))
        return EXIT_USAGE;
    return run(&given, match);
}

int command_breaks(int argc, char **argv) {
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } verbs[] = {{"assign", breaks_assign}, {"resolve", breaks_resolve}, {"match", breaks_match}};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            print_help();
            return 0;
        }
    }
    for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(*verbs); i++) {
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "list") == 0) {
        argv[1] = argv[0];
        return command_report(argc - 1, argv + 1);
    }
    return command_report(argc, argv);
}
