/*
 * batch: one batch between the journal's commands, the pure engine and the statements: parameters
 * of both phases, decision, distribution of the outcomes.  No I/O of its own; the poster sends what
 * it builds.
 */
#ifndef PACIOLI_JOURNAL_BATCH_H
#define PACIOLI_JOURNAL_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger_core/engine/posting.h"
#include "ledger_core/journal/journal.h"
#include "ledger_core/journal/wire.h"
#include "service_kit/db.h"

/* Calls of a phase. */
#define BATCH_FENCE_CALLS 4
#define BATCH_LOCK_CALLS  5
#define BATCH_WRITE_CALLS 4

struct batch;

/* Room for batches of up to JOURNAL_BATCH_MAX commands of one ledger. */
struct batch *batch_create(int32_t ledger_id);
void batch_free(struct batch *batch);

/*
 * Phase one: BEGIN, lock the snapshots, read the accounts, look up the keys and the last closed
 * period.  The calls and their
 * parameters are valid until the next build.  No command may be NULL.
 */
void batch_build_lock(struct batch *batch, struct journal_command *const *commands, size_t count,
                      struct db_call calls[static BATCH_LOCK_CALLS]);

/*
 * Before phase one, when an express batch went unanswered: one transaction after which that batch
 * has been posted or never will be.  No command may be NULL.
 */
void batch_build_fence(struct batch *batch, struct journal_command *const *commands, size_t count,
                       struct db_call calls[static BATCH_FENCE_CALLS]);

/*
 * Decides the commands from phase one's result; commands that are NULL by now (withdrawn) are
 * skipped.  False: the database sent something that cannot be (the text says what).
 */
__attribute__((warn_unused_result)) bool batch_decide(struct batch *batch,
                                                      struct journal_command *const *commands,
                                                      size_t count, const struct db_result *result,
                                                      const char **error);

/*
 * The express way, without a look at the database: decides the commands (none NULL) on what is
 * remembered of their accounts.  False: the careful way is needed, and nothing is decided: an
 * account is not known, a command is refused, or their order matters (batch.c says why).
 */
__attribute__((warn_unused_result)) bool
batch_decide_known(struct batch *batch, struct journal_command *const *commands, size_t count);

/* How many were accepted now, how many keys of ours a lost attempt had posted already, how many
 * other earlier transactions were found, and whether a refusal needs the fence. */
struct batch_summary {
    size_t accepted, resolved, duplicates;
    bool fence;
};
struct batch_summary batch_summary(const struct batch *batch);

/*
 * Phase two: move the snapshots, insert transactions and entries, the fence if it is needed,
 * COMMIT; or COMMIT alone when nothing was accepted.  On the express way BEGIN comes first.
 * Returns the number of calls.
 */
size_t batch_build_write(struct batch *batch, struct db_call calls[static BATCH_WRITE_CALLS]);

/* After a durable COMMIT: remembers the accounts as they are now. */
void batch_remember(struct batch *batch, const struct db_result *result);
/* After any other end: what was thought of these accounts may be wrong. */
void batch_forget(struct batch *batch);
/* On a new connection: the server may be another one, or have been set back, and count the same
 * revisions for other changes. */
void batch_forget_all(struct batch *batch);

/* Copies the outcomes into the commands (not NULL) that were decided. */
void batch_outcomes(const struct batch *batch, struct journal_command *const *commands);

#endif
