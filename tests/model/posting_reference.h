/*
 * posting_reference: what ledger_core/engine/posting must decide, written as plainly as possible.
 *
 * One command at a time against the whole history; no batches, no index, no undo log.  It shares
 * the engine's types and nothing of its code.
 */
#ifndef PACIOLI_TESTS_MODEL_POSTING_REFERENCE_H
#define PACIOLI_TESTS_MODEL_POSTING_REFERENCE_H

#include "ledger_core/engine/posting.h"

#define REFERENCE_ACCOUNTS_MAX     16
#define REFERENCE_TRANSACTIONS_MAX 1024

struct reference_entry {
    uint32_t account;
    int64_t seq;
    money_minor amount;
    money_minor balance_after;
};

struct reference_transaction {
    struct ledger_uuid id;
    struct ledger_uuid principal;
    uint8_t digest[POSTING_DIGEST_SIZE];
    char key[POSTING_KEY_MAX + 1];
    struct reference_entry own, other;
};

struct reference_state {
    struct posting_account accounts[REFERENCE_ACCOUNTS_MAX];
    size_t account_count;
    struct reference_transaction transactions[REFERENCE_TRANSACTIONS_MAX]; /* all there ever were */
    size_t transaction_count;
};

struct reference_answer {
    enum posting_outcome outcome;
    struct ledger_uuid transaction_id;
    bool has_balance;
    money_minor balance_after;
};

/*
 * Decides the commands in order and moves the state on.  Of the commands only the request and the
 * account indexes are read; `prior` is not, the state knows the past.  The keys are C strings.
 */
void reference_run(struct reference_state *state, const struct posting_command *commands,
                   size_t count, struct reference_answer *answers);

#endif
