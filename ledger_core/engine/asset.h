/*
 * asset: currency codes and the number of their decimals (ISO 4217).  Custom assets live in the
 * database only; this table is what the product knows by itself, and tests hold it against the
 * migration that seeds a ledger.
 */
#ifndef PACIOLI_ENGINE_ASSET_H
#define PACIOLI_ENGINE_ASSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest asset code, without a NUL. */
#define ASSET_CODE_MAX 16

struct asset_currency {
    char code[4];
    uint8_t decimals;
};

/* ^[A-Z][A-Z0-9_]{1,15}$, the form of every asset code. */
bool asset_code_valid(const char *code, size_t length);

/* The ISO 4217 currency of that code, or NULL. */
const struct asset_currency *asset_iso4217(const char *code, size_t length);

/* All of them, in alphabetical order. */
const struct asset_currency *asset_iso4217_all(size_t *count);

#endif
