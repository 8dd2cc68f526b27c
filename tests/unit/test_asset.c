/*
 * asset: the form of codes, the table's own order, the currencies whose decimals are not 2, and
 * the same list in the migration that seeds a ledger.  Run from the repository's root.
 */
#include "ledger_core/engine/asset.h"

#include <check.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(code_form) {
    static const char *const examples[] = {"RUB",
                                           "AB",
                                           "A",
                                           "",
                                           "USDT_TRC20",
                                           "rub",
                                           "Rub",
                                           "1A",
                                           "_A",
                                           "A_",
                                           "A1",
                                           "A-B",
                                           "A B",
                                           " A",
                                           "RUB ",
                                           "RUB\n",
                                           "\xd0\x90\xd0\x91",
                                           "A2345678901234567",
                                           "A234567890123456",
                                           "@A",
                                           "[A",
                                           "A@",
                                           "A[",
                                           "A/",
                                           "A:",
                                           "A`"};
    regex_t form;
    ck_assert_int_eq(regcomp(&form, "^[A-Z][A-Z0-9_]{1,15}$", REG_EXTENDED | REG_NOSUB), 0);
    int valid = 0;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        const bool right = regexec(&form, examples[i], 0, NULL, 0) == 0;
        ck_assert_msg(asset_code_valid(examples[i], strlen(examples[i])) == right, "\"%s\"",
                      examples[i]);
        valid += right;
    }
    regfree(&form);
    ck_assert_int_eq(valid, 6);
    ck_assert(!asset_code_valid("AB\0C", 4));
    ck_assert(!asset_code_valid(NULL, 0));
    ck_assert(asset_code_valid("ABCD", 2));
}
END_TEST

START_TEST(every_byte_in_a_code) {
    for (int byte = 0; byte < 256; byte++) {
        const bool upper = byte >= 'A' && byte <= 'Z';
        const bool digit = byte >= '0' && byte <= '9';
        const char first[2] = {(char)byte, 'A'};
        const char second[2] = {'A', (char)byte};
        ck_assert_int_eq(asset_code_valid(first, 2), upper);
        ck_assert_int_eq(asset_code_valid(second, 2), upper || digit || byte == '_');
    }
}
END_TEST

START_TEST(table) {
    size_t count;
    const struct asset_currency *all = asset_iso4217_all(&count);
    ck_assert_uint_eq(count, 155);
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(strlen(all[i].code), 3);
        ck_assert(asset_code_valid(all[i].code, 3));
        ck_assert_msg(i == 0 || strcmp(all[i - 1].code, all[i].code) < 0, "order at %s",
                      all[i].code);
        ck_assert_ptr_eq(asset_iso4217(all[i].code, 3), &all[i]);
    }
}
END_TEST

START_TEST(decimals) {
    static const char none[] = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
    static const char three[] = "BHD IQD JOD KWD LYD OMR TND";
    size_t count;
    const struct asset_currency *all = asset_iso4217_all(&count);
    size_t others = 0;
    for (size_t i = 0; i < count; i++) {
        const unsigned right = strstr(none, all[i].code) ? 0 : strstr(three, all[i].code) ? 3 : 2;
        ck_assert_msg(all[i].decimals == right, "%s has %u decimals", all[i].code, right);
        others += right != 2;
    }
    ck_assert_uint_eq(others, 16 + 7);
}
END_TEST

START_TEST(unknown_codes) {
    /* Withdrawn, funds, metals, test codes, and no currency at all. */
    static const char *const unknown[] = {"ANG", "BGN", "CUC", "HRK", "SLL", "ZWL", "DEM",
                                          "CLF", "UYW", "CHE", "XAU", "XDR", "XTS", "XXX",
                                          "XUA", "AAA", "ZZZ", "rub", "R B"};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        ck_assert_msg(asset_iso4217(unknown[i], 3) == NULL, "%s", unknown[i]);
    }
    ck_assert_ptr_null(asset_iso4217("RU", 2));
    ck_assert_ptr_null(asset_iso4217("RUBL", 4));
    ck_assert_ptr_null(asset_iso4217("", 0));
    ck_assert_ptr_null(asset_iso4217(NULL, 0));
    ck_assert_ptr_nonnull(asset_iso4217("RUBLE", 3));
}
END_TEST

/* The migration writes them as rows of (decimals, 'AAA BBB ...'), over several lines. */
START_TEST(same_as_the_migration) {
    static char sql[65536];
    FILE *file = fopen("migrations/wallet/deploy/ledgers.sql", "r");
    ck_assert_msg(file != NULL, "run from the repository's root");
    const size_t size = fread(sql, 1, sizeof(sql) - 1, file);
    ck_assert(feof(file));
    ck_assert_int_eq(fclose(file), 0);
    sql[size] = '\0';

    regex_t row;
    ck_assert_int_eq(regcomp(&row, "\\(([0-9]+), '([A-Z[:space:]]+)'\\)", REG_EXTENDED), 0);
    size_t seeded = 0;
    regmatch_t part[3];
    for (const char *at = sql; regexec(&row, at, 3, part, 0) == 0; at += part[0].rm_eo) {
        const unsigned long right = strtoul(at + part[1].rm_so, NULL, 10);
        const char *end = at + part[2].rm_eo;
        for (const char *code = at + part[2].rm_so; code < end;) {
            const size_t length = strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
            if (length == 0) {
                code++;
                continue;
            }
            const struct asset_currency *currency = asset_iso4217(code, length);
            ck_assert_msg(currency != NULL, "%.*s is not in the table", (int)length, code);
            ck_assert_msg(currency->decimals == right, "%s is seeded with %lu decimals",
                          currency->code, right);
            seeded++;
            code += length;
        }
    }
    regfree(&row);
    size_t count;
    asset_iso4217_all(&count);
    ck_assert_uint_eq(seeded, count);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("asset");
    TCase *tests = tcase_create("asset");
    tcase_add_test(tests, code_form);
    tcase_add_test(tests, every_byte_in_a_code);
    tcase_add_test(tests, table);
    tcase_add_test(tests, decimals);
    tcase_add_test(tests, unknown_codes);
    tcase_add_test(tests, same_as_the_migration);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
