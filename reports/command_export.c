/*
 * Design.  A position is a booking time in microseconds since 1970.  The export waits until nobody
 * can book before its end any more (settle.h); from then on the same range has the same bytes, for
 * ever, and the next export begins at the `to` of this one.  Settling takes a second; if the range
 * ends now, what was booked before that is written meanwhile.
 *
 * Rows stream through; a transaction is held until its last entry, so that declarations can go
 * before it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reports/command.h"
#include "reports/export.h"
#include "reports/export_accounts.h"
#include "reports/export_manifest.h"
#include "reports/export_rows.h"
#include "reports/moment.h"
#include "reports/options.h"

#define TRANSACTION_BYTES_MAX (32U << 20)
#define US_PER_DAY            86400000000LL
#define SETTLING_US           1100000 /* a little more than what settle.h waits for */
#define PROGRESS_EVERY_ROWS   4096
#define PROGRESS_BAR          30

static const struct export_format *const FORMATS[] = {
    &EXPORT_HLEDGER, &EXPORT_LEDGER, &EXPORT_BEANCOUNT, &EXPORT_CSV, &EXPORT_JSONL,
};

struct arguments {
    const char *format, *from, *to, *manifest, *remember, *help;
};

struct run {
    struct export export;
    struct export_manifest manifest;
    struct export_accounts accounts;
    int64_t remember;
    struct output stream; /* standard output */
    struct output held;   /* the transaction at hand */
    bool progress;
    int64_t first_position, last_position;
    int64_t asked_at; /* the database's time then */
    time_t shown_at;
};

static void print_help(void) {
    puts("ledger_report export: the journal for a program that checks it, to standard output\n\n"
         "usage: ledger_report export --format F [options]\n\n"
         "  --format F        hledger, ledger, beancount, csv or jsonl\n"
         "  --from P          from that position on (the beginning)\n"
         "  --to P            before that position (now)\n"
         "  --manifest FILE   range, counts, sums per currency and SHA-256 of the output\n"
         "  --remember N      accounts kept in memory (65536); the others are asked for again\n\n"
         "A position is a booking time: microseconds since 1970, as in a manifest, or a day\n"
         "(2026-11-24: its first moment, UTC), or an RFC 3339 time. The same range gives the same\n"
         "bytes again; the next export begins with the `to` of the manifest before.\n\n"
         "example: ledger_report export --format hledger --manifest books.json > books.journal\n"
         "         hledger -f books.journal check -s ordereddates");
}

static const struct export_format *find_format(const char *name) {
    for (size_t i = 0; name != NULL && i < sizeof(FORMATS) / sizeof(FORMATS[0]); i++) {
        if (strcmp(FORMATS[i]->name, name) == 0)
            return FORMATS[i];
    }
    source_complain("--format must be hledger, ledger, beancount, csv or jsonl");
    return NULL;
}

/* ---- the range ---- */

/* The text that the database reads: digits as they are, everything else as a moment. */
static bool read_position(const char *option, const char *text, char room[static MOMENT_TEXT_SIZE],
                          const char **number, const char **moment) {
    int64_t value = 0;
    if (text == NULL)
        return true;
    if (strspn(text, "0123456789") == strlen(text)) {
        *number = text;
        return options_number(option, text, 0, 253370764800000000LL, &value);
    }
    *moment = room;
    if (moment_parse(text, strlen(text), MOMENT_START, room))
        return true;
    source_complain("%s must be a number, a day (2026-11-24) or an RFC 3339 time "
                    "(2026-11-24T12:00:00Z)",
                    option);
    return false;
}

static bool read_range(const struct arguments *given, struct source *source, struct run *run) {
    struct export *export = &run->export;
    char rooms[2][MOMENT_TEXT_SIZE];
    const char *values[4] = {0};
    if (!read_position("--from", given->from, rooms[0], &values[0], &values[1]) ||
        !read_position("--to", given->to, rooms[1], &values[2], &values[3]))
        return false;
    PGresult *rows = source_query(
        source,
        "SELECT coalesce($1::bigint, (extract(epoch FROM $2::timestamptz) * 1000000)::bigint, 0),"
        " coalesce($3::bigint, (extract(epoch FROM coalesce($4::timestamptz, clock_timestamp()))"
        " * 1000000)::bigint), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
        values, 4);
    if (rows == NULL)
        return false;
    export->from = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
    export->to = strtoll(PQgetvalue(rows, 0, 1), NULL, 10);
    run->asked_at = strtoll(PQgetvalue(rows, 0, 2), NULL, 10);
    PQclear(rows);
    bool good = export->from <= export->to;
    if (!good)
        source_complain("--from lies behind --to (%lld, %lld)", (long long)export->from,
                        (long long)export->to);
    return good;
}

