/*
 * posting by example: each outcome, their precedence, the edges of floors and limits.  Keys and
 * groups are in test_posting_keys.c, and test_posting_model.c has the random side.
 */
#include "ledger_core/engine/posting.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/posting_fixture.h"

/* One command alone, and what becomes of it. */
static void expect_alone(enum posting_kind kind, uint32_t own, uint32_t other, const char *amount,
                         enum posting_outcome outcome) {
    command_count = 0;
    struct posting_command *command = add(kind, own, other, amount);
    const struct posting_account before[ACCOUNTS] = {accounts[0], accounts[1], accounts[2],
                                                     accounts[3], accounts[4]};
    decide();
    expect(command, outcome);
    ck_assert_uint_eq(entry_count, outcome == POSTING_ACCEPTED ? 2 : 0);
    for (int i = 0; i < ACCOUNTS && outcome != POSTING_ACCEPTED; i++) {
        ck_assert(accounts[i].posted == before[i].posted);
        ck_assert(accounts[i].entries == before[i].entries);
        ck_assert(!accounts[i].touched);
    }
}

static void expect_entry(size_t number, uint32_t account, uint32_t command, int64_t seq,
                         long amount, long balance_after) {
    ck_assert_uint_lt(number, entry_count);
    ck_assert_uint_eq(entries[number].account, account);
    ck_assert_uint_eq(entries[number].command, command);
    ck_assert_int_eq(entries[number].seq, seq);
    ck_assert(entries[number].amount == amount);
    ck_assert(entries[number].balance_after == balance_after);
}

/* ---- Accepted ------------------------------------------------------------------------------- */

START_TEST(deposit_withdraw_transfer) {
    add(POSTING_DEPOSIT, ALICE, SETTLEMENT, "1.5");
    add(POSTING_WITHDRAW, ALICE, SETTLEMENT, "0.01");
    add(POSTING_TRANSFER, ALICE, BOB, "100");
    decide();
    expect(&commands[0], POSTING_ACCEPTED);
    expect(&commands[1], POSTING_ACCEPTED);
    expect(&commands[2], POSTING_ACCEPTED);
    ck_assert_uint_eq(entry_count, 6);
    expect_entry(0, ALICE, 0, 4, -150, -10150);
    expect_entry(1, SETTLEMENT, 0, 8, 150, 10150);
    expect_entry(2, ALICE, 1, 5, 1, -10149);
    expect_entry(3, SETTLEMENT, 1, 9, -1, 10149);
    expect_entry(4, ALICE, 2, 6, 10000, -149);
    expect_entry(5, BOB, 2, 1, -10000, -10000);
    ck_assert(entries[0].first && entries[1].first && entries[5].first);
    ck_assert(!entries[2].first && !entries[3].first && !entries[4].first);
    ck_assert(commands[0].balance_after == -10150);
    ck_assert(commands[2].balance_after == -149);
    ck_assert(accounts[ALICE].posted == -149 && accounts[ALICE].entries == 6);
    ck_assert(accounts[BOB].posted == -10000 && accounts[BOB].entries == 1);
    ck_assert(accounts[SETTLEMENT].posted == 10149 && accounts[SETTLEMENT].entries == 9);
    ck_assert(accounts[ALICE].touched && accounts[BOB].touched && accounts[SETTLEMENT].touched);
    ck_assert(!accounts[ALICE_YEN].touched && !accounts[SETTLEMENT_YEN].touched);
}
END_TEST

START_TEST(later_commands_see_earlier_ones) {
    /* Nothing to send at first; then money comes in, and is sent on. */
    accounts[ALICE].posted = 0;
    add(POSTING_TRANSFER, ALICE, BOB, "5");
    add(POSTING_DEPOSIT, ALICE, SETTLEMENT, "5");
    add(POSTING_TRANSFER, ALICE, BOB, "5");
    add(POSTING_TRANSFER, ALICE, BOB, "0.01");
    decide();
    expect(&commands[0], POSTING_INSUFFICIENT_FUNDS);
    expect(&commands[1], POSTING_ACCEPTED);
    expect(&commands[2], POSTING_ACCEPTED);
    expect(&commands[3], POSTING_INSUFFICIENT_FUNDS);
    ck_assert_uint_eq(entry_count, 4);
}
END_TEST

