/* uuid: the text form, and what version 7 and 4 promise. */
#include "service_kit/uuid.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
    const char *text;
    bool valid;
} texts[] = {
    {"01234567-89ab-cdef-0123-456789abcdef", true},
    {"01234567-89AB-CDEF-0123-456789ABCDEF", true},
    {"00000000-0000-0000-0000-000000000000", true},
    {"", false},
    {"01234567-89ab-cdef-0123-456789abcde", false},
    {"01234567-89ab-cdef-0123-456789abcdef0", false},
    {"0123456789abcdef0123456789abcdef0000", false},
    {"{1234567-89ab-cdef-0123-456789abcde}", false},
    {"0123456-789ab-cdef-0123-456789abcdef", false},
    {"01234567-89ab-cdef-0123+456789abcdef", false},
    {"01234567-89ab-cdef-0123-456789abcdeg", false},
    {"01234567-89ab-cdef-0123-456789abcd f", false},
    {"-1234567-89ab-cdef-0123-456789abcdef", false},
};

START_TEST(text_form) {
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        uint8_t uuid[UUID_SIZE];
        ck_assert_msg(uuid_parse(texts[i].text, strlen(texts[i].text), uuid) == texts[i].valid,
                      "%s", texts[i].text);
    }
    uint8_t uuid[UUID_SIZE];
    char text[UUID_TEXT_LENGTH + 1];
    ck_assert(uuid_parse(texts[1].text, UUID_TEXT_LENGTH, uuid));
    ck_assert_int_eq(uuid[0], 0x01);
    ck_assert_int_eq(uuid[15], 0xef);
    uuid_format(uuid, text);
    ck_assert_str_eq(text, texts[0].text);
    /* A NUL inside the given length is no digit. */
    ck_assert(!uuid_parse("01234567-89ab-cdef-0123-456789abcd\0f", UUID_TEXT_LENGTH, uuid));
}
END_TEST

static uint64_t milliseconds_of(const uint8_t uuid[static UUID_SIZE]) {
    uint64_t value = 0;
    for (size_t i = 0; i < 6; i++)
        value = value << 8 | uuid[i];
    return value;
}

START_TEST(version_7_grows) {
    struct uuid_generator generator = {0};
    uint8_t last[UUID_SIZE] = {0}, next[UUID_SIZE];
    uint64_t before_ms = (uint64_t)time(NULL) * 1000;
    for (int i = 0; i < 50000; i++) {
        uuid_v7(&generator, next);
        ck_assert_int_lt(memcmp(last, next, sizeof(next)), 0);
        ck_assert_int_eq(next[6] >> 4, 7);
        ck_assert_int_eq(next[8] >> 6, 2);
        memcpy(last, next, sizeof(last));
    }
    ck_assert_uint_ge(milliseconds_of(last), before_ms);
    /* 50,000 ids use at most 100 ms more than there were: 2,048 at least per millisecond. */
    ck_assert_uint_le(milliseconds_of(last), (uint64_t)(time(NULL) + 1) * 1000 + 100);
}
END_TEST

START_TEST(version_7_survives_a_clock_step) {
    struct uuid_generator generator = {.last_ms = UINT64_C(4102444800000), .sequence = 0x0ffe};
    uint8_t first[UUID_SIZE], second[UUID_SIZE], third[UUID_SIZE];
    uuid_v7(&generator, first);
    uuid_v7(&generator, second);
    uuid_v7(&generator, third);
    ck_assert_uint_eq(milliseconds_of(first), UINT64_C(4102444800000));
    ck_assert_uint_eq(milliseconds_of(second), UINT64_C(4102444800001));
    ck_assert_int_lt(memcmp(first, second, sizeof(first)), 0);
    ck_assert_int_lt(memcmp(second, third, sizeof(second)), 0);
}
END_TEST

START_TEST(random_bits) {
    struct uuid_generator one = {0}, two = {0};
    uint8_t seen_or[UUID_SIZE] = {0}, seen_and[UUID_SIZE], uuid[UUID_SIZE], other[UUID_SIZE];
    memset(seen_and, 0xff, sizeof(seen_and));
    for (int i = 0; i < 1000; i++) {
        uuid_v4(uuid);
        ck_assert_int_eq(uuid[6] >> 4, 4);
        ck_assert_int_eq(uuid[8] >> 6, 2);
        for (size_t j = 0; j < UUID_SIZE; j++) {
            seen_or[j] |= uuid[j];
            seen_and[j] &= uuid[j];
        }
        uuid_v7(&one, uuid);
        uuid_v7(&two, other);
        ck_assert_mem_ne(uuid + 8, other + 8, 8);
    }
    for (size_t j = 0; j < UUID_SIZE; j++) {
        uint8_t fixed = j == 6 ? 0xf0 : j == 8 ? 0xc0 : 0;
        ck_assert_int_eq(seen_or[j] | fixed, 0xff);
        ck_assert_int_eq(seen_and[j] & (uint8_t)~fixed, 0);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("uuid");
    TCase *tests = tcase_create("uuid");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, text_form);
    tcase_add_test(tests, version_7_grows);
    tcase_add_test(tests, version_7_survives_a_clock_step);
    tcase_add_test(tests, random_bits);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