/* ---- progress ---- */

static void show_progress(struct run *run, bool done) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!done && now.tv_sec == run->shown_at)
        return;
    run->shown_at = now.tv_sec;
    int64_t length = run->export.to - run->first_position;
    int64_t permille = done ? 1000
                       : length <= 0
                           ? 0
                           : (run->last_position - run->first_position) / (length / 1000 + 1);
    char bar[PROGRESS_BAR + 1];
    for (int i = 0; i < PROGRESS_BAR; i++)
        bar[i] = (int64_t)i * 1000 / PROGRESS_BAR < permille ? '#' : '.';
    bar[PROGRESS_BAR] = '\0';
    fprintf(stderr, "\r[%s] %3d %%  %lld entries%s", bar, (int)(permille / 10),
            (long long)run->manifest.entries, done ? "\n" : "");
}

/* ---- the stream ---- */

static void declare(struct run *run, struct export_account *account, bool new_account) {
    struct export *export = &run->export;
    bool is_new;
    export_manifest_currency(&run->manifest, account, &is_new);
    if (is_new && export->format->currency != NULL)
        export->format->currency(export, account);
    if (new_account && export->format->account != NULL)
        export->format->account(export, account);
}

static void end_transaction(struct run *run) {
    if (run->manifest.entries == 0)
        return;
    run->export.output = &run->held;
    if (run->export.format->transaction_end != NULL)
        run->export.format->transaction_end(&run->export);
    output_bytes(&run->stream, run->held.bytes, run->held.length);
    run->held.length = 0;
}

static bool go_on(const struct run *run, const struct export_row *row) {
    bool fits = run->held.error == 0 && run->export.shared.error == 0;
    if (!fits)
        source_complain("transaction %s is too large to export", row->transaction_id);
    return fits && run->stream.error == 0;
}

static void begin_transaction(struct run *run, const struct export_row *row) {
    if (row->position / US_PER_DAY != run->last_position / US_PER_DAY || run->manifest.entries == 0)
        export_date(row->position, run->export.date);
    if (run->manifest.entries == 0)
        run->first_position = row->position;
    run->last_position = row->position;
    if (run->export.format->transaction != NULL)
        run->export.format->transaction(&run->export, row);
}

static bool on_entry(void *owner, const struct export_row *row) {
    struct run *run = owner;
    struct export *export = &run->export;
    if (row->first)
        end_transaction(run);
    if (row->seq == 1 || row->account->currency == EXPORT_CURRENCY_UNKNOWN) {
        if (row->first) /* its date is that of the declarations before it */
            export_date(row->position, export->date);
        export->output = &run->stream;
        declare(run, row->account, row->seq == 1);
    }
    export->output = &run->held;
    if (row->first)
        begin_transaction(run, row);
    export->format->entry(export, row);
    if (row->seq > row->account->seq) {
        row->account->seq = row->seq;
        row->account->balance_after = row->balance_after;
    }
    export_manifest_add(&run->manifest, row);
    if (run->progress && run->manifest.entries % PROGRESS_EVERY_ROWS == 0)
        show_progress(run, false);
    return go_on(run, row);
}

static bool on_opening(void *owner, const struct export_row *row) {
    struct run *run = owner;
    export_date(run->export.from, run->export.date);
    declare(run, row->account, true);
    if (row->balance_after != 0)
        run->export.format->opening(&run->export, row);
    return go_on(run, row);
}

static bool on_closing(void *owner, const struct export_row *row) {
    struct run *run = owner;
    struct export_row dated = *row;
    dated.position = run->last_position;
    run->export.format->closing(&run->export, &dated);
    return go_on(run, row);
}

/* From memory, as long as no account that moved has been forgotten. */
static bool write_closings(struct run *run, struct source *source) {
    const struct export_query query = {EXPORT_CLOSINGS, false, run->export.from, run->export.to};
    output_text(&run->stream, "\n");
    if (run->accounts.forgotten)
        return export_rows(source, &run->accounts, &query, on_closing, run);
    size_t count;
    struct export_account **moved = export_accounts_moved(&run->accounts, &count);
    bool good = true;
    for (size_t i = 0; good && i < count; i++) {
        const struct export_row row = {.account = moved[i],
                                       .balance_after = moved[i]->balance_after};
        good = on_closing(run, &row);
    }
    free(moved);
    return good;
}

/* Sorts and hashes in memory as far as this; beyond it the server uses its temporary files. */
static bool set_memory(struct source *source) {
    PGresult *rows = source_query(source, "SET LOCAL work_mem = '128MB'", NULL, 0);
    PQclear(rows);
    return rows != NULL;
}