START_TEST(a_transfer_takes_from_its_source_in_every_class) {
    static const int sides[] = {[POSTING_ASSET] = 1,
                                [POSTING_LIABILITY] = -1,
                                [POSTING_EQUITY] = -1,
                                [POSTING_INCOME] = -1,
                                [POSTING_EXPENSE] = 1};
    for (int class = POSTING_ASSET; class <= POSTING_EXPENSE; class ++) {
        for (int other = POSTING_ASSET; other <= POSTING_EXPENSE; other++) {
            set_up();
            accounts[ALICE].class = (enum posting_class) class;
            accounts[ALICE].posted = 10000 * sides[class];
            accounts[BOB].class = (enum posting_class)other;
            accounts[BOB].has_floor = false;
            ck_assert(posting_available(&accounts[ALICE]) == 10000);
            expect_alone(POSTING_TRANSFER, ALICE, BOB, "100", POSTING_ACCEPTED);
            ck_assert(posting_available(&accounts[ALICE]) == 0);
            /* Between the two sides of the books both fall: the sum must be zero. */
            ck_assert(posting_available(&accounts[BOB]) ==
                      (sides[class] == sides[other] ? 10000 : -10000));
            expect_alone(POSTING_TRANSFER, ALICE, BOB, "0.01", POSTING_INSUFFICIENT_FUNDS);
        }
    }
}
END_TEST

/* ---- Refused -------------------------------------------------------------------------------- */

START_TEST(accounts_missing_or_not_mine) {
    static const enum posting_kind kinds[] = {POSTING_DEPOSIT, POSTING_WITHDRAW};
    for (int i = 0; i < 2; i++) {
        expect_alone(kinds[i], BOB, SETTLEMENT, "1", POSTING_ACCOUNT_NOT_FOUND);
        expect_alone(kinds[i], POSTING_NO_ACCOUNT, SETTLEMENT, "1", POSTING_ACCOUNT_NOT_FOUND);
        expect_alone(kinds[i], ALICE, POSTING_NO_ACCOUNT, "1", POSTING_ACCOUNT_NOT_FOUND);
        /* The settlement account itself is nobody's, even if the principal were its owner. */
        expect_alone(kinds[i], SETTLEMENT, SETTLEMENT, "1", POSTING_ACCOUNT_NOT_FOUND);
        expect_alone(kinds[i], ALICE, ALICE, "1", POSTING_ACCOUNT_NOT_FOUND);
    }
    expect_alone(POSTING_TRANSFER, BOB, ALICE, "1", POSTING_NOT_OWNER);
    expect_alone(POSTING_TRANSFER, SETTLEMENT, ALICE, "1", POSTING_NOT_OWNER);
    expect_alone(POSTING_TRANSFER, BOB, POSTING_NO_ACCOUNT, "1", POSTING_ACCOUNT_NOT_FOUND);
    expect_alone(POSTING_TRANSFER, POSTING_NO_ACCOUNT, BOB, "1", POSTING_ACCOUNT_NOT_FOUND);
    expect_alone(POSTING_TRANSFER, POSTING_NO_ACCOUNT, POSTING_NO_ACCOUNT, "1",
                 POSTING_ACCOUNT_NOT_FOUND);
    expect_alone(POSTING_TRANSFER, ALICE, ALICE, "1", POSTING_SAME_ACCOUNT);
    expect_alone(POSTING_TRANSFER, BOB, BOB, "1", POSTING_SAME_ACCOUNT);
    /* Owners are compared to the last byte, and `owner` counts only with has_owner. */
    accounts[ALICE].owner.bytes[15] ^= 0x80;
    expect_alone(POSTING_TRANSFER, ALICE, BOB, "1", POSTING_NOT_OWNER);
    accounts[ALICE].owner.bytes[15] ^= 0x80;
    accounts[ALICE].has_owner = false;
    expect_alone(POSTING_TRANSFER, ALICE, BOB, "1", POSTING_NOT_OWNER);
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, "1", POSTING_ACCOUNT_NOT_FOUND);
}
END_TEST

