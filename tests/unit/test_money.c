/*
 * money, against a reference that shares nothing with it: a table-driven automaton reads the
 * text, and all arithmetic is done by hand on strings of decimal digits.
 */
#include "ledger_core/engine/money.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/random.h"

#define DIGITS_ROOM 128

/* ---- The reference ------------------------------------------------------------------------- */

/* Rows: what was read so far.  Columns: the next byte.  Numbers are rows; 6 is nowhere. */
enum { AT_START, ZERO, WHOLE, POINT, FRACTION, ROW_COUNT, NOWHERE };
enum { BYTE_ZERO, BYTE_NONZERO, BYTE_POINT, BYTE_OTHER, BYTE_COUNT };
static const uint8_t AUTOMATON[ROW_COUNT][BYTE_COUNT] = {
    [AT_START] = {ZERO, WHOLE, NOWHERE, NOWHERE},
    [ZERO] = {NOWHERE, NOWHERE, POINT, NOWHERE},
    [WHOLE] = {WHOLE, WHOLE, POINT, NOWHERE},
    [POINT] = {FRACTION, FRACTION, NOWHERE, NOWHERE},
    [FRACTION] = {FRACTION, FRACTION, NOWHERE, NOWHERE},
};

struct reference_amount {
    char whole[DIGITS_ROOM];
    char fraction[DIGITS_ROOM];
};

static void append(char *text, char byte) {
    const size_t length = strlen(text);
    if (length + 1 >= DIGITS_ROOM) { /* ck_assert writes to a file each time: too slow here */
        ck_abort_msg("no room for a digit");
    }
    text[length] = byte;
    text[length + 1] = '\0';
}

static void join(const char *a, const char *b, char text[static DIGITS_ROOM]) {
    const size_t length_a = strlen(a), length_b = strlen(b);
    if (length_a + length_b >= DIGITS_ROOM) {
        ck_abort_msg("no room for the digits");
    }
    memcpy(text, a, length_a);
    memcpy(text + length_a, b, length_b + 1);
}

static bool reference_read(const char *text, size_t length, struct reference_amount *amount) {
    unsigned row = AT_START;
    amount->whole[0] = amount->fraction[0] = '\0';
    for (size_t i = 0; i < length; i++) {
        unsigned column = BYTE_OTHER;
        if (text[i] == '0') {
            column = BYTE_ZERO;
        } else if (text[i] != '\0' && strchr("123456789", text[i]) != NULL) {
            column = BYTE_NONZERO;
        } else if (text[i] == '.') {
            column = BYTE_POINT;
        }
        row = AUTOMATON[row][column];
        if (row == NOWHERE) {
            return false;
        }
        if (row == ZERO || row == WHOLE) {
            append(amount->whole, text[i]);
        } else if (row == FRACTION) {
            append(amount->fraction, text[i]);
        }
    }
    return row == ZERO || row == WHOLE || row == FRACTION;
}

static const char *without_leading_zeros(const char *digits) {
    while (digits[0] == '0' && digits[1] != '\0') {
        digits++;
    }
    return digits;
}

/* The digits of an amount in minor units, by hand; false where the asset has fewer decimals. */
static bool reference_scale(const struct reference_amount *amount, size_t asset_decimals,
                            char minor[static DIGITS_ROOM]) {
    const size_t written = strlen(amount->fraction);
    if (written > asset_decimals) {
        return false;
    }
    join(amount->whole, amount->fraction, minor);
    for (size_t i = written; i < asset_decimals; i++) {
        append(minor, '0');
    }
    return true;
}

/* Signed decimal text, digit by digit. */
static void reference_text(money_minor minor, char text[static DIGITS_ROOM]) {
    char reversed[DIGITS_ROOM];
    size_t count = 0;
    money_minor rest = minor;
    do {
        const int digit = (int)(rest % 10);
        reversed[count++] = (char)('0' + (digit < 0 ? -digit : digit));
        rest /= 10;
    } while (rest != 0);
    size_t length = 0;
    if (minor < 0) {
        text[length++] = '-';
    }
    while (count > 0) {
        text[length++] = reversed[--count];
    }
    text[length] = '\0';
}

