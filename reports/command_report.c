/*
 * Design.  One command for all reports: what each can be asked for stands in its row of report.c.
 * Rows go from the connection to the output one by one, so memory does not depend on their number.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reports/command.h"
#include "reports/moment.h"
#include "reports/options.h"
#include "reports/output.h"
#include "reports/render.h"
#include "reports/settle.h"
#include "reports/source.h"

struct arguments {
    const char *as_of, *from, *to, *currency, *effective, *depth, *format, *limit, *after, *help;
    const char *account;
    char moments[3][MOMENT_TEXT_SIZE];
};

static void print_help(const struct report *report) {
    printf("ledger_report %s: %s\n\n", report->name, report->purpose);
    printf("usage: ledger_report %s%s [options]\n\n", report->name,
           report->needs & REPORT_ACCOUNT ? " ACCOUNT" : "");
    if (report->needs & REPORT_ACCOUNT)
        puts("  ACCOUNT          id or code of the account");
    if (report->needs & REPORT_AS_OF)
        puts("  --as-of T        everything before that moment (the present)");
    if (report->needs & REPORT_PERIOD)
        puts("  --from T         from that moment on\n"
             "  --to T           before that moment");
    if (report->needs & REPORT_DEPTH)
        printf("  --depth N        segments of a code to roll up to, 0: whole codes (%d)\n",
               report->depth_default);
    if (report->needs & REPORT_PAGES)
        puts("  --limit N        at most so many lines (all)\n"
             "  --after X        go on behind that line (`next` of the page before, in JSON)");
    puts(
        "  --currency CODE  that currency alone\n"
        "  --effective      by effective time instead of booking time\n"
        "  --format F       text, csv or json (text)\n\n"
        "T is a day (2026-11-24: its end for --as-of and --to, its start for --from; UTC) or an\n"
        "RFC 3339 time (2026-11-24T12:00:00Z). It must have passed; it is answered when every "
        "writer\n"
        "that could still book before it is done, so that the same moment gives the same bytes.\n");
    printf("example: ledger_report %s%s %s --format csv\n", report->name,
           report->needs & REPORT_ACCOUNT ? " assets:settlement:RUB" : "",
           report->needs & REPORT_AS_OF ? "--as-of 2026-10-31"
                                        : "--from 2026-10-01 --to 2026-10-31");
}

static bool read_moment(const char *option, const char *text, enum moment_edge edge,
                        char room[static MOMENT_TEXT_SIZE], const char **moment) {
    if (text == NULL)
        return true;
    if (!moment_parse(text, strlen(text), edge, room)) {
        source_complain("%s must be a day (2026-11-24) or an RFC 3339 time "
                        "(2026-11-24T12:00:00Z)",
                        option);
        return false;
    }
    *moment = room;
    return true;
}

static bool read_arguments(const struct report *report, int argc, char **argv,
                           struct arguments *given) {
    struct option_rule rules[10];
    size_t count = 0;
    rules[count++] = (struct option_rule){"--currency", true, &given->currency};
    rules[count++] = (struct option_rule){"--effective", false, &given->effective};
    rules[count++] = (struct option_rule){"--format", true, &given->format};
    rules[count++] = (struct option_rule){"--help", false, &given->help};
    if (report->needs & REPORT_AS_OF)
        rules[count++] = (struct option_rule){"--as-of", true, &given->as_of};
    if (report->needs & REPORT_PERIOD) {
        rules[count++] = (struct option_rule){"--from", true, &given->from};
        rules[count++] = (struct option_rule){"--to", true, &given->to};
    }
    if (report->needs & REPORT_DEPTH)
        rules[count++] = (struct option_rule){"--depth", true, &given->depth};
    if (report->needs & REPORT_PAGES) {
        rules[count++] = (struct option_rule){"--limit", true, &given->limit};
        rules[count++] = (struct option_rule){"--after", true, &given->after};
    }
    size_t words = 0;
    if (!options_read(argc, argv, rules, count, &given->account,
                      report->needs & REPORT_ACCOUNT ? 1 : 0, &words))
        return false;
    if (given->help == NULL && report->needs & REPORT_ACCOUNT && words == 0) {
        source_complain("%s: which account? see %s --help", argv[0], argv[0]);
        return false;
    }
    return true;
}

static bool read_format(const char *text, enum report_format *format) {
    static const char *const names[] = {"text", "csv", "json"};
    *format = REPORT_FORMAT_TEXT;
    for (int i = 0; text != NULL && i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            *format = (enum report_format)i;
            return true;
        }
    }
    if (text != NULL)
        source_complain("--format must be text, csv or json");
    return text == NULL;
}

static bool make_request(const struct report *report, struct arguments *given,
                         struct report_request *request, enum report_format *format) {
    int64_t depth = report->depth_default, limit = 0;
    if (!read_format(given->format, format) ||
        (given->depth != NULL && !options_number("--depth", given->depth, 0, 16, &depth)) ||
        (given->limit != NULL && !options_number("--limit", given->limit, 1, 1000000000, &limit)) ||
        !read_moment("--as-of", given->as_of, MOMENT_END, given->moments[0], &request->as_of) ||
        !read_moment("--from", given->from, MOMENT_START, given->moments[1], &request->from) ||
        !read_moment("--to", given->to, MOMENT_END, given->moments[2], &request->to))
        return false;
    if (request->from != NULL && request->to != NULL && strcmp(request->from, request->to) > 0) {
        source_complain("--from must not be later than --to");
        return false;
    }
    if (given->after != NULL && !report_place_valid(report, given->after, strlen(given->after))) {
        source_complain("--after must be what a page of this report names as its `next`");
        return false;
    }
    request->currency = given->currency;
    request->effective = given->effective != NULL;
    request->account = given->account;
    request->depth = (int)depth;
    request->row_limit = limit;
    request->after = given->after;
    return true;
}

static bool on_row(void *owner, const PGresult *rows, int row) {
    struct render *render = owner;
    return render_row(render, rows, row) && render->output->error == 0;
}

static bool currency_known(struct source *source, const struct report_request *request) {
    char ledger_id[16];
    if (request->currency == NULL)
        return true;
    (void)snprintf(ledger_id, sizeof(ledger_id), "%d", (int)request->ledger_id);
    const char *const values[] = {ledger_id, request->currency};
    PGresult *rows = source_query(source, SETTLE_CURRENCY_SQL, values, 2);
    const bool known = rows != NULL && strcmp(PQgetvalue(rows, 0, 0), "t") == 0;
    if (rows != NULL && !known)
        source_complain("--currency: %s " SETTLE_NO_CURRENCY, request->currency);
    PQclear(rows);
    return known;
}

/* Moments in the past are settled first, so that they never change again. */
static int print_report(struct source *source, const struct report *report,
                        const struct report_request *request, enum report_format format,
                        struct output *output) {
    struct report_parameters parameters;
    report_parameters_fill(request, &parameters);
    const char *moment = settle_moment(request);
    if (!currency_known(source, request))
        return EXIT_COULD_NOT_RUN;
    if (moment != NULL && !source_settle(source, moment, request->effective))
        return EXIT_COULD_NOT_RUN;
    if (!source_begin_view(source))
        return EXIT_COULD_NOT_RUN;
    struct render render;
    render_begin(&render, report, request, format, output);
    bool good = source_stream(source, report_sql(report, request->effective), parameters.values,
                              REPORT_PARAMETERS, on_row, &render);
    if (good && report->needs & REPORT_ACCOUNT && render.section < 0) {
        source_complain("there is no account %s", request->account);
        return EXIT_COULD_NOT_RUN;
    }
    if (good)
        render_end(&render);
    else if (render.error != NULL)
        source_complain("%s", render.error);
    return good ? 0 : EXIT_COULD_NOT_RUN;
}

int command_report(int argc, char **argv) {
    const struct report *report = report_find(argv[0], strlen(argv[0]));
    struct arguments given = {0};
    struct report_request request = {0};
    enum report_format format;
    if (report == NULL || !read_arguments(report, argc, argv, &given))
        return EXIT_USAGE;
    if (given.help != NULL) {
        print_help(report);
        return 0;
    }
    if (!make_request(report, &given, &request, &format))
        return EXIT_USAGE;
    struct source source;
    int status = source_open(&source);
    if (status != 0)
        return status;
    request.ledger_id = source.ledger_id;
    request.ledger_name = source.ledger_name;
    struct output output;
    output_to_descriptor(&output, STDOUT_FILENO);
    status = print_report(&source, report, &request, format, &output);
    if (status == 0 && !output_flush(&output)) {
        source_complain("the report cannot be written: %s", strerrordesc_np(output.error));
        status = EXIT_COULD_NOT_RUN;
    } else if (output.error != 0 && status != 0) {
        source_complain("the report cannot be written: %s", strerrordesc_np(output.error));
    }
    output_free(&output);
    source_close(&source);
    return status;
}
