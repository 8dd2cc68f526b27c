/*
 * reconcile: one settlement account's statements against its entries, in the database: loads both,
 * runs the matcher (statements/match.h), records the matches and what became of the breaks.
 *
 * Runs within the caller's transaction, which holds ledger.lock_reconciliation.  Nothing recorded
 * is ever changed: a match is a new row, a break's new state a new event.
 */
#ifndef PACIOLI_REPORTS_RECONCILE_H
#define PACIOLI_REPORTS_RECONCILE_H

#include <stddef.h>

#include "reports/source.h"
#include "reports/statements/match.h"

struct reconcile_result {
    size_t lines, entries; /* looked at */
    size_t matches;        /* new ones */
    size_t open_breaks;    /* of the account, now */
};

/* False after a message on standard error. */
__attribute__((warn_unused_result)) bool
reconcile_account(struct source *source, const char *account_id, const struct match_rules *rules,
                  const char *made_by, struct reconcile_result *result);

/* BEGIN and the lock. */
__attribute__((warn_unused_result)) bool reconcile_begin(struct source *source);
/* COMMIT, or ROLLBACK; false: a message was given, and nothing is recorded. */
__attribute__((warn_unused_result)) bool reconcile_end(struct source *source, bool good);
/* Who does it: --by, or else the name of the user who runs the program. */
const char *reconcile_actor(const char *given);

#endif