static void reference_format(money_minor minor, unsigned decimals, char text[static DIGITS_ROOM]) {
    char plain[DIGITS_ROOM];
    reference_text(minor, plain);
    const char *sign = plain[0] == '-' ? "-" : "";
    const char *digits = plain[0] == '-' ? plain + 1 : plain;
    char padded[DIGITS_ROOM] = "";
    for (size_t i = strlen(digits); i < decimals + 1; i++) {
        append(padded, '0');
    }
    for (; *digits != '\0'; digits++) {
        append(padded, *digits);
    }
    const int whole = (int)(strlen(padded) - decimals);
    snprintf(text, DIGITS_ROOM, "%s%.*s%s%s", sign, whole, padded, decimals > 0 ? "." : "",
             padded + whole);
}

/* a + b of two digit strings without sign. */
static void add_digits(const char *a, const char *b, char sum[static DIGITS_ROOM]) {
    char reversed[DIGITS_ROOM];
    size_t at_a = strlen(a), at_b = strlen(b), count = 0;
    int carry = 0;
    while (at_a > 0 || at_b > 0 || carry > 0) {
        int digit = carry;
        digit += at_a > 0 ? a[--at_a] - '0' : 0;
        digit += at_b > 0 ? b[--at_b] - '0' : 0;
        reversed[count++] = (char)('0' + digit % 10);
        carry = digit / 10;
    }
    size_t length = 0;
    while (count > 0) {
        sum[length++] = reversed[--count];
    }
    sum[length] = '\0';
    memmove(sum, without_leading_zeros(sum), strlen(without_leading_zeros(sum)) + 1);
}

/* a - b of two digit strings without sign, a not the smaller. */
static void subtract_digits(const char *a, const char *b, char difference[static DIGITS_ROOM]) {
    const size_t length = strlen(a);
    size_t at_b = strlen(b);
    int borrow = 0;
    join(a, "", difference);
    for (size_t i = length; i-- > 0;) {
        int digit = a[i] - '0' - borrow - (at_b > 0 ? b[--at_b] - '0' : 0);
        borrow = digit < 0;
        difference[i] = (char)('0' + digit + 10 * borrow);
    }
    memmove(difference, without_leading_zeros(difference),
            strlen(without_leading_zeros(difference)) + 1);
}

static int compare_digits(const char *a, const char *b) {
    if (strlen(a) != strlen(b)) {
        return strlen(a) < strlen(b) ? -1 : 1;
    }
    return strcmp(a, b);
}

/* Signed texts: a + b. */
static void reference_add(const char *a, const char *b, char sum[static DIGITS_ROOM]) {
    const bool negative_a = a[0] == '-', negative_b = b[0] == '-';
    const char *digits_a = a + negative_a, *digits_b = b + negative_b;
    char digits[DIGITS_ROOM];
    bool negative = negative_a;
    if (negative_a == negative_b) {
        add_digits(digits_a, digits_b, digits);
    } else if (compare_digits(digits_a, digits_b) >= 0) {
        subtract_digits(digits_a, digits_b, digits);
    } else {
        subtract_digits(digits_b, digits_a, digits);
        negative = negative_b;
    }
    const bool zero = strcmp(digits, "0") == 0;
    join(negative && !zero ? "-" : "", digits, sum);
}

/* ---- Comparing ------------------------------------------------------------------------------ */

static const struct money_decimal UNTOUCHED = {.coefficient = -77, .decimals = 77};

