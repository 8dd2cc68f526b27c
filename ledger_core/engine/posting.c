/*
 * Design: decide_command is a flat ladder of early returns in the precedence of
 * posting_outcome; it looks and computes, and nothing changes until the last rung was passed.
 * Then both legs are written at once.  So a refusal has nothing to take back, and only a refused
 * all-or-nothing group is undone, from its last entry to its first.
 *
 * Keys that were accepted in this batch stand in an open-addressing table of command numbers with
 * linear probing, at most half full.  Undoing removes them in the opposite order of their
 * insertion, which is the one order in which linear probing needs no tombstones.  The hash is
 * seeded with the first command's transaction id: that keeps the result a function of the input,
 * and still clients, who choose the keys but not the ids, cannot choose keys that collide.
 */
#include "ledger_core/engine/posting.h"

#include <assert.h>
#include <string.h>

__extension__ typedef unsigned __int128 product128;

#define INDEX_EMPTY UINT32_MAX
#define INDEX_MIN   2

/* What one call works on. */
struct batch {
    struct posting_account *accounts;
    size_t account_count;
    struct posting_command *commands;
    size_t command_count;
    struct posting_entry *entries;
    size_t entry_count;
    uint32_t *index;
    size_t index_mask;
    uint64_t hash_seed;
};

/* One entry before it is written. */
struct leg {
    uint32_t account;
    int64_t seq;
    money_minor amount;
    money_minor balance_after;
};

static const char *const OUTCOME_NAMES[POSTING_OUTCOME_COUNT] = {
    [POSTING_PENDING] = "pending",
    [POSTING_DUPLICATE] = "duplicate",
    [POSTING_DUPLICATE_CHANGED] = "duplicate_changed",
    [POSTING_SAME_ACCOUNT] = "same_account",
    [POSTING_ACCOUNT_NOT_FOUND] = "account_not_found",
    [POSTING_NOT_OWNER] = "not_owner",
    [POSTING_PERIOD_LOCKED] = "period_locked",
    [POSTING_ACCOUNT_CLOSED] = "account_closed",
    [POSTING_ACCOUNT_FROZEN] = "account_frozen",
    [POSTING_ASSET_MISMATCH] = "asset_mismatch",
    [POSTING_AMOUNT_ZERO] = "amount_zero",
    [POSTING_AMOUNT_TOO_PRECISE] = "amount_too_precise",
    [POSTING_AMOUNT_TOO_LARGE] = "amount_too_large",
    [POSTING_INSUFFICIENT_FUNDS] = "insufficient_funds",
    [POSTING_BATCH_REFUSED] = "batch_refused",
    [POSTING_ACCEPTED] = "accepted",
};

const char *posting_outcome_name(enum posting_outcome outcome) {
    assert(outcome < POSTING_OUTCOME_COUNT);
    return OUTCOME_NAMES[outcome];
}