START_TEST(frozen_and_closed) {
    accounts[ALICE].status = POSTING_FROZEN;
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, "1", POSTING_ACCEPTED);
    expect_alone(POSTING_WITHDRAW, ALICE, SETTLEMENT, "1", POSTING_ACCOUNT_FROZEN);
    expect_alone(POSTING_TRANSFER, ALICE, BOB, "1", POSTING_ACCOUNT_FROZEN);
    accounts[ALICE].status = POSTING_OPEN;
    accounts[BOB].status = POSTING_FROZEN;
    expect_alone(POSTING_TRANSFER, ALICE, BOB, "1", POSTING_ACCEPTED);
    accounts[BOB].status = POSTING_CLOSED;
    expect_alone(POSTING_TRANSFER, ALICE, BOB, "1", POSTING_ACCOUNT_CLOSED);
    accounts[SETTLEMENT].status = POSTING_FROZEN;
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, "1", POSTING_ACCEPTED);
    expect_alone(POSTING_WITHDRAW, ALICE, SETTLEMENT, "1", POSTING_ACCOUNT_FROZEN);
    accounts[SETTLEMENT].status = POSTING_CLOSED;
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, "1", POSTING_ACCOUNT_CLOSED);
    accounts[SETTLEMENT].status = POSTING_OPEN;
    accounts[ALICE].status = POSTING_CLOSED;
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, "1", POSTING_ACCOUNT_CLOSED);
    expect_alone(POSTING_WITHDRAW, ALICE, SETTLEMENT, "1", POSTING_ACCOUNT_CLOSED);
}
END_TEST

START_TEST(amounts) {
    expect_alone(POSTING_TRANSFER, ALICE, ALICE_YEN, "1", POSTING_ASSET_MISMATCH);
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT_YEN, "1", POSTING_ASSET_MISMATCH);
    accounts[BOB].decimals = 3;
    expect_alone(POSTING_TRANSFER, ALICE, BOB, "1", POSTING_ASSET_MISMATCH);
    accounts[BOB].decimals = 2;
    memcpy(accounts[BOB].asset, "RUBX", 5);
    expect_alone(POSTING_TRANSFER, ALICE, BOB, "1", POSTING_ASSET_MISMATCH);

    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, "0", POSTING_AMOUNT_ZERO);
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, "0.00", POSTING_AMOUNT_ZERO);
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, "0.000", POSTING_AMOUNT_ZERO);
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, "0.001", POSTING_AMOUNT_TOO_PRECISE);
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, "1.000", POSTING_AMOUNT_TOO_PRECISE);
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, "0.01", POSTING_ACCEPTED);
    expect_alone(POSTING_DEPOSIT, ALICE_YEN, SETTLEMENT_YEN, "1.0", POSTING_AMOUNT_TOO_PRECISE);
    expect_alone(POSTING_DEPOSIT, ALICE_YEN, SETTLEMENT_YEN, "1", POSTING_ACCEPTED);
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, "1000000000000000000000000000000000000",
                 POSTING_AMOUNT_TOO_LARGE); /* 10^36, 10^38 minor units */
}
END_TEST

