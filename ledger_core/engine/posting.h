/*
 * posting: the state machine that decides money operations.
 *
 * Input is a batch: commands in the order of their arrival, the accounts that they name (read and
 * locked by the caller, so nobody else can change them until the caller's transaction ends), and
 * for each command the earlier transaction that already carries its idempotency key, if any.
 * Output is one named outcome per command, the journal rows of the accepted ones, and the
 * accounts' new snapshots.  Pure: no I/O, no clock, no randomness; the same input gives the same
 * output.  A refused command leaves no trace, and its neighbours go on.
 *
 * Signs: debit is positive, so the entries of a transaction sum to zero per asset.  An account of
 * class asset or expense grows by debits, the others by credits; `available` is the balance seen
 * from the account's own side (posted or -posted), less what is held.
 */
#ifndef PACIOLI_ENGINE_POSTING_H
#define PACIOLI_ENGINE_POSTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger_core/engine/asset.h"
#include "ledger_core/engine/money.h"

#define POSTING_DIGEST_SIZE 32
#define POSTING_KEY_MAX     128
/* No account: a command's index for an account that does not exist. */
#define POSTING_NO_ACCOUNT UINT32_MAX

struct ledger_uuid {
    uint8_t bytes[16];
};

enum posting_kind {
    POSTING_DEPOSIT,  /* settlement account -> the caller's account */
    POSTING_WITHDRAW, /* the caller's account -> settlement account */
    POSTING_TRANSFER, /* the caller's account -> any account */
};

enum posting_class {
    POSTING_ASSET,
    POSTING_LIABILITY,
    POSTING_EQUITY,
    POSTING_INCOME,
    POSTING_EXPENSE,
};

enum posting_status {
    POSTING_OPEN,
    POSTING_FROZEN, /* refuses money out */
    POSTING_CLOSED, /* refuses all */
};

/* One account as locked: attributes, and the snapshot that the batch moves forward. */
struct posting_account {
    struct ledger_uuid id;
    struct ledger_uuid owner; /* valid when has_owner; settlement accounts have none */
    bool has_owner;
    bool has_floor;
    enum posting_class class;
    enum posting_status status;
    uint8_t decimals;
    char asset[ASSET_CODE_MAX + 1];
    money_minor floor;  /* lowest available balance, minor units; valid when has_floor */
    money_minor posted; /* sum of the entries; updated */
    money_minor held;   /* sum of the open holds, >= 0 */
    int64_t entries;    /* number of the entries; updated */
    bool touched;       /* result: posted and entries moved in this batch */
};

/* An earlier transaction with the same principal and key, found by the caller. */
struct posting_prior {
    struct ledger_uuid transaction_id;
    uint8_t digest[POSTING_DIGEST_SIZE];
    bool has_balance;          /* it has an entry on the command's own account */
    money_minor balance_after; /* that entry's balance_after */
};

/*
 * Precedence is the order of this list: the first reason that applies is the outcome.
 * POSTING_ACCEPTED and both POSTING_DUPLICATE* carry result_transaction_id; POSTING_ACCEPTED and
 * POSTING_DUPLICATE, which repeats the first answer, carry balance_after too.
 */
enum posting_outcome {
    POSTING_PENDING = 0,       /* not decided yet */
    POSTING_DUPLICATE,         /* key used before with the same request */
    POSTING_DUPLICATE_CHANGED, /* key used before with another request */
    POSTING_SAME_ACCOUNT,      /* a transfer's source and destination are one account */
    POSTING_ACCOUNT_NOT_FOUND, /* the own account is missing (or, except for the source of a
                                  transfer, someone else's or the settlement account itself), or
                                  the other account is missing */
    POSTING_NOT_OWNER,         /* the source of a transfer is someone else's */
    POSTING_PERIOD_LOCKED,     /* its effective time lies in a closed period */
    POSTING_ACCOUNT_CLOSED,
    POSTING_ACCOUNT_FROZEN, /* and its available balance would fall */
    POSTING_ASSET_MISMATCH,
    POSTING_AMOUNT_ZERO,
    POSTING_AMOUNT_TOO_PRECISE, /* more decimals than the asset has */
    POSTING_AMOUNT_TOO_LARGE,   /* the amount, or a balance (or number of entries) that it would
                                   lead to, does not fit */
    POSTING_INSUFFICIENT_FUNDS, /* an available balance would fall below its floor */
    POSTING_BATCH_REFUSED,      /* a neighbour of the same all-or-nothing group was refused */
    POSTING_ACCEPTED,
    POSTING_OUTCOME_COUNT
};

