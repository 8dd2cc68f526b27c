/*
 * Design.  A batch takes one of two ways.
 *
 * The careful way has two phases.  Phase one is five statements in one pipeline: BEGIN; the
 * snapshots, locked in id order, so that two writers never wait for each other in a circle; the
 * accounts' attributes; the earlier transactions of the keys; how far the ledger is closed.  The
 * last three are statements of their own because a lock wait does not refresh the view of the
 * statement that waited: what was committed while we waited must be seen.  Deposits and withdrawals
 * name one account; its currency's settlement account is found and locked by the same statement.
 * Phase two is three: the snapshots are moved; transactions and entries are inserted, in one
 * statement, so that the database's own checks see the batch as a whole; COMMIT.
 *
 * The express way is phase two alone, behind its own BEGIN, in one pipeline.  The batch is decided
 * on what this poster remembers of the accounts from its own last commits (account_cache.c), and
 * moving the snapshots is a compare-and-set: each must still be what the decision was made on, in
 * the same revision (status, floor and held count there), or the statement fails.  That statement
 * is the first, so the rows are locked in id order and before any key is, as on the careful way.
 * A key that was used before is noticed by its unique constraint.  A refusal proves nothing while
 * nothing is locked and no key was looked up, so a batch in which the engine refuses a command goes
 * the careful way, and so does one whose accounts are not all known.
 *
 * On both ways each snapshot is found at the address where it was seen, without an index; the
 * statement returns the new addresses for the next time.
 *
 * A command with an effective time of its own goes the careful way too, and is refused when that
 * time is closed.  The refusal is stored nowhere but in the period: what is closed stays closed, so
 * the same request is refused for ever.  A period that is closed between the look and the insert is
 * met by the insert (PC030), and the range is halved as for any poison; the halves look again.
 *
 * The fence moves the revisions of a batch's snapshots: whatever was decided on them before can no
 * longer be posted by express (poster.c says when).
 *
 * A refusal is final.  But an express batch leaves nothing in the database until the server reads
 * it, and whoever sent it may have died meanwhile: its commands are asked for again elsewhere, and
 * where one of them is refused, the old batch must not post it afterwards.  Two rules see to that.
 * An express batch is free of order: each of its commands, alone or beside any others of them, is
 * accepted on the snapshots that it compares with.  So whoever refuses one has seen an account of
 * it moved on, and the old batch will see that too.  All-or-nothing groups are refused for the sake
 * of others, so this does not hold for them: such a refusal is committed together with the fence.
 */
#include "ledger_core/journal/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_core/journal/account_cache.h"
#include "ledger_core/journal/batch_rows.h"
#include "service_kit/memory.h"

#define PARAMETERS_MAX 12

/* Places of phase one's results. */
#define LOCK_RESULT     1
#define ACCOUNTS_RESULT 2
#define KEYS_RESULT     3
#define CLOSED_RESULT   4

/* A command touches two accounts at most. */
#define ACCOUNTS_MAX (2 * JOURNAL_BATCH_MAX)

/* An effective time: that of its booking. */
#define AT_BOOKING INT64_MIN

/* About 9 MiB when full. */
#define ACCOUNTS_REMEMBERED_MAX 40000

/* Parameters of one call: the ledger, then arrays. */
struct parameters {
    const char *values[PARAMETERS_MAX];
    int lengths[PARAMETERS_MAX];
    int formats[PARAMETERS_MAX];
};

