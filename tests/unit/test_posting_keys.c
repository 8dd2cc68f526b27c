/*
 * posting by example: keys that come twice, and all-or-nothing groups.
 */
#include "ledger_core/engine/posting.h"

#include <check.h>

#include "tests/unit/posting_fixture.h"

/* ---- Keys ----------------------------------------------------------------------------------- */

START_TEST(a_key_twice_in_one_batch) {
    struct posting_command *first = add(POSTING_TRANSFER, ALICE, BOB, "40");
    add(POSTING_DEPOSIT, ALICE, SETTLEMENT, "1");
    struct posting_command *again = repeat(first);
    struct posting_command *changed = repeat(first);
    changed->digest[31] ^= 1;
    struct posting_command *last_byte = repeat(first);
    last_byte->digest[0] ^= 1;
    struct posting_command *third = repeat(first);
    struct posting_command *other_principal = repeat(first);
    other_principal->principal = uuid_of(BOB);
    other_principal->own = BOB;
    other_principal->other = ALICE;
    struct posting_command *longer = repeat(first);
    longer->key[longer->key_length++] = 'x';
    decide();
    expect(first, POSTING_ACCEPTED);
    expect(again, POSTING_DUPLICATE);
    ck_assert(same_uuid(again->result_transaction_id, first->transaction_id));
    ck_assert(again->has_balance);
    ck_assert(again->balance_after == -6000);
    expect(changed, POSTING_DUPLICATE_CHANGED);
    ck_assert(same_uuid(changed->result_transaction_id, first->transaction_id));
    ck_assert(!changed->has_balance && changed->balance_after == 0);
    expect(last_byte, POSTING_DUPLICATE_CHANGED);
    expect(third, POSTING_DUPLICATE);
    ck_assert(same_uuid(third->result_transaction_id, first->transaction_id));
    expect(other_principal, POSTING_ACCEPTED);
    expect(longer, POSTING_ACCEPTED);
    ck_assert_uint_eq(entry_count, 8);
}
END_TEST

START_TEST(a_refused_command_leaves_its_key_free) {
    struct posting_command *refused = add(POSTING_WITHDRAW, ALICE, SETTLEMENT, "101");
    add(POSTING_DEPOSIT, ALICE, SETTLEMENT, "1");
    struct posting_command *again = repeat(refused);
    struct posting_command *once_more = repeat(refused);
    decide();
    expect(refused, POSTING_INSUFFICIENT_FUNDS);
    expect(again, POSTING_ACCEPTED);
    expect(once_more, POSTING_DUPLICATE);
    ck_assert(same_uuid(once_more->result_transaction_id, again->transaction_id));
}
END_TEST

START_TEST(a_key_of_the_journal) {
    struct posting_prior prior = {
        .transaction_id = uuid_of(200), .has_balance = true, .balance_after = -123};
    struct posting_command *same = add(POSTING_WITHDRAW, ALICE, SETTLEMENT, "1000");
    memcpy(prior.digest, same->digest, sizeof(prior.digest));
    same->prior = &prior;
    struct posting_command *changed = add(POSTING_WITHDRAW, ALICE, SETTLEMENT, "1");
    changed->prior = &prior;
    decide();
    expect(same, POSTING_DUPLICATE);
    ck_assert(same_uuid(same->result_transaction_id, prior.transaction_id));
    ck_assert(same->has_balance && same->balance_after == -123);
    expect(changed, POSTING_DUPLICATE_CHANGED);
    ck_assert(same_uuid(changed->result_transaction_id, prior.transaction_id));
    ck_assert(!changed->has_balance && changed->balance_after == 0);
    ck_assert_uint_eq(entry_count, 0);
    prior.has_balance = false;
    decide();
    expect(same, POSTING_DUPLICATE);
    ck_assert(!same->has_balance && same->balance_after == 0);
}
END_TEST

/* ---- Groups --------------------------------------------------------------------------------- */

START_TEST(a_group_that_is_accepted) {
    struct posting_prior prior = {.transaction_id = uuid_of(200)};
    for (int i = 0; i < 3; i++) {
        add(POSTING_TRANSFER, ALICE, BOB, "30")->group = 5;
    }
    commands[1].prior = &prior; /* was done before: nothing speaks against it */
    memcpy(prior.digest, commands[1].digest, sizeof(prior.digest));
    decide();
    expect(&commands[0], POSTING_ACCEPTED);
    expect(&commands[1], POSTING_DUPLICATE);
    expect(&commands[2], POSTING_ACCEPTED);
    ck_assert(accounts[BOB].posted == -6000);
}
END_TEST

