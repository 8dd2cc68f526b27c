/*
 * journal: posting money on PostgreSQL, many commands in one commit (the poster).
 *
 * One journal per event-loop thread, with one posting connection of its own.  A handler submits
 * commands; those that arrive while the database is busy wait together and are posted together.
 * Each command's on_outcome is called exactly once, in the loop's thread, only when its outcome is
 * durable, or certainly nothing, or past all help (JOURNAL_UNKNOWN).
 */
#ifndef PACIOLI_JOURNAL_JOURNAL_H
#define PACIOLI_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger_core/engine/posting.h"
#include "service_kit/db.h"

struct loop;
struct journal;

/* Most commands of one batch in one database transaction, and of one all-or-nothing group. */
#define JOURNAL_BATCH_MAX 1000

enum journal_end {
    JOURNAL_DECIDED,     /* `outcome` tells; accepted ones are durable */
    JOURNAL_UNAVAILABLE, /* certainly nothing was posted; the same key may be sent again */
    JOURNAL_UNKNOWN,     /* the deadline passed before the outcome could be found out */
    JOURNAL_FAILED,      /* the database refuses this very command; nothing was posted */
};

struct journal_command {
    /* Filled by the caller. */
    enum posting_kind kind;
    struct ledger_uuid principal;
    struct ledger_uuid own_account;   /* a transfer's source */
    struct ledger_uuid other_account; /* a transfer's destination; unused otherwise */
    struct money_decimal amount;
    char key[POSTING_KEY_MAX + 1];
    uint8_t key_length;
    bool dated;           /* has an effective time of its own, else that of its booking */
    int64_t effective_us; /* dated: since 1970-01-01 UTC */
    uint8_t digest[POSTING_DIGEST_SIZE]; /* journal_digest */
    int64_t deadline_us;                 /* on loop_clock_us: past it the caller has answered */
    void (*on_outcome)(struct journal_command *command);
    void *owner;

    /* The outcome. */
    enum journal_end end;
    enum posting_outcome outcome;      /* JOURNAL_DECIDED */
    struct ledger_uuid transaction_id; /* accepted: its own; duplicate: the earlier one's */
    bool has_balance;                  /* accepted, and duplicates of the same request */
    money_minor balance_minor;         /* own side of the own account right after it */
    uint8_t decimals;                  /* of the own account's asset */
    char asset[ASSET_CODE_MAX + 1];
    char sqlstate[6]; /* JOURNAL_FAILED, for the log */

    /* The journal's own. */
    struct journal_command *next;
    uint32_t group;
    enum { JOURNAL_COMMAND_NEW, JOURNAL_COMMAND_QUEUED, JOURNAL_COMMAND_POSTING } stage;
};

struct journal_settings {
    int32_t ledger_id;
    size_t queue_max; /* commands that may wait */
    size_t batch_max; /* commands of one commit, at most JOURNAL_BATCH_MAX */
    uint64_t thread;  /* distinguishes the random streams of the threads */
};

struct journal *journal_create(struct loop *loop, const struct db_settings *db,
                               const struct journal_settings *settings);
bool journal_ready(const struct journal *journal);
/* Nothing queued, nothing in flight. */
bool journal_idle(const struct journal *journal);
size_t journal_queued(const struct journal *journal);
/* The journal must be idle, or the outcomes of what it holds become UNKNOWN or UNAVAILABLE. */
void journal_close(struct journal *journal);

/*
 * Queues commands in order.  They stay the caller's memory, untouched until on_outcome.
 * `atomic`: all are accepted or none.  False: the queue has no room for all of them (503 at once,
 * nothing is queued).
 */
__attribute__((warn_unused_result)) bool journal_submit(struct journal *journal,
                                                        struct journal_command *commands,
                                                        size_t count, bool atomic);

/*
 * For a deadline: takes a command back that was not sent yet.  True: certainly nothing was or will
 * be posted, and on_outcome will not be called (a whole group is withdrawn together).  False: it is
 * with the database; on_outcome will still be called, later.
 */
bool journal_withdraw(struct journal *journal, struct journal_command *commands, size_t count);

/* Counters since the start, for the metrics. */
struct journal_counters {
    uint64_t batches, commands, retries, splits, lost, resolved;
    uint64_t express, express_lost; /* batches posted by express, and those that lost a race */
};
const struct journal_counters *journal_counters(const struct journal *journal);

/* SHA-256 over a version (1; 2: with an effective time), the operation, the principal and the
 * canonical typed fields. */
void journal_digest(struct journal_command *command);

#endif
