/*
 * Design: for each command every reason that speaks against it is worked out by itself, and the
 * smallest in the order of enum posting_outcome is the outcome; so the documented precedence is
 * followed by construction.  An account is seen from its own side: `side` is +1 where debits make
 * it grow and -1 where credits do, and an entry takes out when amount * side is negative.  A group
 * works on the state itself and, when it fails, the copy that was made before is put back.
 */
#include "tests/model/posting_reference.h"

#include <stdlib.h>
#include <string.h>

#define HALF ((money_minor)10000000000000000000LLU) /* 10^19 */

static bool same_id(struct ledger_uuid a, struct ledger_uuid b) {
    for (int i = 0; i < 16; i++) {
        if (a.bytes[i] != b.bytes[i]) {
            return false;
        }
    }
    return true;
}

static int side(const struct posting_account *account) {
    static const int sides[] = {
        [POSTING_ASSET] = +1,  [POSTING_EXPENSE] = +1, [POSTING_LIABILITY] = -1,
        [POSTING_EQUITY] = -1, [POSTING_INCOME] = -1,
    };
    return sides[account->class];
}

/* Is |a + b| at most MONEY_MINOR_MAX? */
static bool sum_fits(money_minor a, money_minor b) {
    if (b >= 0) {
        return a <= MONEY_MINOR_MAX - b;
    }
    return a >= -MONEY_MINOR_MAX - b;
}

/* Is a - b - c below zero?  In two halves, since the difference may need more than 128 bits. */
static bool difference_negative(money_minor a, money_minor b, money_minor c) {
    money_minor high = a / HALF - b / HALF - c / HALF;
    money_minor low = a % HALF - b % HALF - c % HALF;
    high += low / HALF;
    low %= HALF;
    return high < 0 || (high == 0 && low < 0);
}

static const struct reference_transaction *find_key(const struct reference_state *state,
                                                    const struct posting_command *command) {
    for (size_t i = 0; i < state->transaction_count; i++) {
        const struct reference_transaction *past = &state->transactions[i];
        if (strcmp(past->key, command->key) == 0 && same_id(past->principal, command->principal)) {
            return past;
        }
    }
    return NULL;
}

/* The outcome when the key was used before, else POSTING_PENDING. */
static struct reference_answer answer_key(const struct reference_state *state,
                                          const struct posting_command *command) {
    struct reference_answer answer = {.outcome = POSTING_PENDING};
    const struct reference_transaction *past = find_key(state, command);
    if (past == NULL) {
        return answer;
    }
    answer.transaction_id = past->id;
    answer.outcome = POSTING_DUPLICATE_CHANGED;
    if (memcmp(past->digest, command->digest, POSTING_DIGEST_SIZE) == 0) {
        answer.outcome = POSTING_DUPLICATE;
        /* The same request names the same account. */
        answer.has_balance = true;
        answer.balance_after = past->own.balance_after;
    }
    return answer;
}

/* The sign of the own account's entry. */
static int own_sign(const struct posting_command *command, const struct posting_account *own) {
    if (command->kind == POSTING_DEPOSIT) {
        return -1;
    }
    if (command->kind == POSTING_WITHDRAW) {
        return +1;
    }
    return -side(own);
}

/* Amounts by multiplying step by step; false when it does not fit. */
static bool scale_up(money_minor coefficient, unsigned steps, money_minor *amount) {
    for (unsigned i = 0; i < steps; i++) {
        if (coefficient > MONEY_MINOR_MAX / 10) {
            return false;
        }
        coefficient *= 10;
    }
    *amount = coefficient;
    return coefficient <= MONEY_MINOR_MAX;
}

static bool below_floor(const struct posting_account *account, money_minor amount) {
    if (!account->has_floor || amount * side(account) > 0) {
        return false;
    }
    const money_minor own = (account->posted + amount) * side(account);
    return difference_negative(own, account->held, account->floor);
}

