/*
 * Design: an amount is read in two steps because its currency is known later than its text.
 * Parsing keeps the digits and the place of the point; scaling turns them into minor units of one
 * asset by a multiplication with a power of ten, never a division, so there is nothing to round.
 * Sums are checked twice, for the 128-bit integer and for the narrower numeric(38,0) of the
 * journal.  Formatting splits an amount into two 64-bit halves first, because a 128-bit division
 * per digit would be the slowest thing in an answer.
 */
#include "ledger_core/engine/money.h"

#include <assert.h>
#include <string.h>

__extension__ typedef unsigned __int128 money_magnitude;

#define DIGITS_PER_HALF 19
#define HALF_BASE       10000000000000000000LLU /* 10^19, the largest power of ten in 64 bits */

_Static_assert(MONEY_MINOR_MAX + 1 == (money_minor)HALF_BASE * (money_minor)HALF_BASE,
               "MONEY_MINOR_MAX is 10^38 - 1");
_Static_assert(MONEY_TEXT_MAX >= 1 + 2 * DIGITS_PER_HALF + 2 + 1, "sign, digits, 0., NUL");

static const uint64_t POWERS_OF_TEN[MONEY_DECIMALS_MAX + 1] = {
    1LLU,
    10LLU,
    100LLU,
    1000LLU,
    10000LLU,
    100000LLU,
    1000000LLU,
    10000000LLU,
    100000000LLU,
    1000000000LLU,
    10000000000LLU,
    100000000000LLU,
    1000000000000LLU,
    10000000000000LLU,
    100000000000000LLU,
    1000000000000000LLU,
    10000000000000000LLU,
    100000000000000000LLU,
    1000000000000000000LLU,
};

static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

static bool fits(money_minor minor) {
    return minor <= MONEY_MINOR_MAX && minor >= -MONEY_MINOR_MAX;
}

static size_t count_digits(const char *text, size_t length) {
    size_t count = 0;
    while (count < length && is_digit(text[count])) {
        count++;
    }
    return count;
}

enum money_parse_result money_parse(const char *text, size_t length,
                                    struct money_decimal *decimal) {
    const size_t whole = count_digits(text, length);
    if (whole == 0) {
        return MONEY_PARSE_SYNTAX;
    }
    if (whole > 1 && text[0] == '0') {
        return MONEY_PARSE_SYNTAX;
    }
    size_t decimals = 0;
    if (whole < length) {
        if (text[whole] != '.') {
            return MONEY_PARSE_SYNTAX;
        }
        decimals = length - whole - 1;
        if (decimals == 0 || count_digits(text + whole + 1, decimals) != decimals) {
            return MONEY_PARSE_SYNTAX;
        }
    }
    /* Two comparisons: a sum of two lengths could wrap. */
    if (whole > MONEY_DIGITS_MAX || decimals > MONEY_DIGITS_MAX - whole) {
        return MONEY_PARSE_TOO_LARGE;
    }

    money_minor coefficient = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '.') {
            coefficient = coefficient * 10 + (text[i] - '0');
        }
    }
    assert(coefficient >= 0);
    assert(fits(coefficient));
    *decimal = (struct money_decimal){.coefficient = coefficient, .decimals = (uint8_t)decimals};
    return MONEY_PARSED;
}

struct money_decimal money_canonical(struct money_decimal decimal) {
    while (decimal.decimals > 0 && decimal.coefficient % 10 == 0) {
        decimal.coefficient /= 10;
        decimal.decimals--;
    }
    return decimal;
}

enum money_scale_result money_scale(struct money_decimal decimal, uint8_t asset_decimals,
                                    money_minor *minor) {
    if (decimal.decimals > asset_decimals) {
        return MONEY_SCALE_TOO_PRECISE;
    }
    const unsigned shift = (unsigned)asset_decimals - decimal.decimals;
    if (shift > MONEY_DECIMALS_MAX) {
        return MONEY_SCALE_OVERFLOW;
    }
    money_minor scaled;
    if (__builtin_mul_overflow(decimal.coefficient, (money_minor)POWERS_OF_TEN[shift], &scaled) ||
        !fits(scaled)) {
        return MONEY_SCALE_OVERFLOW;
    }
    *minor = scaled;
    return MONEY_SCALED;
}

bool money_add(money_minor a, money_minor b, money_minor *sum) {
    money_minor result;
    if (__builtin_add_overflow(a, b, &result) || !fits(result)) {
        return false;
    }
    *sum = result;
    return true;
}

bool money_subtract(money_minor a, money_minor b, money_minor *difference) {
    money_minor result;
    if (__builtin_sub_overflow(a, b, &result) || !fits(result)) {
        return false;
    }
    *difference = result;
    return true;
}

/* Writes the last `count` digits of `value` so that they end before `end`; returns their start. */
static char *write_digits(char *end, uint64_t value, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        *--end = (char)('0' + value % 10);
        value /= 10;
    }
    return end;
}

size_t money_format(money_minor minor, uint8_t asset_decimals, char text[static MONEY_TEXT_MAX]) {
    /* Who reads an asset from the database refuses more. */
    assert(asset_decimals <= MONEY_DECIMALS_MAX);
    assert(fits(minor));

    const money_magnitude magnitude = minor < 0 ? -(money_magnitude)minor : (money_magnitude)minor;
    char digits[2 * DIGITS_PER_HALF];
    char *const end = digits + sizeof(digits);
    const char *const point = end - asset_decimals;
    const char *whole;
    if (magnitude < HALF_BASE) { /* as nearly all are: no zeros that would be skipped again */
        uint64_t left = (uint64_t)magnitude;
        char *at = end;
        for (; left > 0 || at >= point; left /= 10)
            *--at = (char)('0' + left % 10);
        whole = at;
    } else {
        write_digits(write_digits(end, (uint64_t)(magnitude % HALF_BASE), DIGITS_PER_HALF),
                     (uint64_t)(magnitude / HALF_BASE), DIGITS_PER_HALF);
        whole = digits;
        while (whole < point - 1 && *whole == '0') {
            whole++;
        }
    }
    char *to = text;
    if (minor < 0) {
        *to++ = '-';
    }
    const size_t whole_length = (size_t)(point - whole);
    memcpy(to, whole, whole_length);
    to += whole_length;
    if (asset_decimals > 0) {
        *to++ = '.';
        memcpy(to, point, asset_decimals);
        to += asset_decimals;
    }
    *to = '\0';
    assert((size_t)(to - text) < MONEY_TEXT_MAX);
    return (size_t)(to - text);
}