START_TEST(balances_that_do_not_fit) {
    static const char limit[] = "999999999999999999999999999999999999.99"; /* MONEY_MINOR_MAX */
    accounts[ALICE].posted = 0;
    accounts[SETTLEMENT].posted = 0;
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, limit, POSTING_ACCEPTED);
    ck_assert(accounts[ALICE].posted == -MONEY_MINOR_MAX);
    ck_assert(accounts[SETTLEMENT].posted == MONEY_MINOR_MAX);
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, "0.01", POSTING_AMOUNT_TOO_LARGE);
    accounts[SETTLEMENT].posted = 0; /* the credit side alone is full */
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, "0.01", POSTING_AMOUNT_TOO_LARGE);
    accounts[SETTLEMENT].posted = MONEY_MINOR_MAX; /* the debit side alone is full */
    accounts[ALICE].posted = 0;
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, "0.01", POSTING_AMOUNT_TOO_LARGE);
    accounts[SETTLEMENT].posted = MONEY_MINOR_MAX - 1;
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, "0.02", POSTING_AMOUNT_TOO_LARGE);
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, "0.01", POSTING_ACCEPTED);
    /* A settlement account may go as far below zero. */
    accounts[SETTLEMENT].posted = 1 - MONEY_MINOR_MAX;
    accounts[ALICE].posted = -10000;
    expect_alone(POSTING_WITHDRAW, ALICE, SETTLEMENT, "0.01", POSTING_ACCEPTED);
    expect_alone(POSTING_WITHDRAW, ALICE, SETTLEMENT, "0.01", POSTING_AMOUNT_TOO_LARGE);

    set_up();
    accounts[BOB].entries = INT64_MAX - 1;
    expect_alone(POSTING_TRANSFER, ALICE, BOB, "1", POSTING_ACCEPTED);
    ck_assert_int_eq(entries[1].seq, INT64_MAX);
    expect_alone(POSTING_TRANSFER, ALICE, BOB, "1", POSTING_AMOUNT_TOO_LARGE);
    accounts[ALICE].entries = INT64_MAX;
    accounts[BOB].entries = 0;
    expect_alone(POSTING_TRANSFER, ALICE, BOB, "1", POSTING_AMOUNT_TOO_LARGE);
}
END_TEST

START_TEST(floors) {
    expect_alone(POSTING_WITHDRAW, ALICE, SETTLEMENT, "100.01", POSTING_INSUFFICIENT_FUNDS);
    expect_alone(POSTING_WITHDRAW, ALICE, SETTLEMENT, "100.00", POSTING_ACCEPTED);
    expect_alone(POSTING_TRANSFER, ALICE, BOB, "0.01", POSTING_INSUFFICIENT_FUNDS);
    accounts[ALICE].floor = -500; /* a credit line of 5.00 */
    expect_alone(POSTING_TRANSFER, ALICE, BOB, "5.01", POSTING_INSUFFICIENT_FUNDS);
    expect_alone(POSTING_TRANSFER, ALICE, BOB, "5.00", POSTING_ACCEPTED);
    accounts[ALICE].has_floor = false;
    expect_alone(POSTING_TRANSFER, ALICE, BOB, "1000000", POSTING_ACCEPTED);

    set_up();
    accounts[ALICE].held = 4000; /* 60.00 of the 100.00 are free */
    expect_alone(POSTING_WITHDRAW, ALICE, SETTLEMENT, "60.01", POSTING_INSUFFICIENT_FUNDS);
    expect_alone(POSTING_WITHDRAW, ALICE, SETTLEMENT, "60.00", POSTING_ACCEPTED);
    /* Money may come in while the account is below its floor. */
    accounts[ALICE].floor = 1000000;
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, "0.01", POSTING_ACCEPTED);
    expect_alone(POSTING_WITHDRAW, ALICE, SETTLEMENT, "0.01", POSTING_INSUFFICIENT_FUNDS);

    /* The other account's floor holds too, where the entry takes from it. */
    set_up();
    accounts[SETTLEMENT].has_floor = true;
    accounts[SETTLEMENT].floor = 9900;
    expect_alone(POSTING_WITHDRAW, ALICE, SETTLEMENT, "1.01", POSTING_INSUFFICIENT_FUNDS);
    expect_alone(POSTING_WITHDRAW, ALICE, SETTLEMENT, "1.00", POSTING_ACCEPTED);
    accounts[SETTLEMENT].floor = MONEY_MINOR_MAX;
    expect_alone(POSTING_DEPOSIT, ALICE, SETTLEMENT, "1.00", POSTING_ACCEPTED);

    /* Differences beyond 128 bits are below every floor, not above. */
    set_up();
    accounts[ALICE].posted = MONEY_MINOR_MAX - 1;
    accounts[ALICE].held = MONEY_MINOR_MAX;
    accounts[ALICE].floor = -MONEY_MINOR_MAX;
    expect_alone(POSTING_WITHDRAW, ALICE, SETTLEMENT, "0.01", POSTING_INSUFFICIENT_FUNDS);
    accounts[ALICE].posted = -MONEY_MINOR_MAX;
    accounts[ALICE].floor = -1;
    expect_alone(POSTING_WITHDRAW, ALICE, SETTLEMENT, "0.01", POSTING_ACCEPTED);
    expect_alone(POSTING_WITHDRAW, ALICE, SETTLEMENT, "0.01", POSTING_INSUFFICIENT_FUNDS);
}
END_TEST

