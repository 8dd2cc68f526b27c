/*
 * The texts `Account not found`, `Insufficient funds` and `Transaction already processed` are part
 * of the contract.  Both uses of a key that was used before answer with the same status and text;
 * the member same_request tells them apart.
 */
#include "wallet_api/problems.h"

#include <assert.h>
#include <string.h>

const struct problem_kind PROBLEM_OUTCOME_UNKNOWN = {
    503, "outcome_unknown", "Outcome unknown",
    "It is not known yet whether this was done; send the same request again to learn it."};
const struct problem_kind PROBLEM_KEY_REUSED = {422, "idempotency_key_reused",
                                                "Idempotency key reused",
                                                "This key was used before with another request."};
const struct problem_kind PROBLEM_HISTORY_FORBIDDEN = {
    403, "account_forbidden", "Not your account", "This account is not yours or does not exist."};
const struct problem_kind PROBLEM_TRANSACTION_NOT_FOUND = {
    404, "transaction_not_found", "Transaction not found", "Transaction not found"};
const struct problem_kind PROBLEM_ACCOUNT_LIMIT = {
    422, "account_limit", "Too many accounts", "You have as many accounts as one user may have."};
const struct problem_kind PROBLEM_BATCH_REFUSED = {
    422, "batch_refused", "Batch refused",
    "Nothing was posted: this batch is all-or-nothing, and one of its operations was refused."};
const struct problem_kind PROBLEM_REPORT_TOO_LARGE = {
    422, "report_too_large", "Report too large",
    "The report is larger than an answer may be: ask for less depth, one currency, a shorter "
    "period or a smaller page, or use ledger_report."};

static const struct problem_kind OUTCOMES[] = {
    [POSTING_DUPLICATE] = {409, "duplicate", "Transaction already processed",
                           "Transaction already processed"},
    [POSTING_DUPLICATE_CHANGED] = {409, "duplicate_changed", "Transaction already processed",
                                   "Transaction already processed"},
    [POSTING_SAME_ACCOUNT] = {422, "same_account", "Same account",
                              "Source and destination are the same account."},
    [POSTING_ACCOUNT_NOT_FOUND] = {404, "account_not_found", "Account not found",
                                   "Account not found"},
    [POSTING_NOT_OWNER] = {403, "not_owner", "Not your account",
                           "The source account is not yours."},
    [POSTING_PERIOD_LOCKED] = {422, "period_locked", "Period closed",
                               "The ledger is closed for that time."},
    [POSTING_ACCOUNT_CLOSED] = {422, "account_closed", "Account closed", "The account is closed."},
    [POSTING_ACCOUNT_FROZEN] = {422, "account_frozen", "Account frozen",
                                "The account is frozen: no money can leave it."},
    [POSTING_ASSET_MISMATCH] = {422, "asset_mismatch", "Different currencies",
                                "The accounts have different currencies."},
    [POSTING_AMOUNT_ZERO] = {422, "amount_zero", "Amount is zero",
                             "The amount must be greater than 0."},
    [POSTING_AMOUNT_TOO_PRECISE] = {422, "amount_too_precise", "Too many decimals",
                                    "The amount has more decimals than the account's currency."},
    [POSTING_AMOUNT_TOO_LARGE] = {422, "amount_too_large", "Amount too large",
                                  "The amount, or a balance that it would lead to, is too large."},
    [POSTING_INSUFFICIENT_FUNDS] = {400, "insufficient_funds", "Insufficient funds",
                                    "Insufficient funds"},
    [POSTING_BATCH_REFUSED] = {422, "batch_refused", "Batch refused",
                               "Not posted: another operation of this batch was refused."},
};
static_assert(sizeof OUTCOMES / sizeof OUTCOMES[0] == POSTING_ACCEPTED,
              "a kind for every refusing outcome");

const struct problem_kind *problems_of_outcome(enum posting_outcome outcome) {
    if (outcome == POSTING_PENDING || outcome >= POSTING_ACCEPTED) {
        return NULL;
    }
    return &OUTCOMES[outcome];
}

/* What only an operator meets. */
static const struct problem_kind CONTROLS[] = {
    {422, "settlement_account", "Settlement account",
     "Every deposit and withdrawal of its currency goes through this account: it stays open."},
    {422, "account_not_empty", "Account not empty",
     "Only an account with a balance of 0 and nothing held can be closed."},
    {422, "period_not_over", "Period not over", "A period can be closed one minute after its end."},
    {404, "transaction_not_found", "Transaction not found", "Transaction not found"},
    {422, "reversal_of_reversal", "Reversal of a reversal",
     "A reversal is not reversed: post anew what it took back."},
    {409, "already_reversed", "Already reversed", "The transaction was reversed before."},
    {404, "adjustment_not_found", "Adjustment not found", "Adjustment not found"},
    {409, "adjustment_decided", "Already decided", "It was approved or rejected before."},
    {403, "own_proposal", "Own proposal", "Somebody else than its proposer must approve it."},
    {409, "breaks_not_open", "Not open", "Not each of these is an open break."},
    {422, "breaks_of_several_accounts", "Several accounts",
     "These breaks belong to different accounts."},
    {422, "nothing_to_post", "Nothing to post",
     "The two sides of these breaks are equal: there is nothing to post against an account."},
    {422, "difference_to_post", "Difference to post",
     "The two sides of these breaks differ: name the account that it is to be posted against."},
    {422, "account_refuses", "Account refuses", "One of the accounts is frozen or closed."},
};

const struct problem_kind *problems_of_control(const char *outcome) {
    for (size_t i = 0; i < sizeof CONTROLS / sizeof CONTROLS[0]; i++) {
        if (strcmp(CONTROLS[i].code, outcome) == 0) {
            return &CONTROLS[i];
        }
    }
    for (size_t i = POSTING_PENDING + 1; i < POSTING_ACCEPTED; i++) {
        if (strcmp(OUTCOMES[i].code, outcome) == 0) {
            return &OUTCOMES[i];
        }
    }
    return NULL;
}

const char *problems_field(enum posting_outcome outcome, enum posting_kind kind) {
    switch (outcome) {
    case POSTING_SAME_ACCOUNT:
    case POSTING_ASSET_MISMATCH:
        return "to_account_id";
    case POSTING_ACCOUNT_FROZEN:
        return kind == POSTING_TRANSFER ? "from_account_id" : "account_id";
    case POSTING_ACCOUNT_CLOSED: /* of a transfer it may be either */
        return kind == POSTING_TRANSFER ? NULL : "account_id";
    case POSTING_PERIOD_LOCKED:
        return "effective_at";
    case POSTING_AMOUNT_ZERO:
    case POSTING_AMOUNT_TOO_PRECISE:
    case POSTING_AMOUNT_TOO_LARGE:
        return "amount";
    case POSTING_PENDING:
    case POSTING_DUPLICATE:
    case POSTING_DUPLICATE_CHANGED:
    case POSTING_ACCOUNT_NOT_FOUND:
    case POSTING_NOT_OWNER:
    case POSTING_INSUFFICIENT_FUNDS:
    case POSTING_BATCH_REFUSED:
    case POSTING_ACCEPTED:
    case POSTING_OUTCOME_COUNT:
        break;
    }
    return NULL;
}