struct batch {
    uint8_t ledger_id[4];
    /* Phase one. */
    struct wire_array named, own_for_settlement, principals, keys, own;
    struct parameters lock_parameters, keys_parameters, closed_parameters;
    /* Decision. */
    struct posting_account *accounts;
    struct account_row *rows; /* of accounts[i] */
    struct account_cache *cache;
    struct cached_account **known; /* scratch of the express way */
    size_t known_count;
    uint64_t pass; /* marks what has been seen in it */
    bool express;
    int snapshots_result;       /* which call of phase two moves the snapshots; -1: none */
    struct posting_span *spans; /* by account; scratch of the express way */
    size_t account_count, account_capacity;
    struct posting_prior *priors; /* by command */
    struct posting_command *commands;
    size_t *member;        /* commands[i] is the caller's member[i] */
    int64_t *effective_us; /* of commands[i], or AT_BOOKING */
    int64_t closed_us;     /* the ledger is closed up to it; INT64_MIN: not at all */
    size_t command_count;
    struct posting_entry *entries;
    size_t entry_count;
    uint32_t *index;
    struct batch_summary summary;
    /* Phase two. */
    struct wire_array ids, kinds, by, their_keys, digests, effective;
    struct wire_array entry_accounts, seqs, entry_transactions, amounts, balances;
    struct wire_array snapshot_addresses, snapshot_ids, posted, entry_numbers;
    struct wire_array was_posted, was_entries, revisions;
    struct parameters write_parameters, snapshot_parameters;
};

struct batch *batch_create(int32_t ledger_id) {
    struct batch *batch = memory_allocate(1, sizeof(*batch));
    wire_int32_put(batch->ledger_id, ledger_id);
    batch->priors = memory_allocate(JOURNAL_BATCH_MAX, sizeof(*batch->priors));
    batch->commands = memory_allocate(JOURNAL_BATCH_MAX, sizeof(*batch->commands));
    batch->member = memory_allocate(JOURNAL_BATCH_MAX, sizeof(*batch->member));
    batch->effective_us = memory_allocate(JOURNAL_BATCH_MAX, sizeof(*batch->effective_us));
    batch->entries = memory_allocate((size_t)JOURNAL_BATCH_MAX * POSTING_ENTRIES_PER_COMMAND,
                                     sizeof(*batch->entries));
    batch->index = memory_allocate(posting_index_size(JOURNAL_BATCH_MAX), sizeof(*batch->index));
    batch->cache = account_cache_create(ACCOUNTS_REMEMBERED_MAX);
    batch->known = memory_allocate(ACCOUNTS_MAX, sizeof(struct cached_account *));
    batch->snapshots_result = -1;
    return batch;
}

void batch_free(struct batch *batch) {
    struct wire_array *arrays[] = {&batch->named,
                                   &batch->own_for_settlement,
                                   &batch->principals,
                                   &batch->keys,
                                   &batch->own,
                                   &batch->ids,
                                   &batch->kinds,
                                   &batch->by,
                                   &batch->their_keys,
                                   &batch->digests,
                                   &batch->effective,
                                   &batch->entry_accounts,
                                   &batch->seqs,
                                   &batch->entry_transactions,
                                   &batch->amounts,
                                   &batch->balances,
                                   &batch->snapshot_addresses,
                                   &batch->snapshot_ids,
                                   &batch->posted,
                                   &batch->entry_numbers,
                                   &batch->was_posted,
                                   &batch->was_entries,
                                   &batch->revisions};
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
        wire_array_free(arrays[i]);
    account_cache_free(batch->cache);
    free((void *)batch->known);
    free(batch->accounts);
    free(batch->rows);
    free(batch->spans);
    free(batch->priors);
    free(batch->commands);
    free(batch->member);
    free(batch->effective_us);
    free(batch->entries);
    free(batch->index);
    free(batch);
}

/* ---- calls ---- */

static struct db_call make_call(const struct batch *batch, const char *statement,
                                struct parameters *parameters, struct wire_array *const *arrays,
                                size_t count) {
    assert(count < PARAMETERS_MAX);
    parameters->values[0] = (const char *)batch->ledger_id;
    parameters->lengths[0] = (int)sizeof(batch->ledger_id);
    parameters->formats[0] = 1;
    for (size_t i = 0; i < count; i++) {
        wire_array_end(arrays[i]);
        parameters->values[i + 1] = (const char *)arrays[i]->bytes;
        parameters->lengths[i + 1] = (int)arrays[i]->length;
        parameters->formats[i + 1] = 1;
    }
    return (struct db_call){
        .statement = statement,
        .params = {(int)count + 1, parameters->values, parameters->lengths, parameters->formats},
        .binary_result = true};
}