static void compare_scaled(const char *text, struct money_decimal decimal,
                           const struct reference_amount *amount, uint8_t asset_decimals) {
    char expected[DIGITS_ROOM], seen[DIGITS_ROOM];
    money_minor minor = -77;
    const enum money_scale_result result = money_scale(decimal, asset_decimals, &minor);
    enum money_scale_result right = MONEY_SCALED;
    if (!reference_scale(amount, asset_decimals, expected)) {
        right = MONEY_SCALE_TOO_PRECISE;
    } else if (strlen(without_leading_zeros(expected)) > MONEY_DIGITS_MAX) {
        right = MONEY_SCALE_OVERFLOW;
    }
    if (result != right) {
        ck_abort_msg("\"%s\" with %u decimals: result %d, not %d", text, asset_decimals, result,
                     right);
    }
    reference_text(minor, seen);
    if (strcmp(seen, right == MONEY_SCALED ? without_leading_zeros(expected) : "-77") != 0) {
        ck_abort_msg("\"%s\" with %u decimals is %s, not %s", text, asset_decimals, seen, expected);
    }
}

static void compare_canonical(const char *text, struct money_decimal decimal,
                              const struct reference_amount *amount) {
    struct reference_amount shorter = *amount;
    for (size_t last = strlen(shorter.fraction); last > 0 && shorter.fraction[last - 1] == '0';) {
        shorter.fraction[--last] = '\0';
    }
    const struct money_decimal canonical = money_canonical(decimal);
    char expected[DIGITS_ROOM], seen[DIGITS_ROOM];
    join(shorter.whole, shorter.fraction, expected);
    reference_text(canonical.coefficient, seen);
    if (strcmp(seen, without_leading_zeros(expected)) != 0 ||
        canonical.decimals != strlen(shorter.fraction)) {
        ck_abort_msg("\"%s\" is canonically %s with %u decimals", text, seen, canonical.decimals);
    }
}

/* Returns whether the text is an amount. */
static bool compare_text(const char *text, size_t length) {
    struct reference_amount amount;
    struct money_decimal decimal = UNTOUCHED;
    const enum money_parse_result result = money_parse(text, length, &decimal);
    enum money_parse_result right = MONEY_PARSED;
    if (!reference_read(text, length, &amount)) {
        right = MONEY_PARSE_SYNTAX;
    } else if (strlen(amount.whole) + strlen(amount.fraction) > MONEY_DIGITS_MAX) {
        right = MONEY_PARSE_TOO_LARGE;
    }
    if (result != right) {
        ck_abort_msg("\"%.*s\": result %d, not %d", (int)length, text, result, right);
    }
    if (right != MONEY_PARSED) {
        if (decimal.coefficient != UNTOUCHED.coefficient ||
            decimal.decimals != UNTOUCHED.decimals) {
            ck_abort_msg("\"%.*s\": refused, and yet written", (int)length, text);
        }
        return false;
    }
    char expected[DIGITS_ROOM], seen[DIGITS_ROOM];
    join(amount.whole, amount.fraction, expected);
    reference_text(decimal.coefficient, seen);
    if (strcmp(seen, without_leading_zeros(expected)) != 0 ||
        decimal.decimals != strlen(amount.fraction)) {
        ck_abort_msg("\"%.*s\" is read as %s with %u decimals", (int)length, text, seen,
                     decimal.decimals);
    }
    compare_canonical(text, decimal, &amount);
    static const uint8_t asset_decimals[] = {0, 2, 3, MONEY_DECIMALS_MAX};
    for (size_t i = 0; i < sizeof(asset_decimals); i++) {
        compare_scaled(text, decimal, &amount, asset_decimals[i]);
    }
    return true;
}

/* ---- Tests ---------------------------------------------------------------------------------- */

