/*
 * Design.  A writer's booking time is the start of its statement; it has a transaction number
 * before the statement's first row, so at the latest a moment after that.  Hence: wait until a
 * second has passed since the moment (a statement that takes longer from its start to its number
 * would need a server that stands still), take a number, and wait until every lower one is over.
 * It is what PostgreSQL does when it waits for older snapshots.  The snapshot's xmax would not do
 * as that number: it is one above the last transaction that has ended, and those which are running
 * now may all be higher.
 */
#include "reports/settle.h"

#include <string.h>

const char SETTLE_NOTE_SQL[] =
    "SELECT CASE WHEN $1::timestamptz > clock_timestamp() THEN 'future'"
    " WHEN $1::timestamptz > clock_timestamp() - interval '1 second' THEN 'young'"
    " ELSE pg_current_xact_id()::text END";
const char SETTLE_DONE_SQL[] = "SELECT pg_snapshot_xmin(pg_current_snapshot()) > $1::xid8";
const char SETTLE_INDEX_SQL[] = "SELECT ledger.summarize_moments()";
const char SETTLE_CURRENCY_SQL[] =
    "SELECT EXISTS (SELECT FROM ledger.asset WHERE ledger_id = $1::integer AND code = $2::text)";

enum settle_note settle_read_note(const char *text) {
    if (strcmp(text, "future") == 0)
        return SETTLE_FUTURE;
    return strcmp(text, "young") == 0 ? SETTLE_YOUNG : SETTLE_NOTED;
}

const char *settle_moment(const struct report_request *request) {
    return request->as_of != NULL ? request->as_of : request->to;
}