/* The accounts of the commands, for statements that name them by LOCKED_IDS. */
static struct db_call name_accounts(struct batch *batch, const char *statement,
                                    struct journal_command *const *commands, size_t count) {
    wire_array_begin(&batch->named, WIRE_UUID);
    wire_array_begin(&batch->own_for_settlement, WIRE_UUID);
    for (size_t i = 0; i < count; i++) {
        const struct journal_command *command = commands[i];
        wire_array_uuid(&batch->named, &command->own_account);
        if (command->kind == POSTING_TRANSFER)
            wire_array_uuid(&batch->named, &command->other_account);
        else
            wire_array_uuid(&batch->own_for_settlement, &command->own_account);
    }
    struct wire_array *const ids[] = {&batch->named, &batch->own_for_settlement};
    return make_call(batch, statement, &batch->lock_parameters, ids, 2);
}

/* Of the accounts that were named last, which are locked. */
static struct db_call fence_call(const struct batch *batch) {
    const struct parameters *named = &batch->lock_parameters;
    return (struct db_call){.statement = "fence",
                            .params = {3, named->values, named->lengths, named->formats},
                            .binary_result = true};
}

void batch_build_fence(struct batch *batch, struct journal_command *const *commands, size_t count,
                       struct db_call calls[static BATCH_FENCE_CALLS]) {
    assert(count > 0 && count <= JOURNAL_BATCH_MAX);
    calls[0] = (struct db_call){.statement = "begin"};
    calls[1] = name_accounts(batch, "lock", commands, count); /* in the order of the ids */
    calls[2] = fence_call(batch);
    calls[3] = (struct db_call){.statement = "commit"};
}

void batch_build_lock(struct batch *batch, struct journal_command *const *commands, size_t count,
                      struct db_call calls[static BATCH_LOCK_CALLS]) {
    assert(count > 0 && count <= JOURNAL_BATCH_MAX);
    wire_array_begin(&batch->principals, WIRE_UUID);
    wire_array_begin(&batch->keys, WIRE_TEXT);
    wire_array_begin(&batch->own, WIRE_UUID);
    for (size_t i = 0; i < count; i++) {
        const struct journal_command *command = commands[i];
        wire_array_uuid(&batch->principals, &command->principal);
        wire_array_bytes(&batch->keys, command->key, command->key_length);
        wire_array_uuid(&batch->own, &command->own_account);
    }
    struct wire_array *const keys[] = {&batch->principals, &batch->keys, &batch->own};
    calls[0] = (struct db_call){.statement = "begin"};
    calls[LOCK_RESULT] = name_accounts(batch, "lock", commands, count);
    calls[ACCOUNTS_RESULT] = calls[LOCK_RESULT];
    calls[ACCOUNTS_RESULT].statement = "accounts";
    calls[KEYS_RESULT] = make_call(batch, "keys", &batch->keys_parameters, keys, 3);
    calls[CLOSED_RESULT] = make_call(batch, "closed", &batch->closed_parameters, NULL, 0);
}

/* ---- decoding ---- */

static void make_room(struct batch *batch, size_t count) {
    batch->account_count = count;
    if (count <= batch->account_capacity)
        return;
    batch->account_capacity = count * 2;
    batch->accounts =
        memory_resize(batch->accounts, batch->account_capacity * sizeof(*batch->accounts));
    batch->rows = memory_resize(batch->rows, batch->account_capacity * sizeof(*batch->rows));
    batch->spans = memory_resize(batch->spans, batch->account_capacity * sizeof(*batch->spans));
}

