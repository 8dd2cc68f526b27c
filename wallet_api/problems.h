/*
 * problems: every way in which wallet_api refuses, as problem kinds: one table from the outcomes
 * of posting, and the few that stand beside them.
 */
#ifndef PACIOLI_WALLET_API_PROBLEMS_H
#define PACIOLI_WALLET_API_PROBLEMS_H

#include "ledger_core/engine/posting.h"
#include "service_kit/problem.h"

extern const struct problem_kind PROBLEM_OUTCOME_UNKNOWN;       /* 503, may have happened */
extern const struct problem_kind PROBLEM_KEY_REUSED;            /* 422, key in the header */
extern const struct problem_kind PROBLEM_HISTORY_FORBIDDEN;     /* 403 */
extern const struct problem_kind PROBLEM_TRANSACTION_NOT_FOUND; /* 404 */
extern const struct problem_kind PROBLEM_ACCOUNT_LIMIT;         /* 422 */
extern const struct problem_kind PROBLEM_BATCH_REFUSED;         /* 422, an atomic batch */
extern const struct problem_kind PROBLEM_REPORT_TOO_LARGE;      /* 422 */

/*
 * The kind of a refusing outcome, its code being posting_outcome_name(outcome); NULL for
 * POSTING_PENDING and POSTING_ACCEPTED.
 */
const struct problem_kind *problems_of_outcome(enum posting_outcome outcome);

/* The kind of an outcome of an operator's call (ledger_core/journal/control.h), by its word; NULL:
 * there is no such outcome. */
const struct problem_kind *problems_of_control(const char *outcome);

/*
 * The field that a 422 of this outcome and kind of command is about, or NULL: the outcome is no
 * 422, or is about no single field.
 */
const char *problems_field(enum posting_outcome outcome, enum posting_kind kind);

#endif