/* The stable name of an outcome for logs, metrics and problem types ("insufficient_funds"). */
const char *posting_outcome_name(enum posting_outcome outcome);

/* Its members stand together by who fills them, at the price of a few bytes. */
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct posting_command {
    /* request */
    enum posting_kind kind;
    struct ledger_uuid principal;      /* who asks */
    struct ledger_uuid transaction_id; /* id of the transaction if it is accepted */
    uint8_t digest[POSTING_DIGEST_SIZE];
    char key[POSTING_KEY_MAX + 1];
    uint8_t key_length; /* at least 1 */
    uint32_t group; /* 0, or: neighbours with the same number are accepted together or not at all */
    struct money_decimal amount; /* never negative */
    bool too_early; /* its effective time lies in a period that the caller found closed */
    /* resolved by the caller: indexes into the accounts, POSTING_NO_ACCOUNT when not found */
    uint32_t own;   /* the account that the request is about; a transfer's source */
    uint32_t other; /* the settlement account, or a transfer's destination */
    const struct posting_prior *prior; /* NULL: key not used before this batch */
    /* result */
    enum posting_outcome outcome;
    struct ledger_uuid result_transaction_id; /* own or, for a duplicate, the earlier one */
    bool has_balance;
    money_minor balance_after; /* `posted` of the own account right after that transaction */
};

/* One journal row. */
struct posting_entry {
    uint32_t account; /* index */
    uint32_t command; /* index of the command whose transaction it belongs to */
    int64_t seq;
    money_minor amount;        /* debit positive, never 0 */
    money_minor balance_after; /* `posted` after it */
    bool first;                /* the account's first entry of this batch */
};

/* Entries that one command makes at most. */
#define POSTING_ENTRIES_PER_COMMAND 2

/*
 * Decides all commands, in order.  `accounts` must be distinct.  `entries` has room for
 * POSTING_ENTRIES_PER_COMMAND * command_count; *entry_count tells how many were written, grouped
 * by command, in order, the own account's before the other's.  `index` is scratch of
 * posting_index_size(command_count) elements, for keys that are repeated within the batch.
 *
 * A key is taken by acceptance: when its first use in the batch was refused, the next one is
 * decided as if it were the first.
 *
 * All-or-nothing groups: an accepted command and a POSTING_DUPLICATE are acceptable, every other
 * outcome refuses the group.  Then all its effects are undone and its keys are free again; the
 * first refused command keeps its reason; each of the others, before and behind it, is
 * POSTING_DUPLICATE or POSTING_DUPLICATE_CHANGED when its key was used before the group, and
 * POSTING_BATCH_REFUSED otherwise, without a look at anything else.  A key used twice in the
 * group with different requests refuses it as POSTING_DUPLICATE_CHANGED with an all-zero
 * result_transaction_id: there is no such transaction.  A later run of neighbours with the same
 * number is another group.
 */
void posting_decide(struct posting_account *accounts, size_t account_count,
                    struct posting_command *commands, size_t command_count,
                    struct posting_entry *entries, size_t *entry_count, uint32_t *index);
size_t posting_index_size(size_t command_count);

/* The lowest and the highest `posted` that an account can have while a batch is posted. */
struct posting_span {
    money_minor lowest, highest;
};

/*
 * Would each of these entries, as posting_decide made them of one batch, be accepted in any order,
 * and whichever others of them are left out?  `spans` is scratch, one element for each account.
 */
bool posting_order_free(const struct posting_account *accounts, const struct posting_entry *entries,
                        size_t entry_count, struct posting_span *spans);

/* What the account's own side sees of a signed sum: -posted for liability, equity and income. */
money_minor posting_own_side(enum posting_class class, money_minor posted);
/* own side of `posted`, less `held`; the nearest of +-MONEY_MINOR_MAX where that does not fit. */
money_minor posting_available(const struct posting_account *account);

#endif