START_TEST(every_string_up_to_five) {
    static const char alphabet[] = "0123456789.-+eE ,";
    const size_t letters = sizeof(alphabet) - 1;
    ck_assert_uint_eq(letters, 17);
    /* Whole part alone, or whole part, point and at least one digit; counted by hand. */
    static const size_t amounts[] = {0, 10, 90, 1000, 10900, 118000};
    size_t total = 1;
    for (size_t length = 0; length <= 5; length++, total *= letters) {
        size_t accepted = 0;
        for (size_t number = 0; number < total; number++) {
            char text[8] = "";
            size_t rest = number;
            for (size_t i = 0; i < length; i++, rest /= letters) {
                text[i] = alphabet[rest % letters];
            }
            accepted += compare_text(text, length);
        }
        ck_assert_uint_eq(accepted, amounts[length]);
    }
}
END_TEST

START_TEST(every_byte) {
    for (int byte = 0; byte < 256; byte++) {
        char text[3] = {(char)byte, '1', (char)byte};
        const bool digit = byte >= '0' && byte <= '9';
        ck_assert_int_eq(compare_text(text, 1), digit);
        ck_assert_int_eq(compare_text(text, 2), digit && byte != '0');
        ck_assert_int_eq(compare_text(text + 1, 2), digit);
        text[0] = '.';
        ck_assert_int_eq(compare_text("1.5", 3), true);
    }
    /* What lies behind `length` is not read: an exact copy lets a sanitizer see it. */
    char *exact = malloc(3);
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, "12.", 3);
    ck_assert(!compare_text(exact, 3));
    ck_assert(compare_text(exact, 2));
    free(exact);
    struct money_decimal decimal;
    ck_assert_int_eq(money_parse(NULL, 0, &decimal), MONEY_PARSE_SYNTAX);
}
END_TEST

/* `count` times '9'. */
static const char *nines(size_t count) {
    static char text[DIGITS_ROOM];
    memset(text, '9', count);
    text[count] = '\0';
    return text;
}

START_TEST(length_limits) {
    for (size_t digits = 30; digits <= 50; digits++) {
        ck_assert_int_eq(compare_text(nines(digits), digits), digits <= 38);
        for (size_t whole = 1; whole < digits; whole++) {
            char text[DIGITS_ROOM];
            join(nines(digits + 1), "", text);
            text[whole] = '.';
            ck_assert_int_eq(compare_text(text, strlen(text)), digits <= 38);
            text[0] = '0';
            ck_assert_int_eq(compare_text(text, strlen(text)), digits <= 38 && whole == 1);
            /* Bad form is told before bad size. */
            append(text, '.');
            ck_assert(!compare_text(text, strlen(text)));
        }
    }
    struct money_decimal decimal;
    ck_assert_int_eq(money_parse(nines(38), 38, &decimal), MONEY_PARSED);
    ck_assert(decimal.coefficient == MONEY_MINOR_MAX);
    ck_assert_int_eq(money_parse(nines(39), 39, &decimal), MONEY_PARSE_TOO_LARGE);
}
END_TEST

START_TEST(random_strings) {
    const uint64_t seed = random_seed();
    printf("random_strings: PACIOLI_SEED=%llu\n", (unsigned long long)seed);
    struct test_random random = {seed};
    size_t accepted = 0;
    for (int round = 0; round < 300000; round++) {
        char text[DIGITS_ROOM];
        const size_t length = 1 + random_below(&random, 45);
        for (size_t i = 0; i < length; i++) {
            text[i] = (char)('0' + random_below(&random, 10));
        }
        if (length > 2 && random_percent(&random, 70)) {
            text[1 + random_below(&random, (uint32_t)length - 2)] = '.';
        }
        if (random_percent(&random, 10)) {
            text[random_below(&random, (uint32_t)length)] = (char)random_below(&random, 256);
        }
        text[length] = '\0';
        accepted += compare_text(text, length);
    }
    ck_assert_uint_gt(accepted, 100000);
}
END_TEST

