/*
 * export_rows: the rows of an export out of the database, one by one, in COPY's binary form.
 */
#ifndef PACIOLI_REPORTS_EXPORT_ROWS_H
#define PACIOLI_REPORTS_EXPORT_ROWS_H

#include "reports/export.h"
#include "reports/export_accounts.h"
#include "reports/source.h"

enum export_part {
    EXPORT_OPENINGS, /* balances before the range, of accounts that move in it, by code */
    EXPORT_ENTRIES,  /* the range */
    EXPORT_CLOSINGS, /* balances at its end, of accounts that move in it, by code */
};

struct export_query {
    enum export_part part;
    bool details;     /* of the transactions, as in struct export_format */
    int64_t from, to; /* positions */
};

/*
 * Calls back with each row; on_row returns false to stop.  False: stopped, or failed, after a
 * message on standard error.
 */
__attribute__((warn_unused_result)) bool
export_rows(struct source *source, struct export_accounts *accounts,
            const struct export_query *query,
            bool (*on_row)(void *owner, const struct export_row *row), void *owner);

#endif