static bool same_uuid(const struct ledger_uuid *a, const struct ledger_uuid *b) {
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* ---- Balances ------------------------------------------------------------------------------ */

static bool grows_by_debits(enum posting_class class) {
    assert(class <= POSTING_EXPENSE);
    return class == POSTING_ASSET || class == POSTING_EXPENSE;
}

money_minor posting_own_side(enum posting_class class, money_minor posted) {
    return grows_by_debits(class) ? posted : -posted;
}

money_minor posting_available(const struct posting_account *account) {
    const money_minor own = posting_own_side(account->class, account->posted);
    money_minor available;
    if (money_subtract(own, account->held, &available)) {
        return available;
    }
    return account->held > 0 ? -MONEY_MINOR_MAX : MONEY_MINOR_MAX;
}

/* Would an entry of this sign take from what the account has available? */
static bool takes_out(const struct posting_account *account, bool debit) {
    return grows_by_debits(account->class) != debit;
}

/* The entry of `amount` on top of the account's snapshot; false when the result does not fit. */
static bool prepare_leg(const struct batch *batch, uint32_t account, money_minor amount,
                        struct leg *leg) {
    const struct posting_account *snapshot = &batch->accounts[account];
    leg->account = account;
    leg->amount = amount;
    return money_add(snapshot->posted, amount, &leg->balance_after) &&
           !__builtin_add_overflow(snapshot->entries, 1, &leg->seq);
}

/* Does an entry that leads to `posted` take more than the account's floor and holds leave? */
static bool below_floor(const struct posting_account *account, bool debit, money_minor posted) {
    if (!account->has_floor || !takes_out(account, debit)) {
        return false;
    }
    /* Exact: what does not even fit 128 bits is below every floor. */
    const money_minor own = posting_own_side(account->class, posted);
    money_minor available;
    return __builtin_sub_overflow(own, account->held, &available) || available < account->floor;
}

static bool overdraws(const struct batch *batch, const struct leg *leg) {
    return below_floor(&batch->accounts[leg->account], leg->amount > 0, leg->balance_after);
}

bool posting_order_free(const struct posting_account *accounts, const struct posting_entry *entries,
                        size_t entry_count, struct posting_span *spans) {
    for (size_t i = 0; i < entry_count; i++) {
        const struct posting_entry *entry = &entries[i];
        struct posting_span *span = &spans[entry->account];
        if (entry->first) {
            span->lowest = entry->balance_after - entry->amount;
            span->highest = span->lowest;
        }
        const bool debit = entry->amount > 0;
        money_minor *edge = debit ? &span->highest : &span->lowest;
        if (!money_add(*edge, entry->amount, edge) ||
            below_floor(&accounts[entry->account], debit, *edge)) {
            return false;
        }
    }
    return true;
}

/* ---- Keys used in this batch ---------------------------------------------------------------- */

size_t posting_index_size(size_t command_count) {
    assert(command_count < INDEX_EMPTY / 4);
    size_t size = INDEX_MIN;
    while (size < 2 * command_count) {
        size *= 2;
    }
    return size;
}

static uint64_t mix(uint64_t a, uint64_t b) {
    const product128 product = (product128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size) {
    const uint64_t factor = 0x9e3779b97f4a7c15LLU; /* 2^64 / golden ratio: odd, bits well mixed */
    const uint8_t *at = bytes;
    while (size > 0) {
        uint64_t word = 0;
        const size_t taken = size < sizeof(word) ? size : sizeof(word);
        memcpy(&word, at, taken);
        hash = mix(hash ^ word, factor);
        at += taken;
        size -= taken;
    }
    return hash;
}

static bool same_key(const struct posting_command *a, const struct posting_command *b) {
    return a->key_length == b->key_length && memcmp(a->key, b->key, a->key_length) == 0 &&
           same_uuid(&a->principal, &b->principal);
}

/* Where the command's key stands in the index, or the empty place where it would. */
static size_t index_slot(const struct batch *batch, const struct posting_command *command) {
    uint64_t hash = batch->hash_seed;
    hash = hash_bytes(hash, command->principal.bytes, sizeof(command->principal.bytes));
    hash = hash_bytes(hash, command->key, command->key_length);
    size_t slot = (size_t)hash & batch->index_mask;
    while (batch->index[slot] != INDEX_EMPTY &&
           !same_key(&batch->commands[batch->index[slot]], command)) {
        slot = (slot + 1) & batch->index_mask;
    }
    return slot;
}

/*
 * Was the key used by an earlier transaction, of the journal or of this batch?  Then the outcome
 * is one of POSTING_DUPLICATE*, and the command's results are those of that transaction; else
 * POSTING_PENDING, and *slot is the place for the key.
 */
static enum posting_outcome decide_key(const struct batch *batch, struct posting_command *command,
                                       size_t *slot) {
    command->result_transaction_id = (struct ledger_uuid){0};
    command->has_balance = false;
    command->balance_after = 0;

    struct posting_prior earlier;
    if (command->prior != NULL) {
        earlier = *command->prior;
    } else {
        *slot = index_slot(batch, command);
        if (batch->index[*slot] == INDEX_EMPTY) {
            return POSTING_PENDING;
        }
        const struct posting_command *accepted = &batch->commands[batch->index[*slot]];
        assert(accepted->outcome == POSTING_ACCEPTED);
        earlier.transaction_id = accepted->transaction_id;
        memcpy(earlier.digest, accepted->digest, sizeof(earlier.digest));
        earlier.has_balance = accepted->own == command->own;
        earlier.balance_after = accepted->balance_after;
    }
    command->result_transaction_id = earlier.transaction_id;
    if (memcmp(earlier.digest, command->digest, sizeof(earlier.digest)) != 0) {
        return POSTING_DUPLICATE_CHANGED;
    }
    command->has_balance = earlier.has_balance;
    command->balance_after = earlier.has_balance ? earlier.balance_after : 0;
    return POSTING_DUPLICATE;
}

/* ---- The ladder ----------------------------------------------------------------------------- */

static bool owns(const struct posting_command *command, const struct posting_account *account) {
    return account->has_owner && same_uuid(&account->owner, &command->principal);
}

static bool accounts_missing(const struct batch *batch, const struct posting_command *command) {
    if (command->own == POSTING_NO_ACCOUNT || command->other == POSTING_NO_ACCOUNT) {
        return true;
    }
    assert(command->own < batch->account_count);
    assert(command->other < batch->account_count);
    if (command->kind == POSTING_TRANSFER) {
        return false;
    }
    return command->own == command->other || !owns(command, &batch->accounts[command->own]);
}

/* Is the own account's entry a debit?  A transfer takes from it, whatever its class. */
static bool debits_own(enum posting_kind kind, const struct posting_account *own) {
    switch (kind) {
    case POSTING_DEPOSIT:
        return false;
    case POSTING_WITHDRAW:
        return true;
    case POSTING_TRANSFER:
        return !grows_by_debits(own->class);
    }
    assert(false);
    return false;
}

static bool frozen_against(const struct posting_account *account, bool debit) {
    return account->status == POSTING_FROZEN && takes_out(account, debit);
}

static bool same_asset(const struct posting_account *a, const struct posting_account *b) {
    return strncmp(a->asset, b->asset, sizeof(a->asset)) == 0 && a->decimals == b->decimals;
}

static void write_leg(struct batch *batch, uint32_t position, const struct leg *leg) {
    struct posting_account *account = &batch->accounts[leg->account];
    assert(batch->entry_count < POSTING_ENTRIES_PER_COMMAND * batch->command_count);
    assert(leg->amount != 0);
    assert(leg->seq == account->entries + 1);
    batch->entries[batch->entry_count++] = (struct posting_entry){
        .account = leg->account,
        .command = position,
        .seq = leg->seq,
        .amount = leg->amount,
        .balance_after = leg->balance_after,
        .first = !account->touched,
    };
    account->posted = leg->balance_after;
    account->entries = leg->seq;
    account->touched = true;
}

static void accept_command(struct batch *batch, uint32_t position, size_t slot,
                           const struct leg *own, const struct leg *other) {
    struct posting_command *command = &batch->commands[position];
    assert(own->amount + other->amount == 0);
    assert(own->account != other->account);
    assert(batch->index[slot] == INDEX_EMPTY);
    write_leg(batch, position, own);
    write_leg(batch, position, other);
    batch->index[slot] = position;
    command->result_transaction_id = command->transaction_id;
    command->has_balance = true;
    command->balance_after = own->balance_after;
}

static enum posting_outcome decide_command(struct batch *batch, uint32_t position) {
    struct posting_command *command = &batch->commands[position];
    assert(command->key_length > 0 && command->key_length <= POSTING_KEY_MAX);
    assert(command->amount.coefficient >= 0);

    size_t slot;
    const enum posting_outcome used = decide_key(batch, command, &slot);
    if (used != POSTING_PENDING) {
        return used;
    }
    if (command->kind == POSTING_TRANSFER && command->own == command->other &&
        command->own != POSTING_NO_ACCOUNT) {
        return POSTING_SAME_ACCOUNT;
    }
    if (accounts_missing(batch, command)) {
        return POSTING_ACCOUNT_NOT_FOUND;
    }
    const struct posting_account *own = &batch->accounts[command->own];
    const struct posting_account *other = &batch->accounts[command->other];
    if (!owns(command, own)) {
        return POSTING_NOT_OWNER;
    }
    if (command->too_early) {
        return POSTING_PERIOD_LOCKED;
    }
    if (own->status == POSTING_CLOSED || other->status == POSTING_CLOSED) {
        return POSTING_ACCOUNT_CLOSED;
    }
    const bool own_debit = debits_own(command->kind, own);
    if (frozen_against(own, own_debit) || frozen_against(other, !own_debit)) {
        return POSTING_ACCOUNT_FROZEN;
    }
    if (!same_asset(own, other)) {
        return POSTING_ASSET_MISMATCH;
    }
    if (command->amount.coefficient == 0) {
        return POSTING_AMOUNT_ZERO;
    }
    money_minor amount;
    const enum money_scale_result scaled = money_scale(command->amount, own->decimals, &amount);
    if (scaled == MONEY_SCALE_TOO_PRECISE) {
        return POSTING_AMOUNT_TOO_PRECISE;
    }
    if (scaled == MONEY_SCALE_OVERFLOW) {
        return POSTING_AMOUNT_TOO_LARGE;
    }
    assert(amount > 0);
    struct leg own_leg;
    struct leg other_leg;
    if (!prepare_leg(batch, command->own, own_debit ? amount : -amount, &own_leg) ||
        !prepare_leg(batch, command->other, own_debit ? -amount : amount, &other_leg)) {
        return POSTING_AMOUNT_TOO_LARGE;
    }
    if (overdraws(batch, &own_leg) || overdraws(batch, &other_leg)) {
        return POSTING_INSUFFICIENT_FUNDS;
    }
    accept_command(batch, position, slot, &own_leg, &other_leg);
    return POSTING_ACCEPTED;
}

/* ---- Groups --------------------------------------------------------------------------------- */

/* Takes the latest accepted command back: its entries, its snapshots' steps and its key. */
static void undo_command(struct batch *batch, uint32_t position) {
    for (int i = 0; i < POSTING_ENTRIES_PER_COMMAND; i++) {
        assert(batch->entry_count > 0);
        const struct posting_entry *entry = &batch->entries[--batch->entry_count];
        struct posting_account *account = &batch->accounts[entry->account];
        assert(entry->command == position);
        assert(entry->seq == account->entries && entry->balance_after == account->posted);
        account->posted = entry->balance_after - entry->amount;
        account->entries = entry->seq - 1;
        account->touched = !entry->first;
    }
    const size_t slot = index_slot(batch, &batch->commands[position]);
    assert(batch->index[slot] == position);
    batch->index[slot] = INDEX_EMPTY;
}

static void refuse_group(struct batch *batch, uint32_t begin, uint32_t refused, uint32_t end) {
    for (uint32_t i = refused; i-- > begin;) {
        if (batch->commands[i].outcome == POSTING_ACCEPTED) {
            undo_command(batch, i);
        }
    }
    for (uint32_t i = begin; i < end; i++) {
        /* Once more for the refused one too: no result may name a transaction of the group. */
        size_t slot;
        const enum posting_outcome used = decide_key(batch, &batch->commands[i], &slot);
        if (i != refused) {
            batch->commands[i].outcome = used != POSTING_PENDING ? used : POSTING_BATCH_REFUSED;
        }
    }
}

/* Decides one group, or a run of commands that are in none; returns where the next begins. */
static uint32_t decide_group(struct batch *batch, uint32_t begin) {
    struct posting_command *commands = batch->commands;
    const uint32_t group = commands[begin].group;
    uint32_t end = begin + 1;
    while (end < batch->command_count && commands[end].group == group) {
        end++;
    }
    for (uint32_t i = begin; i < end; i++) {
        const enum posting_outcome outcome = decide_command(batch, i);
        commands[i].outcome = outcome;
        if (group != 0 && outcome != POSTING_ACCEPTED && outcome != POSTING_DUPLICATE) {
            refuse_group(batch, begin, i, end);
            break;
        }
    }
    return end;
}

void posting_decide(struct posting_account *accounts, size_t account_count,
                    struct posting_command *commands, size_t command_count,
                    struct posting_entry *entries, size_t *entry_count, uint32_t *index) {
    *entry_count = 0;
    for (size_t i = 0; i < account_count; i++) {
        accounts[i].touched = false;
    }
    if (command_count == 0) {
        return;
    }
    assert(account_count < POSTING_NO_ACCOUNT);

    const size_t index_size = posting_index_size(command_count);
    for (size_t i = 0; i < index_size; i++) {
        index[i] = INDEX_EMPTY;
    }
    struct batch batch = {
        .accounts = accounts,
        .account_count = account_count,
        .commands = commands,
        .command_count = command_count,
        .entries = entries,
        .index = index,
        .index_mask = index_size - 1,
        .hash_seed = hash_bytes(1, commands[0].transaction_id.bytes,
                                sizeof(commands[0].transaction_id.bytes)),
    };
    for (uint32_t next = 0; next < command_count;) {
        next = decide_group(&batch, next);
    }

    size_t accepted = 0;
    for (size_t i = 0; i < command_count; i++) {
        assert(commands[i].outcome != POSTING_PENDING);
        accepted += commands[i].outcome == POSTING_ACCEPTED;
    }
    assert(batch.entry_count == POSTING_ENTRIES_PER_COMMAND * accepted);
    *entry_count = batch.entry_count;
}