static bool load_accounts(struct batch *batch, const struct db_result *result) {
    const PGresult *snapshots = result->statements[LOCK_RESULT];
    const PGresult *rows = result->statements[ACCOUNTS_RESULT];
    int count = PQntuples(rows);
    if (PQntuples(snapshots) != count || PQnfields(rows) != 8 || PQnfields(snapshots) != 6)
        return false; /* each account has its snapshot, from the moment it exists */
    make_room(batch, (size_t)count);
    for (int row = 0; row < count; row++) {
        if (!batch_row_account(snapshots, rows, row, &batch->accounts[row], &batch->rows[row]))
            return false;
    }
    return true;
}

/* ---- decision ---- */

/* The accounts came in the order of their ids. */
static uint32_t find_account(const struct batch *batch, const struct ledger_uuid *id) {
    size_t low = 0;
    size_t high = batch->account_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(id->bytes, batch->accounts[middle].id.bytes, sizeof(id->bytes));
        if (order == 0)
            return (uint32_t)middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return POSTING_NO_ACCOUNT;
}

/* There are as many as the batch has currencies: few. */
static uint32_t find_settlement(const struct batch *batch, uint32_t own) {
    if (own == POSTING_NO_ACCOUNT)
        return POSTING_NO_ACCOUNT;
    for (size_t i = 0; i < batch->account_count; i++) {
        if (batch->rows[i].settlement &&
            strcmp(batch->accounts[i].asset, batch->accounts[own].asset) == 0)
            return (uint32_t)i;
    }
    return POSTING_NO_ACCOUNT;
}

/* Nobody sends money to a settlement account: to those who transfer it is not there. */
static uint32_t find_destination(const struct batch *batch, const struct ledger_uuid *id) {
    uint32_t found = find_account(batch, id);
    return found != POSTING_NO_ACCOUNT && batch->rows[found].settlement ? POSTING_NO_ACCOUNT
                                                                        : found;
}

static void fill_command(struct batch *batch, const struct journal_command *from, bool has_prior,
                         size_t i) {
    struct posting_command *command = &batch->commands[batch->command_count];
    batch->effective_us[batch->command_count] = from->dated ? from->effective_us : AT_BOOKING;
    command->too_early = from->dated && from->effective_us < batch->closed_us;
    batch->member[batch->command_count++] = i;
    command->kind = from->kind;
    command->principal = from->principal;
    command->transaction_id = from->transaction_id;
    memcpy(command->digest, from->digest, sizeof(command->digest));
    memcpy(command->key, from->key, (size_t)from->key_length + 1);
    command->key_length = from->key_length;
    command->group = from->group;
    command->amount = from->amount;
    command->own = find_account(batch, &from->own_account);
    command->other = from->kind == POSTING_TRANSFER ? find_destination(batch, &from->other_account)
                                                    : find_settlement(batch, command->own);
    command->prior = has_prior ? &batch->priors[i] : NULL;
    command->outcome = POSTING_PENDING;
    command->has_balance = false;
}

static void summarize(struct batch *batch) {
    batch->summary = (struct batch_summary){0};
    for (size_t i = 0; i < batch->command_count; i++) {
        struct posting_command *command = &batch->commands[i];
        bool repeated =
            command->outcome == POSTING_DUPLICATE || command->outcome == POSTING_DUPLICATE_CHANGED;
        if (command->outcome == POSTING_ACCEPTED)
            batch->summary.accepted++;
        else if (command->outcome == POSTING_DUPLICATE &&
                 memcmp(&command->result_transaction_id, &command->transaction_id,
                        sizeof(command->transaction_id)) == 0)
            batch->summary.resolved++; /* our own, by an attempt whose COMMIT went unanswered */
        else if (repeated)
            batch->summary.duplicates++;
        else if (command->outcome == POSTING_BATCH_REFUSED)
            batch->summary.fence = true;
    }
}

