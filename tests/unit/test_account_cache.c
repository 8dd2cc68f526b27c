/* account_cache: what is put is found, what is forgotten is not, and it never grows. */
#include "ledger_core/journal/account_cache.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct posting_account account_number(uint64_t number) {
    struct posting_account account = {.posted = (money_minor)number, .entries = (int64_t)number};
    memcpy(account.id.bytes, &number, sizeof(number));
    memcpy(account.id.bytes + 8, &number, sizeof(number));
    snprintf(account.asset, sizeof(account.asset), "RUB");
    return account;
}

static void put(struct account_cache *cache, uint64_t number) {
    const struct posting_account account = account_number(number);
    const struct account_row row = {.revision = (int64_t)number + 1};
    account_cache_put(cache, &account, &row);
}

static struct cached_account *find(struct account_cache *cache, uint64_t number) {
    const struct posting_account account = account_number(number);
    return account_cache_find(cache, &account.id);
}

START_TEST(found_as_put) {
    struct account_cache *cache = account_cache_create(100);
    ck_assert_ptr_null(find(cache, 1));
    for (uint64_t i = 0; i < 100; i++)
        put(cache, i);
    for (uint64_t i = 0; i < 100; i++) {
        const struct cached_account *account = find(cache, i);
        ck_assert_ptr_nonnull(account);
        ck_assert(account->account.posted == (money_minor)i);
        ck_assert(account->row.was_posted == (money_minor)i);
        ck_assert_int_eq(account->row.was_entries, (int64_t)i);
        ck_assert_int_eq(account->row.revision, (int64_t)i + 1);
    }
    ck_assert_ptr_null(find(cache, 100));
    account_cache_free(cache);
}
END_TEST

START_TEST(put_again_replaces) {
    struct account_cache *cache = account_cache_create(4);
    put(cache, 7);
    struct posting_account account = account_number(7);
    account.posted = 70;
    account.entries = 9;
    account.touched = true;
    const struct account_row row = {.revision = 3, .was_posted = 1, .was_entries = 1};
    account_cache_put(cache, &account, &row);
    const struct cached_account *found = find(cache, 7);
    ck_assert_ptr_nonnull(found);
    ck_assert(found->account.posted == 70 && found->row.was_posted == 70);
    ck_assert_int_eq(found->row.was_entries, 9);
    ck_assert_int_eq(found->row.revision, 3);
    ck_assert(!found->account.touched);
    ck_assert_uint_eq(account_cache_count(cache), 1);
    account_cache_free(cache);
}
END_TEST

START_TEST(forgotten_until_put) {
    struct account_cache *cache = account_cache_create(4);
    put(cache, 1);
    put(cache, 2);
    const struct posting_account one = account_number(1), never_known = account_number(3);
    account_cache_forget(cache, &one.id);
    account_cache_forget(cache, &never_known.id);
    ck_assert_ptr_null(find(cache, 1));
    ck_assert_ptr_nonnull(find(cache, 2));
    put(cache, 1);
    ck_assert_ptr_nonnull(find(cache, 1));
    ck_assert_uint_eq(account_cache_count(cache), 2);
    account_cache_forget_all(cache);
    ck_assert_ptr_null(find(cache, 1));
    ck_assert_ptr_null(find(cache, 2));
    account_cache_free(cache);
}
END_TEST

START_TEST(full_starts_anew) {
    struct account_cache *cache = account_cache_create(8);
    for (uint64_t i = 0; i < 1000; i++) {
        put(cache, i);
        ck_assert_uint_le(account_cache_count(cache), 8);
        ck_assert_ptr_nonnull(find(cache, i));
    }
    account_cache_free(cache);
}
END_TEST

START_TEST(settlement_by_asset) {
    struct account_cache *cache = account_cache_create(8);
    struct posting_account account = account_number(1);
    struct account_row row = {.settlement = true};
    account_cache_put(cache, &account, &row);
    put(cache, 2);
    const struct cached_account *found = account_cache_settlement(cache, "RUB");
    ck_assert_ptr_nonnull(found);
    ck_assert_int_eq(memcmp(&found->account.id, &account.id, sizeof(account.id)), 0);
    ck_assert_ptr_null(account_cache_settlement(cache, "EUR"));
    account_cache_forget(cache, &account.id);
    ck_assert_ptr_null(account_cache_settlement(cache, "RUB"));
    row.settlement = false; /* no longer one */
    account_cache_put(cache, &account, &row);
    ck_assert_ptr_null(account_cache_settlement(cache, "RUB"));
    account_cache_free(cache);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("account_cache");
    TCase *tests = tcase_create("account_cache");
    tcase_add_test(tests, found_as_put);
    tcase_add_test(tests, put_again_replaces);
    tcase_add_test(tests, forgotten_until_put);
    tcase_add_test(tests, full_starts_anew);
    tcase_add_test(tests, settlement_by_asset);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