/* All reasons at once; then the one that was told is mended, and the next must be told. */
START_TEST(precedence) {
    struct posting_prior prior = {.transaction_id = uuid_of(77)};
    struct posting_command *command = add(POSTING_TRANSFER, BOB, BOB, "0.000");
    command->prior = &prior;
    memcpy(prior.digest, command->digest, sizeof(prior.digest));
    accounts[BOB].status = POSTING_CLOSED;
    decide();
    expect(command, POSTING_DUPLICATE);
    prior.digest[31]++;
    decide();
    expect(command, POSTING_DUPLICATE_CHANGED);
    command->prior = NULL;
    decide();
    expect(command, POSTING_SAME_ACCOUNT);
    command->other = POSTING_NO_ACCOUNT;
    decide();
    expect(command, POSTING_ACCOUNT_NOT_FOUND);
    command->other = SETTLEMENT_YEN;
    accounts[SETTLEMENT_YEN].status = POSTING_FROZEN;
    decide();
    expect(command, POSTING_NOT_OWNER);
    accounts[BOB].owner = uuid_of(ALICE);
    command->too_early = true;
    decide();
    expect(command, POSTING_PERIOD_LOCKED);
    command->too_early = false;
    decide();
    expect(command, POSTING_ACCOUNT_CLOSED);
    accounts[BOB].status = POSTING_FROZEN;
    decide();
    expect(command, POSTING_ACCOUNT_FROZEN);
    accounts[BOB].status = POSTING_OPEN;
    decide(); /* the other one is frozen too */
    expect(command, POSTING_ACCOUNT_FROZEN);
    accounts[SETTLEMENT_YEN].status = POSTING_OPEN;
    decide();
    expect(command, POSTING_ASSET_MISMATCH);
    command->other = SETTLEMENT;
    decide();
    expect(command, POSTING_AMOUNT_ZERO);
    command->amount = amount_of("99999999999999999999999999999999999.999");
    ck_assert(command->amount.decimals == 3);
    decide();
    expect(command, POSTING_AMOUNT_TOO_PRECISE);
    command->amount = amount_of("9999999999999999999999999999999999999");
    decide();
    expect(command, POSTING_AMOUNT_TOO_LARGE);
    command->amount = amount_of("999999999999999999999999999999999999.99");
    accounts[SETTLEMENT].posted = -1; /* would not fit, and Bob has nothing */
    decide();
    expect(command, POSTING_AMOUNT_TOO_LARGE);
    command->amount = amount_of("1");
    decide();
    expect(command, POSTING_INSUFFICIENT_FUNDS);
    accounts[BOB].posted = -100;
    decide();
    expect(command, POSTING_ACCEPTED);
}
END_TEST

/* ---- Order ----------------------------------------------------------------------------------- */

static bool order_free(void) {
    struct posting_span spans[ACCOUNTS];
    decide();
    ck_assert_uint_eq(entry_count, POSTING_ENTRIES_PER_COMMAND * command_count);
    return posting_order_free(accounts, entries, entry_count, spans);
}