START_TEST(scale_limits) {
    money_minor power = 1; /* 10^20 */
    for (int i = 0; i < 20; i++) {
        power *= 10;
    }
    money_minor minor = 5;
    ck_assert_int_eq(money_scale((struct money_decimal){power - 1, 0}, 18, &minor), MONEY_SCALED);
    ck_assert(minor == MONEY_MINOR_MAX - 999999999999999999LL);
    ck_assert_int_eq(money_scale((struct money_decimal){power, 0}, 18, &minor),
                     MONEY_SCALE_OVERFLOW);
    ck_assert_int_eq(money_scale((struct money_decimal){MONEY_MINOR_MAX, 2}, 2, &minor),
                     MONEY_SCALED);
    ck_assert(minor == MONEY_MINOR_MAX);
    ck_assert_int_eq(money_scale((struct money_decimal){-MONEY_MINOR_MAX, 2}, 2, &minor),
                     MONEY_SCALED);
    ck_assert(minor == -MONEY_MINOR_MAX);
    for (unsigned decimals = 1; decimals <= UINT8_MAX; decimals++) {
        /* Past 18 decimals nothing fits either: no read beyond the table of powers. */
        minor = 5;
        ck_assert_int_eq(
            money_scale((struct money_decimal){MONEY_MINOR_MAX, 0}, (uint8_t)decimals, &minor),
            MONEY_SCALE_OVERFLOW);
        ck_assert_int_eq(money_scale((struct money_decimal){1, (uint8_t)decimals},
                                     (uint8_t)(decimals - 1), &minor),
                         MONEY_SCALE_TOO_PRECISE);
        ck_assert(minor == 5);
    }
}
END_TEST

static void compare_sum(money_minor a, money_minor b) {
    char text_a[DIGITS_ROOM], text_b[DIGITS_ROOM], expected[DIGITS_ROOM], seen[DIGITS_ROOM];
    reference_text(a, text_a);
    for (int subtract = 0; subtract < 2; subtract++) {
        reference_text(b, text_b);
        if (subtract && text_b[0] == '-') {
            memmove(text_b, text_b + 1, strlen(text_b));
        } else if (subtract && b != 0) {
            memmove(text_b + 1, text_b, strlen(text_b) + 1);
            text_b[0] = '-';
        }
        reference_add(text_a, text_b, expected);
        money_minor result = 77;
        const bool fits = subtract ? money_subtract(a, b, &result) : money_add(a, b, &result);
        const bool right = strlen(expected) - (expected[0] == '-') <= MONEY_DIGITS_MAX;
        reference_text(result, seen);
        if (fits != right || strcmp(seen, right ? expected : "77") != 0) {
            ck_abort_msg("%s + %s: %d %s, not %d %s", text_a, text_b, fits, seen, right, expected);
        }
    }
}

/* A number of up to 38 digits of either sign, often near a limit. */
static money_minor random_minor(struct test_random *random) {
    money_minor minor = 0;
    const uint32_t digits = random_below(random, 39);
    for (uint32_t i = 0; i < digits; i++) {
        minor = minor * 10 + (money_minor)random_below(random, 10);
    }
    if (random_percent(random, 20)) {
        minor = MONEY_MINOR_MAX - minor;
    } else if (random_percent(random, 20)) {
        minor = MONEY_MINOR_MAX - random_below(random, 3);
    }
    return random_percent(random, 50) ? -minor : minor;
}