/* A view of its own, in which everything before that moment stands. */
static bool begin_settled_view(struct run *run, struct source *source, int64_t to) {
    char moment[EXPORT_TIME_TEXT];
    export_time(&run->export.clock, to, moment);
    return source_settle(source, moment, false) && source_begin_view(source) && set_memory(source);
}

static bool write_beginning(struct run *run, struct source *source) {
    struct export *export = &run->export;
    const struct export_query query = {EXPORT_OPENINGS, false, export->from, export->to};
    export->output = &run->stream;
    if (export->format->begin != NULL)
        export->format->begin(export);
    return !export->format->openings || export->from == 0 ||
           export_rows(source, &run->accounts, &query, on_opening, run);
}

static bool write_entries(struct run *run, struct source *source, int64_t from, int64_t to) {
    const struct export_query query = {EXPORT_ENTRIES, run->export.format->details, from, to};
    return export_rows(source, &run->accounts, &query, on_entry, run);
}

/*
 * Up to where the range is written first, while its last second settles.  Opening balances are
 * those of all accounts that move in the range: they need the whole of it.
 */
static int64_t first_part_end(const struct run *run) {
    const struct export *export = &run->export;
    int64_t settled = run->asked_at - SETTLING_US;
    bool openings = export->format->openings && export->from > 0;
    return openings || settled >= export->to || settled <= export->from ? export->to : settled;
}

static bool stream_journal(struct run *run, struct source *source) {
    struct export *export = &run->export;
    int64_t end = first_part_end(run);
    if (!begin_settled_view(run, source, end) ||
        !export_accounts_open(&run->accounts, source, export->format, (size_t)run->remember) ||
        !write_beginning(run, source) || !write_entries(run, source, export->from, end))
        return false;
    if (end < export->to &&
        (!source_end_view(source) || !begin_settled_view(run, source, export->to) ||
         !export_accounts_follow(&run->accounts, source) ||
         !write_entries(run, source, end, export->to)))
        return false;
    end_transaction(run);
    export->output = &run->stream;
    return !export->format->closings || run->manifest.entries == 0 || write_closings(run, source);
}

static int run_export(struct run *run, struct source *source, const char *manifest_path) {
    bool good = stream_journal(run, source);
    export_accounts_free(&run->accounts);
    if ((good && !output_flush(&run->stream)) || run->stream.error != 0) {
        source_complain("the export cannot be written: %s", strerrordesc_np(run->stream.error));
        good = false;
    }
    run->export.output = &run->stream;
    if (run->progress && good)
        show_progress(run, true);
    if (good && manifest_path != NULL)
        good = export_manifest_write(&run->manifest, &run->export, manifest_path);
    return good ? 0 : EXIT_COULD_NOT_RUN;
}

int command_export(int argc, char **argv) {
    struct arguments given = {0};
    const struct option_rule rules[] = {
        {"--format", true, &given.format},
        {"--from", true, &given.from},
        {"--to", true, &given.to},
        {"--manifest", true, &given.manifest},
        {"--remember", true, &given.remember},
        {"--help", false, &given.help},
    };
    size_t words = 0;
    if (!options_read(argc, argv, rules, sizeof(rules) / sizeof(rules[0]), NULL, 0, &words))
        return EXIT_USAGE;
    if (given.help != NULL) {
        print_help();
        return 0;
    }
    struct run run = {.progress = isatty(STDERR_FILENO) == 1,
                      .remember = EXPORT_ACCOUNTS_REMEMBER_MAX};
    run.export.format = find_format(given.format);
    if (run.export.format == NULL ||
        (given.remember != NULL && !options_number("--remember", given.remember, 1,
                                                   EXPORT_ACCOUNTS_REMEMBER_MAX, &run.remember)))
        return EXIT_USAGE;
    struct source source;
    int status = source_open(&source);
    if (status != 0)
        return status;
    run.export.ledger_name = source.ledger_name;
    output_to_descriptor(&run.stream, STDOUT_FILENO);
    output_to_memory(&run.held, TRANSACTION_BYTES_MAX);
    output_to_memory(&run.export.shared, TRANSACTION_BYTES_MAX);
    run.stream.on_written = export_manifest_bytes;
    run.stream.owner = &run.manifest;
    status = EXIT_COULD_NOT_RUN;
    if (export_manifest_begin(&run.manifest)) {
        status = read_range(&given, &source, &run) ? run_export(&run, &source, given.manifest)
                                                   : EXIT_USAGE;
    }
    export_manifest_free(&run.manifest);
    output_free(&run.held);
    output_free(&run.export.shared);
    output_free(&run.stream);
    source_close(&source);
    return status;
}