START_TEST(free_of_order) {
    add(POSTING_WITHDRAW, ALICE, SETTLEMENT, "60");
    add(POSTING_DEPOSIT, ALICE, SETTLEMENT, "0.01");
    add(POSTING_TRANSFER, ALICE, BOB, "40");
    ck_assert(order_free());
    set_up(); /* without the deposit the transfer would not be possible */
    add(POSTING_WITHDRAW, ALICE, SETTLEMENT, "60");
    add(POSTING_DEPOSIT, ALICE, SETTLEMENT, "0.01");
    add(POSTING_TRANSFER, ALICE, BOB, "40.01");
    ck_assert(!order_free());
    set_up(); /* one that takes what another brings */
    accounts[BOB].owner = accounts[ALICE].owner;
    add(POSTING_TRANSFER, ALICE, BOB, "1");
    add(POSTING_TRANSFER, BOB, ALICE, "1");
    ck_assert(!order_free());
    set_up(); /* the withdrawal makes room for the deposit */
    accounts[SETTLEMENT].posted = MONEY_MINOR_MAX;
    add(POSTING_WITHDRAW, ALICE, SETTLEMENT, "1");
    add(POSTING_DEPOSIT, ALICE, SETTLEMENT, "1");
    ck_assert(!order_free());
    set_up(); /* what nobody limits */
    accounts[ALICE].has_floor = false;
    add(POSTING_WITHDRAW, ALICE, SETTLEMENT, "100");
    add(POSTING_WITHDRAW, ALICE, SETTLEMENT, "100");
    ck_assert(order_free());
    set_up(); /* what is held is not there */
    accounts[ALICE].held = 1;
    add(POSTING_DEPOSIT, ALICE, SETTLEMENT, "1");
    add(POSTING_WITHDRAW, ALICE, SETTLEMENT, "100");
    ck_assert(!order_free());
}
END_TEST

/* ---- The rest ------------------------------------------------------------------------------- */

START_TEST(own_side_and_available) {
    ck_assert(posting_own_side(POSTING_ASSET, 5) == 5);
    ck_assert(posting_own_side(POSTING_EXPENSE, -5) == -5);
    ck_assert(posting_own_side(POSTING_LIABILITY, 5) == -5);
    ck_assert(posting_own_side(POSTING_EQUITY, 5) == -5);
    ck_assert(posting_own_side(POSTING_INCOME, -5) == 5);
    accounts[ALICE].held = 3000;
    ck_assert(posting_available(&accounts[ALICE]) == 7000);
    accounts[ALICE].posted = MONEY_MINOR_MAX;
    ck_assert(posting_available(&accounts[ALICE]) == -MONEY_MINOR_MAX);
    accounts[ALICE].held = MONEY_MINOR_MAX;
    ck_assert(posting_available(&accounts[ALICE]) == -MONEY_MINOR_MAX);
    accounts[ALICE].posted = -MONEY_MINOR_MAX;
    ck_assert(posting_available(&accounts[ALICE]) == 0);
}
END_TEST

START_TEST(names_and_sizes) {
    for (int i = 0; i < POSTING_OUTCOME_COUNT; i++) {
        const char *name = posting_outcome_name((enum posting_outcome)i);
        ck_assert_uint_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
        ck_assert_uint_gt(strlen(name), 0);
        for (int j = 0; j < i; j++) {
            ck_assert_str_ne(name, posting_outcome_name((enum posting_outcome)j));
        }
    }
    ck_assert_str_eq(posting_outcome_name(POSTING_INSUFFICIENT_FUNDS), "insufficient_funds");
    ck_assert_str_eq(posting_outcome_name(POSTING_ACCEPTED), "accepted");
    for (size_t count = 0; count < 3000; count++) {
        const size_t size = posting_index_size(count);
        ck_assert_uint_eq(size & (size - 1), 0);
        ck_assert(size >= 2 && size >= 2 * count && (size == 2 || size < 4 * count));
    }
    accounts[ALICE].touched = true;
    decide(); /* no commands */
    ck_assert_uint_eq(entry_count, 0);
    ck_assert(!accounts[ALICE].touched);
}
END_TEST

