/*
 * money: exact amounts of money.
 *
 * Two shapes.  A `money_decimal` is what somebody wrote ("1.50"): a coefficient and how many
 * digits stood behind the point; it has no currency yet.  An amount in minor units is a plain
 * `money_minor` (signed 128-bit integer: kopecks, yen, fils), bounded by MONEY_MINOR_MAX so that
 * it always fits the journal's numeric(38,0).  Nothing here rounds, allocates or fails silently.
 */
#ifndef PACIOLI_ENGINE_MONEY_H
#define PACIOLI_ENGINE_MONEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

__extension__ typedef __int128 money_minor;

/* 10^38 - 1, the largest absolute value that numeric(38,0) holds. */
#define MONEY_MINOR_MAX                                                                            \
    (((money_minor)9999999999999999999LLU) * ((money_minor)10000000000000000000LLU) +              \
     (money_minor)9999999999999999999LLU)

/* Most digits that a written amount may have, before and behind the point together. */
#define MONEY_DIGITS_MAX 38
/* Most decimals an asset may have. */
#define MONEY_DECIMALS_MAX 18
/* Room for a formatted amount: sign, 38 digits, a leading zero, the point, the NUL. */
#define MONEY_TEXT_MAX 48

struct money_decimal {
    money_minor coefficient; /* the digits without the point */
    uint8_t decimals;        /* how many of them stood behind the point, as written */
};

enum money_parse_result {
    MONEY_PARSED = 0,
    MONEY_PARSE_SYNTAX,    /* not of the form digits[.digits] */
    MONEY_PARSE_TOO_LARGE, /* more than MONEY_DIGITS_MAX digits */
};

enum money_scale_result {
    MONEY_SCALED = 0,
    MONEY_SCALE_TOO_PRECISE, /* more decimals were written than the asset has */
    MONEY_SCALE_OVERFLOW,    /* does not fit MONEY_MINOR_MAX */
};

/*
 * Reads `^(0|[1-9][0-9]*)(\.[0-9]+)?$` of exactly `length` bytes: no sign, exponent, leading
 * zero, white space, or bare point.  *decimal is written on MONEY_PARSED alone.
 */
__attribute__((warn_unused_result)) enum money_parse_result
money_parse(const char *text, size_t length, struct money_decimal *decimal);

/* Same value without trailing zeros behind the point: 1.50 -> 1.5.  For request digests. */
struct money_decimal money_canonical(struct money_decimal decimal);

/* The amount in minor units of an asset with `asset_decimals`; never rounds. */
__attribute__((warn_unused_result)) enum money_scale_result
money_scale(struct money_decimal decimal, uint8_t asset_decimals, money_minor *minor);

/* a + b and a - b within +-MONEY_MINOR_MAX; false (result untouched) when it does not fit. */
__attribute__((warn_unused_result)) bool money_add(money_minor a, money_minor b, money_minor *sum);
__attribute__((warn_unused_result)) bool money_subtract(money_minor a, money_minor b,
                                                        money_minor *difference);

/*
 * Writes `minor` with exactly `asset_decimals` decimals ("-0.05", "100", "1.500"), NUL-terminated,
 * into `text` of MONEY_TEXT_MAX bytes; returns the length without the NUL.
 */
size_t money_format(money_minor minor, uint8_t asset_decimals, char text[static MONEY_TEXT_MAX]);

#endif