static void decide(struct batch *batch, struct journal_command *const *commands, size_t count,
                   const bool *prior) {
    batch->command_count = 0;
    batch->snapshots_result = -1;
    for (size_t i = 0; i < count; i++) {
        if (commands[i] != NULL)
            fill_command(batch, commands[i], prior[i], i);
    }
    posting_decide(batch->accounts, batch->account_count, batch->commands, batch->command_count,
                   batch->entries, &batch->entry_count, batch->index);
    summarize(batch);
}

bool batch_decide(struct batch *batch, struct journal_command *const *commands, size_t count,
                  const struct db_result *result, const char **error) {
    bool prior[JOURNAL_BATCH_MAX];
    assert(count <= JOURNAL_BATCH_MAX);
    if (!load_accounts(batch, result)) {
        *error = "an account or its snapshot is not as it must be";
        return false;
    }
    if (!batch_row_priors(result->statements[KEYS_RESULT], count, batch->priors, prior)) {
        *error = "an earlier transaction is not as it must be";
        return false;
    }
    if (!batch_row_closed(result->statements[CLOSED_RESULT], &batch->closed_us)) {
        *error = "the last closed period is not as it must be";
        return false;
    }
    batch->express = false;
    decide(batch, commands, count, prior);
    return true;
}

/* ---- the express way ---- */

/* Adds an account to those of this pass, once. */
static bool add_known(struct batch *batch, struct cached_account *account) {
    if (account == NULL)
        return false;
    if (account->mark != batch->pass) {
        account->mark = batch->pass;
        batch->known[batch->known_count++] = account;
    }
    return true;
}

static int compare_ids(const void *a, const void *b) {
    const struct cached_account *const *left = a;
    const struct cached_account *const *right = b;
    return memcmp(&(*left)->account.id, &(*right)->account.id, sizeof((*left)->account.id));
}

/* Takes over what is remembered of every account of the batch, in the order of their ids. */
static bool recall_accounts(struct batch *batch, struct journal_command *const *commands,
                            size_t count) {
    batch->pass++;
    batch->known_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (commands[i]->dated)
            return false; /* whether its time is closed is not remembered */
        struct cached_account *own = account_cache_find(batch->cache, &commands[i]->own_account);
        if (!add_known(batch, own))
            return false;
        if (!add_known(batch, commands[i]->kind == POSTING_TRANSFER
                                  ? account_cache_find(batch->cache, &commands[i]->other_account)
                                  : account_cache_settlement(batch->cache, own->account.asset)))
            return false;
    }
    qsort((void *)batch->known, batch->known_count, sizeof(struct cached_account *), compare_ids);
    make_room(batch, batch->known_count);
    for (size_t i = 0; i < batch->account_count; i++) {
        batch->accounts[i] = batch->known[i]->account;
        batch->rows[i] = batch->known[i]->row;
    }
    return true;
}

bool batch_decide_known(struct batch *batch, struct journal_command *const *commands,
                        size_t count) {
    bool prior[JOURNAL_BATCH_MAX] = {false};
    assert(count > 0 && count <= JOURNAL_BATCH_MAX);
    if (!recall_accounts(batch, commands, count))
        return false;
    batch->express = true;
    decide(batch, commands, count, prior);
    for (size_t i = 0; i < batch->command_count; i++) {
        enum posting_outcome outcome = batch->commands[i].outcome;
        if (outcome != POSTING_ACCEPTED && outcome != POSTING_DUPLICATE &&
            outcome != POSTING_DUPLICATE_CHANGED)
            return false;
    }
    return posting_order_free(batch->accounts, batch->entries, batch->entry_count, batch->spans);
}

