/*
 * report: which reports there are, what each asks for, and the columns of its answer.
 *
 * Source: the journal (ledger_core).  Shapes: every report is a list of sections (`lines`,
 * `totals`, ...) of rows with the report's columns; an amount is an exact decimal text with the
 * decimals of its currency.  One statement answers it, so it is one consistent view.
 */
#ifndef PACIOLI_REPORTS_REPORT_H
#define PACIOLI_REPORTS_REPORT_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum report_column_kind {
    REPORT_TEXT,    /* free text is escaped where a format needs it */
    REPORT_INTEGER, /* a count */
    REPORT_AMOUNT,  /* minor units from the database, decimals in the row's last column */
};

struct report_column {
    const char *name;
    enum report_column_kind kind;
    int width; /* of the aligned text */
};

#define REPORT_COLUMNS_MAX  12
#define REPORT_SECTIONS_MAX 4

/* What a report can be asked for. */
enum report_needs {
    REPORT_AS_OF = 1,   /* a moment */
    REPORT_PERIOD = 2,  /* from, to */
    REPORT_DEPTH = 4,   /* roll-up */
    REPORT_ACCOUNT = 8, /* one account, required */
    REPORT_PAGES = 16,  /* limit, after */
};

/* What `after` looks like. */
enum report_place {
    REPORT_PLACE_NONE,
    REPORT_PLACE_NUMBER,      /* 1234 */
    REPORT_PLACE_ID,          /* a UUID */
    REPORT_PLACE_TRANSACTION, /* its moment, a slash, its id */
};

struct report {
    const char *name; /* "trial-balance" */
    const char *title;
    const char *purpose; /* one line of help */
    const char *sql;
    struct {
        const char *name, *sql;
    } effective; /* by effective time, if that is another statement; else NULL */
    unsigned needs;
    int depth_default;
    const char *sections[REPORT_SECTIONS_MAX + 1];
    struct report_column columns[REPORT_COLUMNS_MAX + 1]; /* ends with a NULL name */
    /* With REPORT_PAGES: what names the place behind a line, for the next page. */
    enum report_place place;
    const char *page_column; /* the column with that name; NULL: REPORT_PLACE_TRANSACTION */
};

extern const struct report REPORTS[];
extern const size_t REPORT_COUNT;
const struct report *report_find(const char *name, size_t length);
/* May `after` be that? */
bool report_place_valid(const struct report *report, const char *text, size_t length);

/* A request. NULL texts: not given. */
struct report_request {
    int32_t ledger_id;
    const char *ledger_name;
    const char *as_of, *from, *to; /* moments in the form of moment.h */
    const char *currency;
    bool effective; /* by effective time; else by booking time */
    const char *account;
    int depth;
    int64_t row_limit;
    const char *after;
    const char *owner; /* the account must be this user's; an account of another one is not there */
};

/* The statement that answers it, and a name for it that no other one has. */
const char *report_sql(const struct report *report, bool effective);
const char *report_statement(const struct report *report, bool effective);

#define REPORT_PARAMETERS 11
/* The statement's parameters, as text; `room` is theirs, valid as long as the request. */
struct report_parameters {
    const char *values[REPORT_PARAMETERS];
    char ledger_id[16], depth[16], row_limit[24];
};
void report_parameters_fill(const struct report_request *request,
                            struct report_parameters *parameters);

#endif
