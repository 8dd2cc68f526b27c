/*
 * present: rows of the journal as the API shows them: signs, decimals, types, times, and what
 * others may see of a transaction.
 */
#include "wallet_api/present.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char *finish(struct json_writer *writer) {
    size_t length;
    const char *text = json_writer_finish(writer, &length);
    ck_assert_ptr_nonnull(text);
    char *copy = strdup(text);
    json_writer_free(writer);
    return copy;
}

static struct reader_account wallet_of(const char *asset, uint8_t decimals, money_minor posted) {
    struct reader_account account = {.has_owner = true,
                                     .decimals = decimals,
                                     .class = POSTING_LIABILITY,
                                     .status = POSTING_OPEN,
                                     .posted = posted};
    snprintf(account.asset, sizeof account.asset, "%s", asset);
    account.id.bytes[15] = 0xaa;
    account.owner.bytes[15] = 0xbb;
    return account;
}

#define ACCOUNT "00000000-0000-0000-0000-0000000000aa"
#define OWNER   "00000000-0000-0000-0000-0000000000bb"

START_TEST(times) {
    static const struct {
        int64_t unix_us;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {1, "1970-01-01T00:00:00.000001Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {1795347000123456, "2026-11-22T11:30:00.123456Z"},
        {951827696000000, "2000-02-29T12:34:56.000000Z"},
        {253402300799999999, "9999-12-31T23:59:59.999999Z"},
        {INT64_MAX, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[PRESENT_TIME_MAX];
        present_time(cases[i].unix_us, text);
        if (cases[i].text[0] != '\0') {
            ck_assert_str_eq(text, cases[i].text);
        }
        ck_assert_uint_lt(strlen(text), sizeof text);
    }
}
END_TEST

START_TEST(balances_have_the_decimals_of_their_currency) {
    static const struct {
        const char *asset;
        uint8_t decimals;
        const char *balance;
    } cases[] = {{"RUB", 2, "150.05"}, {"JPY", 0, "15005"}, {"BHD", 3, "15.005"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reader_account account = wallet_of(cases[i].asset, cases[i].decimals, -15005);
        struct json_writer *writer = json_writer_create(1024);
        present_account(writer, &account);
        char *text = finish(writer);
        char expected[256];
        snprintf(expected, sizeof expected,
                 "{\"id\":\"" ACCOUNT "\",\"user_id\":\"" OWNER
                 "\",\"balance\":\"%s\",\"currency\":\"%s\"}",
                 cases[i].balance, cases[i].asset);
        ck_assert_str_eq(text, expected);
        free(text);
    }
}
END_TEST

START_TEST(account_in_full) {
    struct reader_account account = wallet_of("RUB", 2, -15000);
    account.held = 4000;
    account.status = POSTING_FROZEN;
    account.created_at_us = 1795347000123456;
    struct json_writer *writer = json_writer_create(1024);
    present_account_in_full(writer, &account);
    char *text = finish(writer);
    ck_assert_str_eq(text, "{\"id\":\"" ACCOUNT "\",\"user_id\":\"" OWNER "\","
                           "\"balance\":\"150.00\",\"available\":\"110.00\",\"held\":\"40.00\","
                           "\"currency\":\"RUB\",\"status\":\"frozen\","
                           "\"created_at\":\"2026-11-22T11:30:00.123456Z\"}");
    free(text);
}
END_TEST

START_TEST(lines_are_signed_as_the_account_saw_them) {
    static const struct {
        enum reader_kind kind;
        money_minor amount; /* debit positive */
        const char *expected;
    } cases[] = {
        {READER_DEPOSIT, -500, "\"amount\":\"5.00\",\"type\":\"DEPOSIT\""},
        {READER_WITHDRAW, 500, "\"amount\":\"-5.00\",\"type\":\"WITHDRAW\""},
        {READER_TRANSFER, 500, "\"amount\":\"-5.00\",\"type\":\"TRANSFER_OUT\""},
        {READER_TRANSFER, -500, "\"amount\":\"5.00\",\"type\":\"TRANSFER_IN\""},
        {READER_REVERSAL, 500, "\"amount\":\"-5.00\",\"type\":\"REVERSAL\""},
        {READER_ADJUSTMENT, -500, "\"amount\":\"5.00\",\"type\":\"ADJUSTMENT\""},
    };
    const struct reader_account account = wallet_of("RUB", 2, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reader_line line = {.kind = cases[i].kind, .amount = cases[i].amount, .seq = 7};
        line.transaction_id.bytes[15] = 0xcc;
        struct json_writer *writer = json_writer_create(1024);
        present_line(writer, &account, &line);
        char *text = finish(writer);
        char expected[256];
        snprintf(expected, sizeof expected,
                 "{\"id\":\"00000000-0000-0000-0000-0000000000cc\",\"account_id\":\"" ACCOUNT
                 "\",%s,\"created_at\":\"1970-01-01T00:00:00.000000Z\"}",
                 cases[i].expected);
        ck_assert_str_eq(text, expected);
        free(text);
    }
}
END_TEST

START_TEST(an_effective_time_of_its_own_is_shown) {
    const struct reader_account account = wallet_of("RUB", 2, 0);
    const struct reader_line line = {.created_at_us = 1795347000123456, .effective_at_us = 0};
    struct json_writer *writer = json_writer_create(1024);
    present_line(writer, &account, &line);
    char *text = finish(writer);
    ck_assert_ptr_nonnull(strstr(text, ",\"created_at\":\"2026-11-22T11:30:00.123456Z\","
                                       "\"effective_at\":\"1970-01-01T00:00:00.000000Z\"}"));
    free(text);
}
END_TEST

static char *transaction_for(struct ledger_uuid viewer) {
    struct reader_transaction transaction = {.kind = READER_DEPOSIT};
    struct reader_entry entries[2] = {
        {.class = POSTING_ASSET,
         .decimals = 2,
         .amount = 500,
         .balance_after = 700,
         .asset = "RUB"},
        {.class = POSTING_LIABILITY,
         .has_owner = true,
         .decimals = 2,
         .amount = -500,
         .balance_after = -600,
         .asset = "RUB"},
    };
    entries[1].owner.bytes[15] = 0xbb;
    struct json_writer *writer = json_writer_create(4096);
    present_transaction(writer, &transaction, entries, 2, &viewer);
    return finish(writer);
}

START_TEST(balances_of_others_are_not_shown) {
    struct ledger_uuid owner = {{[15] = 0xbb}};
    char *text = transaction_for(owner);
    ck_assert_ptr_nonnull(strstr(text, "\"class\":\"asset\",\"own\":false,\"side\":\"debit\","
                                       "\"amount\":\"5.00\",\"currency\":\"RUB\"}"));
    ck_assert_ptr_nonnull(strstr(text, "\"class\":\"liability\",\"own\":true,\"side\":\"credit\","
                                       "\"amount\":\"5.00\",\"currency\":\"RUB\","
                                       "\"balance_after\":\"6.00\"}"));
    ck_assert_ptr_null(strstr(text, "7.00"));
    ck_assert_ptr_null(strstr(text, "reverses"));
    free(text);
    /* Nobody's id: an account without an owner is not the viewer's, even when both are zeros. */
    struct ledger_uuid nobody = {{0}};
    text = transaction_for(nobody);
    ck_assert_ptr_null(strstr(text, "balance_after"));
    free(text);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("present");
    TCase *rows = tcase_create("rows");
    tcase_add_test(rows, times);
    tcase_add_test(rows, balances_have_the_decimals_of_their_currency);
    tcase_add_test(rows, account_in_full);
    tcase_add_test(rows, lines_are_signed_as_the_account_saw_them);
    tcase_add_test(rows, an_effective_time_of_its_own_is_shown);
    tcase_add_test(rows, balances_of_others_are_not_shown);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