/* The two arrays that moving the snapshots returned, side by side. */
static bool learn_addresses(struct batch *batch, const struct db_result *result) {
    if (batch->snapshots_result < 0)
        return true;
    const PGresult *moved = result->statements[batch->snapshots_result];
    struct wire_reader ids, addresses;
    if (PQntuples(moved) != 1 || PQnfields(moved) != 3 ||
        !wire_reader_begin(&ids, WIRE_UUID, PQgetvalue(moved, 0, 1), PQgetlength(moved, 0, 1)) ||
        !wire_reader_begin(&addresses, WIRE_TID, PQgetvalue(moved, 0, 2),
                           PQgetlength(moved, 0, 2)) ||
        ids.left != addresses.left)
        return false;
    while (ids.left > 0) {
        struct ledger_uuid id;
        uint8_t address[WIRE_TID_SIZE];
        if (!wire_reader_next(&ids, id.bytes, sizeof(id.bytes)) ||
            !wire_reader_next(&addresses, address, sizeof(address)))
            return false;
        uint32_t account = find_account(batch, &id);
        if (account == POSTING_NO_ACCOUNT)
            return false;
        memcpy(batch->rows[account].address, address, sizeof(address));
    }
    return true;
}

void batch_remember(struct batch *batch, const struct db_result *result) {
    if (batch->summary.fence || !learn_addresses(batch, result)) {
        batch_forget(batch);
        return;
    }
    for (size_t i = 0; i < batch->account_count; i++)
        account_cache_put(batch->cache, &batch->accounts[i], &batch->rows[i]);
}

void batch_forget(struct batch *batch) {
    for (size_t i = 0; i < batch->account_count; i++)
        account_cache_forget(batch->cache, &batch->accounts[i].id);
}

void batch_forget_all(struct batch *batch) {
    account_cache_forget_all(batch->cache);
}

struct batch_summary batch_summary(const struct batch *batch) {
    return batch->summary;
}

/* ---- phase two ---- */

static const char *const KINDS[] = {"deposit", "withdraw", "transfer"};

static void build_transactions(struct batch *batch) {
    wire_array_begin(&batch->ids, WIRE_UUID);
    wire_array_begin(&batch->kinds, WIRE_TEXT);
    wire_array_begin(&batch->by, WIRE_UUID);
    wire_array_begin(&batch->their_keys, WIRE_TEXT);
    wire_array_begin(&batch->digests, WIRE_BYTEA);
    wire_array_begin(&batch->effective, WIRE_TIMESTAMPTZ);
    for (size_t i = 0; i < batch->command_count; i++) {
        const struct posting_command *command = &batch->commands[i];
        if (command->outcome != POSTING_ACCEPTED)
            continue;
        const char *kind = KINDS[command->kind];
        wire_array_uuid(&batch->ids, &command->transaction_id);
        wire_array_bytes(&batch->kinds, kind, strlen(kind));
        wire_array_uuid(&batch->by, &command->principal);
        wire_array_bytes(&batch->their_keys, command->key, command->key_length);
        wire_array_bytes(&batch->digests, command->digest, sizeof(command->digest));
        int64_t effective_us = batch->effective_us[i];
        wire_array_int64(&batch->effective, effective_us == AT_BOOKING
                                                ? WIRE_MINUS_INFINITY
                                                : effective_us - WIRE_EPOCH_US);
    }
}

static void build_entries(struct batch *batch) {
    wire_array_begin(&batch->entry_accounts, WIRE_UUID);
    wire_array_begin(&batch->seqs, WIRE_INT8);
    wire_array_begin(&batch->entry_transactions, WIRE_UUID);
    wire_array_begin(&batch->amounts, WIRE_NUMERIC);
    wire_array_begin(&batch->balances, WIRE_NUMERIC);
    for (size_t i = 0; i < batch->entry_count; i++) {
        const struct posting_entry *entry = &batch->entries[i];
        wire_array_uuid(&batch->entry_accounts, &batch->accounts[entry->account].id);
        wire_array_int64(&batch->seqs, entry->seq);
        wire_array_uuid(&batch->entry_transactions,
                        &batch->commands[entry->command].transaction_id);
        wire_array_numeric(&batch->amounts, entry->amount);
        wire_array_numeric(&batch->balances, entry->balance_after);
    }
}

