/*
 * batch_rows: what phase one of a batch read, from PostgreSQL's binary rows to the engine's types.
 * False everywhere: a value is not as it must be.  Pure.
 */
#ifndef PACIOLI_JOURNAL_BATCH_ROWS_H
#define PACIOLI_JOURNAL_BATCH_ROWS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger_core/engine/posting.h"
#include "ledger_core/journal/account_cache.h"

/* The account in this row of the statements "lock" and "accounts". */
__attribute__((warn_unused_result)) bool batch_row_account(const PGresult *snapshots,
                                                           const PGresult *rows, int row,
                                                           struct posting_account *account,
                                                           struct account_row *known);
/* All of "keys", by command; prior[i] tells whether command i has one. */
__attribute__((warn_unused_result)) bool
batch_row_priors(const PGresult *rows, size_t count, struct posting_prior *priors, bool *prior);
/* "closed": up to when the ledger is closed, since 1970-01-01 UTC; INT64_MIN: not at all. */
__attribute__((warn_unused_result)) bool batch_row_closed(const PGresult *rows, int64_t *closed_us);

#endif