START_TEST(sums) {
    const money_minor int128_max = (((money_minor)1 << 126) - 1) * 2 + 1;
    const money_minor edges[] = {0,
                                 1,
                                 2,
                                 INT64_MAX,
                                 (money_minor)INT64_MAX + 1,
                                 (money_minor)UINT64_MAX,
                                 (money_minor)UINT64_MAX + 1,
                                 MONEY_MINOR_MAX / 2,
                                 MONEY_MINOR_MAX / 2 + 1,
                                 MONEY_MINOR_MAX - 1,
                                 MONEY_MINOR_MAX,
                                 MONEY_MINOR_MAX + 1,
                                 int128_max};
    const size_t count = sizeof(edges) / sizeof(edges[0]);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            compare_sum(edges[i], edges[j]);
            compare_sum(-edges[i], edges[j]);
            compare_sum(edges[i], -edges[j]);
            compare_sum(-edges[i], -edges[j]);
        }
        compare_sum(-int128_max - 1, edges[i]);
        compare_sum(edges[i], -int128_max - 1);
    }
    struct test_random random = {random_seed()};
    printf("sums: PACIOLI_SEED=%llu\n", (unsigned long long)random.state);
    for (int round = 0; round < 200000; round++) {
        compare_sum(random_minor(&random), random_minor(&random));
    }
}
END_TEST

static void compare_formatted(money_minor minor, uint8_t decimals) {
    char text[MONEY_TEXT_MAX + 1], expected[DIGITS_ROOM];
    memset(text, '#', sizeof(text));
    const size_t length = money_format(minor, decimals, text);
    reference_format(minor, decimals, expected);
    if (strcmp(text, expected) != 0 || length != strlen(text) || text[MONEY_TEXT_MAX] != '#') {
        ck_abort_msg("\"%s\" (%zu), not \"%s\"", text, length, expected);
    }
    const size_t sign = text[0] == '-';
    struct money_decimal decimal;
    const enum money_parse_result parsed = money_parse(text + sign, length - sign, &decimal);
    if (decimals + 1 > MONEY_DIGITS_MAX || parsed == MONEY_PARSE_TOO_LARGE) {
        ck_abort_msg("\"%s\" cannot be read again", text);
    }
    money_minor back;
    if (parsed != MONEY_PARSED || money_scale(decimal, decimals, &back) != MONEY_SCALED ||
        (sign ? -back : back) != minor) {
        ck_abort_msg("\"%s\" is not the same when read again", text);
    }
}

START_TEST(formats) {
    static const struct {
        long minor;
        uint8_t decimals;
        const char *text;
    } examples[] = {
        {0, 0, "0"},     {0, 2, "0.00"},         {-5, 2, "-0.05"},
        {100, 0, "100"}, {1500, 3, "1.500"},     {1, 18, "0.000000000000000001"},
        {-1, 0, "-1"},   {123456, 2, "1234.56"}, {-100, 2, "-1.00"},
        {99, 2, "0.99"},
    };
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        char text[MONEY_TEXT_MAX];
        money_format(examples[i].minor, examples[i].decimals, text);
        ck_assert_str_eq(text, examples[i].text);
    }
    char text[MONEY_TEXT_MAX];
    ck_assert_uint_eq(money_format(-MONEY_MINOR_MAX, 18, text), 40);
    ck_assert_str_eq(text, "-99999999999999999999.999999999999999999");

    struct test_random random = {random_seed()};
    printf("formats: PACIOLI_SEED=%llu\n", (unsigned long long)random.state);
    for (uint8_t decimals = 0; decimals <= MONEY_DECIMALS_MAX; decimals++) {
        money_minor power = 1;
        for (int digits = 1; digits <= 38; digits++, power *= 10) {
            compare_formatted(power, decimals);
            compare_formatted(-power, decimals);
            compare_formatted(power - 1, decimals);
            compare_formatted(1 - power, decimals);
        }
        compare_formatted(MONEY_MINOR_MAX, decimals);
        compare_formatted(-MONEY_MINOR_MAX, decimals);
        for (int round = 0; round < 10000; round++) {
            compare_formatted(random_minor(&random), decimals);
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("money");
    TCase *tests = tcase_create("money");
    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, every_string_up_to_five);
    tcase_add_test(tests, every_byte);
    tcase_add_test(tests, length_limits);
    tcase_add_test(tests, random_strings);
    tcase_add_test(tests, scale_limits);
    tcase_add_test(tests, sums);
    tcase_add_test(tests, formats);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
