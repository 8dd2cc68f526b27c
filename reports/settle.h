/*
 * settle: what is asked before a report: from when on a moment in the past never changes again, and
 * whether there is such a currency.
 *
 * By booking time nobody must be able to book before a moment any more when it is reported.  Two
 * statements find out, each in a database transaction of its own; both callers, the tool and
 * wallet_api, ask them one after the other until they say yes, and send the third one then.  By
 * effective time a moment says what is known today about that time; there it keeps two looks a
 * second apart alike.
 */
#ifndef PACIOLI_REPORTS_SETTLE_H
#define PACIOLI_REPORTS_SETTLE_H

#include "reports/report.h"

/* $1 a moment: how far it is, and a transaction number above that of whoever may book before it. */
#define SETTLE_NOTE_NAME "settle_note"
extern const char SETTLE_NOTE_SQL[];
/* $1 that number: true when all those transactions are over. */
#define SETTLE_DONE_NAME "settle_done"
extern const char SETTLE_DONE_SQL[];
/*
 * Then: the report looks for what came since the moment by an index, which is told of new rows
 * here.  A statement of its own: with a transaction number it would keep others from settling.
 */
#define SETTLE_INDEX_NAME "settle_index"
extern const char SETTLE_INDEX_SQL[];

enum settle_note {
    SETTLE_NOTED,  /* go on with SETTLE_DONE_SQL */
    SETTLE_YOUNG,  /* less than a second ago: ask again */
    SETTLE_FUTURE, /* not before it has passed */
};
/* What the first statement's only field says. */
enum settle_note settle_read_note(const char *text);

/* $1 ledger, $2 a code: true when it is a currency of the ledger.  A report of any other would be
 * empty, as if nothing had happened. */
#define SETTLE_CURRENCY_NAME "report_currency"
extern const char SETTLE_CURRENCY_SQL[];
#define SETTLE_NO_CURRENCY "is not a currency of this ledger"

/* The moment that a request must wait for, or NULL: it asks for the present. */
const char *settle_moment(const struct report_request *request);

#endif
