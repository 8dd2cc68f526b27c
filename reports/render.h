/*
 * render: a report's rows, one by one, as JSON, CSV or aligned text, into an output.
 *
 * JSON: an object with the request's facts and one array per section.  CSV (RFC 4180): the section
 * first, a leading ' before free text that a spreadsheet would take for a formula.  The same rows
 * give the same bytes.
 */
#ifndef PACIOLI_REPORTS_RENDER_H
#define PACIOLI_REPORTS_RENDER_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reports/output.h"
#include "reports/report.h"

enum report_format { REPORT_FORMAT_TEXT, REPORT_FORMAT_CSV, REPORT_FORMAT_JSON };

struct render {
    const struct report *report;
    const struct report_request *request;
    enum report_format format;
    struct output *output;
    int blanks;        /* of aligned text, before the next cell: none at the end of a line */
    int section;       /* the open one, -1 before the first */
    int64_t places;    /* of `lines`: rows, or transactions where those are what pages count */
    char next[128];    /* the place of the last of them; "" before the first */
    const char *error; /* the database sent something that cannot be */
};

void render_begin(struct render *render, const struct report *report,
                  const struct report_request *request, enum report_format format,
                  struct output *output);
/* False: see `error`. Errors of the output stick there. */
__attribute__((warn_unused_result)) bool render_row(struct render *render, const PGresult *rows,
                                                    int row);
void render_end(struct render *render);
/* Where the next page begins; NULL: this one was not full, so there is none. */
const char *render_next(const struct render *render);

/* One CSV cell with its quotes, escaped. */
void render_csv_cell(struct output *output, const char *text);
/* A JSON string with its quotes. */
void render_json_string(struct output *output, const char *text);

const char *render_content_type(enum report_format format);

#endif
