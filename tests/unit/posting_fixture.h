/*
 * posting_fixture: the accounts, and the making of commands, for the examples of posting.
 */
#ifndef PACIOLI_TESTS_UNIT_POSTING_FIXTURE_H
#define PACIOLI_TESTS_UNIT_POSTING_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_core/engine/posting.h"

/* The accounts that every test begins with. */
enum { SETTLEMENT, ALICE, BOB, ALICE_YEN, SETTLEMENT_YEN, ACCOUNTS };

#define ROOM 8

static struct posting_account accounts[ACCOUNTS];
static struct posting_command commands[ROOM];
static struct posting_entry entries[POSTING_ENTRIES_PER_COMMAND * ROOM];
static size_t command_count, entry_count;

static inline struct ledger_uuid uuid_of(unsigned number) {
    struct ledger_uuid uuid = {.bytes = {1}};
    uuid.bytes[15] = (uint8_t)number;
    return uuid;
}

static inline bool same_uuid(struct ledger_uuid a, struct ledger_uuid b) {
    return memcmp(&a, &b, sizeof(a)) == 0;
}

static inline struct posting_account make_account(unsigned number, const char *asset,
                                                  unsigned owner) {
    struct posting_account account = {
        .id = uuid_of(100 + number),
        .class = owner != 0 ? POSTING_LIABILITY : POSTING_ASSET,
        .has_owner = owner != 0,
        .has_floor = owner != 0,
        .decimals = strcmp(asset, "JPY") == 0 ? 0 : 2,
    };
    if (owner != 0) {
        account.owner = uuid_of(owner);
    }
    snprintf(account.asset, sizeof(account.asset), "%s", asset);
    return account;
}

/* Alice has 100.00 RUB and 50 JPY, Bob has nothing. */
static inline void set_up(void) {
    accounts[SETTLEMENT] = make_account(SETTLEMENT, "RUB", 0);
    accounts[ALICE] = make_account(ALICE, "RUB", ALICE);
    accounts[BOB] = make_account(BOB, "RUB", BOB);
    accounts[ALICE_YEN] = make_account(ALICE_YEN, "JPY", ALICE);
    accounts[SETTLEMENT_YEN] = make_account(SETTLEMENT_YEN, "JPY", 0);
    accounts[SETTLEMENT].posted = 10000;
    accounts[SETTLEMENT].entries = 7;
    accounts[ALICE].posted = -10000;
    accounts[ALICE].entries = 3;
    accounts[ALICE_YEN].posted = -50;
    memset(commands, 0, sizeof(commands));
    command_count = 0;
}

static inline struct money_decimal amount_of(const char *text) {
    struct money_decimal amount;
    ck_assert_int_eq(money_parse(text, strlen(text), &amount), MONEY_PARSED);
    return amount;
}

/* Adds a command of Alice's with a key of its own; its number is the last byte of its id. */
static inline struct posting_command *add(enum posting_kind kind, uint32_t own, uint32_t other,
                                          const char *amount) {
    ck_assert_uint_lt(command_count, ROOM);
    struct posting_command *command = &commands[command_count++];
    command->kind = kind;
    command->principal = uuid_of(ALICE);
    command->transaction_id = uuid_of((unsigned)command_count);
    command->own = own;
    command->other = other;
    command->amount = amount_of(amount);
    command->key_length =
        (uint8_t)snprintf(command->key, sizeof(command->key), "key-%zu", command_count);
    command->digest[31] = (uint8_t)command_count;
    return command;
}

/* Another command with the key and the digest of an earlier one. */
static inline struct posting_command *repeat(const struct posting_command *earlier) {
    ck_assert_uint_lt(command_count, ROOM);
    struct posting_command *command = &commands[command_count++];
    *command = *earlier;
    command->transaction_id = uuid_of((unsigned)command_count);
    command->group = 0;
    return command;
}

static inline void decide(void) {
    uint32_t index[4 * ROOM];
    ck_assert_uint_le(posting_index_size(command_count), 4 * ROOM);
    posting_decide(accounts, ACCOUNTS, commands, command_count, entries, &entry_count, index);
}

static inline void expect(const struct posting_command *command, enum posting_outcome outcome) {
    ck_assert_str_eq(posting_outcome_name(command->outcome), posting_outcome_name(outcome));
    if (outcome == POSTING_ACCEPTED) {
        ck_assert(same_uuid(command->result_transaction_id, command->transaction_id));
        ck_assert(command->has_balance);
    } else if (outcome != POSTING_DUPLICATE && outcome != POSTING_DUPLICATE_CHANGED) {
        ck_assert(same_uuid(command->result_transaction_id, (struct ledger_uuid){0}));
        ck_assert(!command->has_balance);
        ck_assert(command->balance_after == 0);
    }
}

/* A checked run of one test case; the exit status of main. */
static inline int run_tests(TCase *tests, const char *name) {
    Suite *suite = suite_create(name);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