/* Which reasons speak against a command whose accounts are both there; *amount when they do not. */
static void collect_reasons(const struct posting_command *command,
                            const struct posting_account *own, const struct posting_account *other,
                            bool reasons[static POSTING_OUTCOME_COUNT], money_minor *amount) {
    const bool mine = own->has_owner && same_id(own->owner, command->principal);
    if (command->kind == POSTING_TRANSFER) {
        reasons[POSTING_SAME_ACCOUNT] = own == other;
        reasons[POSTING_NOT_OWNER] = !mine;
    } else {
        reasons[POSTING_ACCOUNT_NOT_FOUND] = !mine || own == other;
    }
    const int sign = own_sign(command, own);
    reasons[POSTING_PERIOD_LOCKED] = command->too_early;
    reasons[POSTING_ACCOUNT_CLOSED] =
        own->status == POSTING_CLOSED || other->status == POSTING_CLOSED;
    reasons[POSTING_ACCOUNT_FROZEN] = (own->status == POSTING_FROZEN && sign * side(own) < 0) ||
                                      (other->status == POSTING_FROZEN && -sign * side(other) < 0);
    reasons[POSTING_ASSET_MISMATCH] =
        strcmp(own->asset, other->asset) != 0 || own->decimals != other->decimals;
    reasons[POSTING_AMOUNT_ZERO] = command->amount.coefficient == 0;
    if (command->amount.decimals > own->decimals) {
        reasons[POSTING_AMOUNT_TOO_PRECISE] = true;
        return;
    }
    money_minor scaled;
    if (!scale_up(command->amount.coefficient, (unsigned)own->decimals - command->amount.decimals,
                  &scaled)) {
        reasons[POSTING_AMOUNT_TOO_LARGE] = true;
        return;
    }
    *amount = sign * scaled;
    if (!sum_fits(own->posted, *amount) || !sum_fits(other->posted, -*amount) ||
        own->entries == INT64_MAX || other->entries == INT64_MAX) {
        reasons[POSTING_AMOUNT_TOO_LARGE] = true;
        return;
    }
    reasons[POSTING_INSUFFICIENT_FUNDS] = below_floor(own, *amount) || below_floor(other, -*amount);
}

static struct reference_entry post(struct reference_state *state, uint32_t index,
                                   money_minor amount) {
    struct posting_account *account = &state->accounts[index];
    account->posted += amount;
    account->entries++;
    return (struct reference_entry){.account = index,
                                    .seq = account->entries,
                                    .amount = amount,
                                    .balance_after = account->posted};
}

static struct reference_answer run_one(struct reference_state *state,
                                       const struct posting_command *command) {
    struct reference_answer answer = answer_key(state, command);
    if (answer.outcome != POSTING_PENDING) {
        return answer;
    }
    bool reasons[POSTING_OUTCOME_COUNT] = {false};
    money_minor amount = 0;
    if (command->own == POSTING_NO_ACCOUNT || command->other == POSTING_NO_ACCOUNT) {
        reasons[POSTING_ACCOUNT_NOT_FOUND] = true;
    } else {
        collect_reasons(command, &state->accounts[command->own], &state->accounts[command->other],
                        reasons, &amount);
    }
    for (int reason = 0; reason < POSTING_OUTCOME_COUNT; reason++) {
        if (reasons[reason]) {
            answer.outcome = (enum posting_outcome)reason;
            return answer;
        }
    }
    if (state->transaction_count == REFERENCE_TRANSACTIONS_MAX) {
        abort();
    }
    struct reference_transaction *made = &state->transactions[state->transaction_count++];
    made->id = command->transaction_id;
    made->principal = command->principal;
    memcpy(made->digest, command->digest, POSTING_DIGEST_SIZE);
    memcpy(made->key, command->key, sizeof(made->key));
    made->own = post(state, command->own, amount);
    made->other = post(state, command->other, -amount);
    answer.outcome = POSTING_ACCEPTED;
    answer.transaction_id = made->id;
    answer.has_balance = true;
    answer.balance_after = made->own.balance_after;
    return answer;
}

static void copy_state(struct reference_state *to, const struct reference_state *from) {
    memcpy(to->accounts, from->accounts, sizeof(to->accounts));
    to->account_count = from->account_count;
    memcpy(to->transactions, from->transactions,
           from->transaction_count * sizeof(from->transactions[0]));
    to->transaction_count = from->transaction_count;
}

static void run_group(struct reference_state *state, const struct posting_command *commands,
                      size_t count, struct reference_answer *answers) {
    static struct reference_state before;
    copy_state(&before, state);
    size_t refused = 0;
    while (refused < count) {
        answers[refused] = run_one(state, &commands[refused]);
        if (answers[refused].outcome != POSTING_ACCEPTED &&
            answers[refused].outcome != POSTING_DUPLICATE) {
            break;
        }
        refused++;
    }
    if (refused == count) {
        return;
    }
    copy_state(state, &before);
    for (size_t i = 0; i < count; i++) {
        const enum posting_outcome reason = answers[i].outcome;
        answers[i] = answer_key(state, &commands[i]);
        if (i == refused) {
            answers[i].outcome = reason;
        } else if (answers[i].outcome == POSTING_PENDING) {
            answers[i].outcome = POSTING_BATCH_REFUSED;
        }
    }
}

void reference_run(struct reference_state *state, const struct posting_command *commands,
                   size_t count, struct reference_answer *answers) {
    for (size_t i = 0; i < count;) {
        size_t length = 1;
        if (commands[i].group == 0) {
            answers[i] = run_one(state, &commands[i]);
        } else {
            while (i + length < count && commands[i + length].group == commands[i].group) {
                length++;
            }
            run_group(state, &commands[i], length, &answers[i]);
        }
        i += length;
    }
}
