/*
 * control: what operators do to the ledger beside posting, and what is kept of it.  Each call is
 * one function of the database (migrations/wallet), called by one statement on a connection of the
 * reader's pool, which does it, or refuses it, and writes the audit trail in the same transaction.
 * What changes the ledger gets the number of its attempt before, by another statement: once a later
 * attempt on the same thing was answered, an earlier one does nothing any more.
 *
 * A caller embeds a `control_call` in memory that lives until on_result, which is called exactly
 * once, in the loop's thread.  Texts of the result are gone after on_result.
 */
#ifndef PACIOLI_JOURNAL_CONTROL_H
#define PACIOLI_JOURNAL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger_core/journal/reader.h"
#include "service_kit/uuid.h"

extern const struct db_statement CONTROL_STATEMENTS[];
extern const size_t CONTROL_STATEMENT_COUNT;

enum control_end {
    CONTROL_ANSWERED,    /* `outcome` tells; what was done is durable */
    CONTROL_UNAVAILABLE, /* certainly nothing was done */
    CONTROL_UNKNOWN,     /* the connection broke, it may be done or not */
    CONTROL_FAILED,      /* the database refused, or sent what it should not; see `reason` */
};

struct control_result {
    enum control_end end;
    const char *outcome;     /* ANSWERED: "done", or a word that says why not */
    const char *transaction; /* ANSWERED: what was written, or stands in the way; "": neither */
    const char *json;        /* ANSWERED: the answer of what is done, or NULL */
    size_t json_length;
    const char *reason; /* the other ends: for the log, never for a client */
};

#define CONTROL_PARAMETERS_MAX 10

/* The parameters of one statement, as text. */
struct control_parameters {
    int count;
    const char *values[CONTROL_PARAMETERS_MAX];
    char texts[CONTROL_PARAMETERS_MAX][UUID_TEXT_LENGTH + 1]; /* ids and numbers */
};

struct control_call {
    /* Filled by the caller. */
    void (*on_result)(struct control_call *call, const struct control_result *result);
    void *owner;
    int64_t deadline_us; /* on loop_clock_us: past it nothing new is done */
    /* The control's own. */
    const struct reader *reader;
    const char *statement; /* that waits for its number */
    int attempts;
    struct control_parameters parameters;
};

/* Who asks, why and from where: for the audit trail. */
struct control_actor {
    struct ledger_uuid principal;
    const char *reason; /* of 1 to 256 characters */
    const char *origin; /* JSON, of audit_origin */
};

/* Each returns false when the pool has no room or no connection: answer 503 at once, on_result is
 * not called.  Texts that are given live until on_result. */

/*
 * Sets an account's status: "open", "frozen" or "closed".  Not done: account_not_found,
 * settlement_account, account_closed, account_not_empty.
 */
__attribute__((warn_unused_result)) bool control_set_status(const struct reader *reader,
                                                            struct control_call *call,
                                                            const struct control_actor *actor,
                                                            const struct ledger_uuid *account,
                                                            const char *status);
/*
 * Reverses the transaction `original` by the new one `id`.  Not done: duplicate (by the same
 * request, with its answer), duplicate_changed, transaction_not_found, reversal_of_reversal,
 * already_reversed, account_closed, account_frozen, insufficient_funds, amount_too_large.
 */
__attribute__((warn_unused_result)) bool
control_reverse(const struct reader *reader, struct control_call *call,
                const struct control_actor *actor, const char *key, const struct ledger_uuid *id,
                const struct ledger_uuid *original);
/*
 * Closes the ledger up to `to`, a time of RFC 3339.  Not done: period_locked (it is closed further
 * already), period_not_over (less than a minute ago).
 */
__attribute__((warn_unused_result)) bool control_close_period(const struct reader *reader,
                                                              struct control_call *call,
                                                              const struct control_actor *actor,
                                                              const char *to);
/* Makes the report of the period that was closed up to `to`, unless it is made; answers with the
 * period. */
__attribute__((warn_unused_result)) bool
control_report_period(const struct reader *reader, struct control_call *call, const char *to);
/* The closed periods, newest first, with their reports; at most 100. */
__attribute__((warn_unused_result)) bool control_periods(const struct reader *reader,
                                                         struct control_call *call);
/* A journal entry by hand. */
struct control_entry {
    const char *debit, *credit; /* accounts, by code or id */
    const char *amount;         /* a decimal, in the currency's own unit */
    const char *effective_at;   /* of RFC 3339, or NULL: when it is posted */
};
/*
 * Proposes a journal entry, or (`breaks` as "{1,2}") to resolve breaks, by posting their difference
 * against the account `against`, which is NULL when there is none.  Nothing is posted.  Not done:
 * duplicate (by the same request, with its answer), duplicate_changed, account_not_found,
 * same_account, asset_mismatch; of an entry amount_too_precise, amount_too_large, period_locked; of
 * breaks breaks_not_open, breaks_of_several_accounts, nothing_to_post, difference_to_post.
 */
__attribute__((warn_unused_result)) bool
control_propose_entry(const struct reader *reader, struct control_call *call,
                      const struct control_actor *actor, const char *key,
                      const struct ledger_uuid *id, const struct control_entry *entry);
__attribute__((warn_unused_result)) bool
control_propose_resolution(const struct reader *reader, struct control_call *call,
                           const struct control_actor *actor, const char *key,
                           const struct ledger_uuid *id, const char *breaks, const char *against);
/*
 * Approves a proposal, which posts it, or rejects it.  Not done: adjustment_not_found,
 * adjustment_decided, own_proposal, and whatever refuses to be posted, which leaves it proposed.
 */
__attribute__((warn_unused_result)) bool control_decide(const struct reader *reader,
                                                        struct control_call *call,
                                                        const struct control_actor *actor,
                                                        const struct ledger_uuid *id, bool approve);
/* What was proposed, newest first; at most 100. */
__attribute__((warn_unused_result)) bool control_adjustments(const struct reader *reader,
                                                             struct control_call *call);
/* Only a line of the audit trail: an event that failed, about `subject`. */
__attribute__((warn_unused_result)) bool
control_note_failure(const struct reader *reader, struct control_call *call, const char *event,
                     const struct control_actor *actor, const char *subject);

#endif