START_TEST(a_group_that_is_refused) {
    struct posting_prior prior = {.transaction_id = uuid_of(200)};
    add(POSTING_TRANSFER, ALICE, BOB, "10");
    add(POSTING_TRANSFER, ALICE, BOB, "60")->group = 5;
    add(POSTING_DEPOSIT, ALICE_YEN, SETTLEMENT_YEN, "1")->group = 5;
    repeat(&commands[1])->group = 5;                         /* of a neighbour that is undone */
    repeat(&commands[0])->group = 5;                         /* of one before the group */
    add(POSTING_TRANSFER, ALICE, BOB, "60")->group = 5;      /* not enough left */
    add(POSTING_DEPOSIT, ALICE, SETTLEMENT, "1")->group = 5; /* would be acceptable */
    add(POSTING_DEPOSIT, ALICE, SETTLEMENT, "1")->group = 5; /* was done before, differently */
    commands[7].prior = &prior;
    decide();
    expect(&commands[0], POSTING_ACCEPTED);
    expect(&commands[1], POSTING_BATCH_REFUSED);
    expect(&commands[2], POSTING_BATCH_REFUSED);
    expect(&commands[3], POSTING_BATCH_REFUSED);
    expect(&commands[4], POSTING_DUPLICATE);
    ck_assert(same_uuid(commands[4].result_transaction_id, commands[0].transaction_id));
    ck_assert(commands[4].has_balance && commands[4].balance_after == -9000);
    expect(&commands[5], POSTING_INSUFFICIENT_FUNDS);
    expect(&commands[6], POSTING_BATCH_REFUSED);
    expect(&commands[7], POSTING_DUPLICATE_CHANGED);
    ck_assert_uint_eq(entry_count, 2);
    ck_assert(accounts[ALICE].posted == -9000 && accounts[ALICE].entries == 4);
    ck_assert(accounts[BOB].posted == -1000 && accounts[BOB].entries == 1);
    ck_assert(accounts[ALICE].touched && accounts[BOB].touched);
    /* Touched by the group alone, so not at all. */
    ck_assert(accounts[ALICE_YEN].posted == -50 && !accounts[ALICE_YEN].touched);
    ck_assert(accounts[SETTLEMENT_YEN].entries == 0 && !accounts[SETTLEMENT_YEN].touched);
}
END_TEST

START_TEST(a_refused_group_leaves_its_keys_free) {
    add(POSTING_TRANSFER, ALICE, BOB, "60")->group = 1;
    add(POSTING_TRANSFER, ALICE, BOB, "60")->group = 1;
    repeat(&commands[0])->group = 2; /* a neighbour, but another group */
    repeat(&commands[0]);
    repeat(&commands[1])->group = 1; /* the number of the first group again: not that group */
    decide();
    expect(&commands[0], POSTING_BATCH_REFUSED);
    expect(&commands[1], POSTING_INSUFFICIENT_FUNDS);
    expect(&commands[2], POSTING_ACCEPTED);
    expect(&commands[3], POSTING_DUPLICATE);
    ck_assert(same_uuid(commands[3].result_transaction_id, commands[2].transaction_id));
    expect(&commands[4], POSTING_INSUFFICIENT_FUNDS);
    ck_assert_uint_eq(entry_count, 2);
}
END_TEST

START_TEST(a_group_that_contradicts_itself) {
    add(POSTING_TRANSFER, ALICE, BOB, "1")->group = 9;
    repeat(&commands[0])->group = 9;
    commands[1].digest[31] ^= 1;
    decide();
    expect(&commands[0], POSTING_BATCH_REFUSED);
    expect(&commands[1], POSTING_DUPLICATE_CHANGED);
    /* There is no such transaction. */
    ck_assert(same_uuid(commands[1].result_transaction_id, (struct ledger_uuid){0}));
    ck_assert_uint_eq(entry_count, 0);
    ck_assert(accounts[ALICE].posted == -10000);
}
END_TEST

START_TEST(the_refused_command_may_be_the_first) {
    add(POSTING_TRANSFER, ALICE, BOB, "0")->group = UINT32_MAX;
    add(POSTING_TRANSFER, ALICE, BOB, "1")->group = UINT32_MAX;
    add(POSTING_TRANSFER, ALICE, BOB, "1");
    decide();
    expect(&commands[0], POSTING_AMOUNT_ZERO);
    expect(&commands[1], POSTING_BATCH_REFUSED);
    expect(&commands[2], POSTING_ACCEPTED);
}
END_TEST

int main(void) {
    TCase *tests = tcase_create("posting_keys");
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, a_key_twice_in_one_batch);
    tcase_add_test(tests, a_refused_command_leaves_its_key_free);
    tcase_add_test(tests, a_key_of_the_journal);
    tcase_add_test(tests, a_group_that_is_accepted);
    tcase_add_test(tests, a_group_that_is_refused);
    tcase_add_test(tests, a_refused_group_leaves_its_keys_free);
    tcase_add_test(tests, a_group_that_contradicts_itself);
    tcase_add_test(tests, the_refused_command_may_be_the_first);
    return run_tests(tests, "posting_keys");
}