static void build_snapshots(struct batch *batch) {
    wire_array_begin(&batch->snapshot_addresses, WIRE_TID);
    wire_array_begin(&batch->snapshot_ids, WIRE_UUID);
    wire_array_begin(&batch->posted, WIRE_NUMERIC);
    wire_array_begin(&batch->entry_numbers, WIRE_INT8);
    wire_array_begin(&batch->was_posted, WIRE_NUMERIC);
    wire_array_begin(&batch->was_entries, WIRE_INT8);
    wire_array_begin(&batch->revisions, WIRE_INT8);
    for (size_t i = 0; i < batch->account_count; i++) {
        const struct posting_account *account = &batch->accounts[i];
        if (!account->touched)
            continue;
        const struct account_row *row = &batch->rows[i];
        wire_array_bytes(&batch->snapshot_addresses, row->address, WIRE_TID_SIZE);
        wire_array_uuid(&batch->snapshot_ids, &account->id);
        wire_array_numeric(&batch->posted, account->posted);
        wire_array_int64(&batch->entry_numbers, account->entries);
        wire_array_numeric(&batch->was_posted, row->was_posted);
        wire_array_int64(&batch->was_entries, row->was_entries);
        wire_array_int64(&batch->revisions, row->revision);
    }
}

size_t batch_build_write(struct batch *batch, struct db_call calls[static BATCH_WRITE_CALLS]) {
    size_t count = 0;
    batch->snapshots_result = -1;
    if (batch->express)
        calls[count++] = (struct db_call){.statement = "begin"};
    if (batch->summary.accepted > 0) {
        build_transactions(batch);
        build_entries(batch);
        build_snapshots(batch);
        struct wire_array *const snapshots[] = {
            &batch->snapshot_addresses, &batch->snapshot_ids, &batch->posted,
            &batch->entry_numbers,      &batch->was_posted,   &batch->was_entries,
            &batch->revisions};
        struct wire_array *const rows[] = {&batch->ids,
                                           &batch->kinds,
                                           &batch->by,
                                           &batch->their_keys,
                                           &batch->digests,
                                           &batch->effective,
                                           &batch->entry_accounts,
                                           &batch->seqs,
                                           &batch->entry_transactions,
                                           &batch->amounts,
                                           &batch->balances};
        batch->snapshots_result = (int)count;
        calls[count++] = make_call(batch, "snapshots", &batch->snapshot_parameters, snapshots, 7);
        calls[count++] = make_call(batch, "write", &batch->write_parameters, rows, 11);
    }
    if (batch->summary.fence)
        calls[count++] = fence_call(batch);
    calls[count++] = (struct db_call){.statement = "commit"};
    return count;
}

void batch_outcomes(const struct batch *batch, struct journal_command *const *commands) {
    for (size_t i = 0; i < batch->command_count; i++) {
        const struct posting_command *from = &batch->commands[i];
        struct journal_command *command = commands[batch->member[i]];
        command->end = JOURNAL_DECIDED;
        command->outcome = from->outcome;
        bool own = memcmp(&from->result_transaction_id, &from->transaction_id,
                          sizeof(from->transaction_id)) == 0;
        if (from->outcome == POSTING_DUPLICATE && own)
            command->outcome = POSTING_ACCEPTED; /* found by a retry after a lost COMMIT */
        if (from->outcome == POSTING_DUPLICATE || from->outcome == POSTING_DUPLICATE_CHANGED)
            command->transaction_id = from->result_transaction_id;
        command->has_balance = from->has_balance && from->own != POSTING_NO_ACCOUNT;
        if (!command->has_balance)
            continue;
        const struct posting_account *account = &batch->accounts[from->own];
        command->balance_minor = posting_own_side(account->class, from->balance_after);
        command->decimals = account->decimals;
        memcpy(command->asset, account->asset, sizeof(command->asset));
    }
}