/* Mistakes of the caller end the program before they reach the books. */
START_TEST(misuse_aborts) {
    struct posting_command *command = add(POSTING_DEPOSIT, ALICE, SETTLEMENT, "1");
    switch (_i) {
    case 0:
        command->amount.coefficient = -1;
        break;
    case 1:
        command->key_length = 0;
        break;
    case 2:
        command->key_length = POSTING_KEY_MAX + 1;
        break;
    case 3:
        command->own = ACCOUNTS;
        break;
    case 4:
        command->other = ACCOUNTS;
        break;
    case 5:
        command->kind = (enum posting_kind)3;
        break;
    case 6:
        accounts[ALICE].class = (enum posting_class)5;
        break;
    default:
        posting_outcome_name(POSTING_OUTCOME_COUNT);
        break;
    }
    decide();
}
END_TEST

/* Only an optimised build without a sanitizer has a speed worth a test. */
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
START_TEST(a_batch_is_decided_quickly) {
    enum { COUNT = 256, WALLETS = 512, ROUNDS = 300 };
    static struct posting_account wallets[WALLETS], fresh[WALLETS];
    static struct posting_command batch[COUNT];
    static struct posting_entry rows[POSTING_ENTRIES_PER_COMMAND * COUNT];
    uint32_t *index = malloc(posting_index_size(COUNT) * sizeof(*index));
    ck_assert_ptr_nonnull(index);
    for (unsigned i = 0; i < WALLETS; i++) {
        fresh[i] = accounts[ALICE];
    }
    for (unsigned i = 0; i < COUNT; i++) {
        command_count = 0;
        batch[i] = *add(POSTING_TRANSFER, 2 * i, 2 * i + 1, "0.01");
        /* Keys as clients make them: UUIDs. */
        batch[i].key_length = (uint8_t)snprintf(batch[i].key, sizeof(batch[i].key),
                                                "0190a5b2-7c3d-7e4f-8a9b-%012x", i * 2654435761U);
    }
    long best_ns = 1000000000;
    for (int round = 0; round < ROUNDS; round++) {
        memcpy(wallets, fresh, sizeof(wallets));
        size_t row_count;
        struct timespec begin, end;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        posting_decide(wallets, WALLETS, batch, COUNT, rows, &row_count, index);
        clock_gettime(CLOCK_MONOTONIC, &end);
        ck_assert_uint_eq(row_count, POSTING_ENTRIES_PER_COMMAND * COUNT);
        const long ns = (end.tv_sec - begin.tv_sec) * 1000000000 + end.tv_nsec - begin.tv_nsec;
        best_ns = ns < best_ns ? ns : best_ns;
    }
    free(index);
    printf("a batch of %d is decided in %ld ns\n", COUNT, best_ns);
    ck_assert_int_lt(best_ns, 100000);
}
END_TEST
#define WITH_SPEED 1
#else
#define WITH_SPEED 0
#endif

int main(void) {
    TCase *tests = tcase_create("posting");
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, deposit_withdraw_transfer);
    tcase_add_test(tests, later_commands_see_earlier_ones);
    tcase_add_test(tests, a_transfer_takes_from_its_source_in_every_class);
    tcase_add_test(tests, accounts_missing_or_not_mine);
    tcase_add_test(tests, frozen_and_closed);
    tcase_add_test(tests, amounts);
    tcase_add_test(tests, balances_that_do_not_fit);
    tcase_add_test(tests, floors);
    tcase_add_test(tests, precedence);
    tcase_add_test(tests, free_of_order);
    tcase_add_test(tests, own_side_and_available);
    tcase_add_test(tests, names_and_sizes);
    tcase_add_loop_test_raise_signal(tests, misuse_aborts, SIGABRT, 0, 8);
#if WITH_SPEED
    tcase_add_test(tests, a_batch_is_decided_quickly);
#endif
    return run_tests(tests, "posting");
}
