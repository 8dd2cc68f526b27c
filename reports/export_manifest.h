/*
 * export_manifest: what an export contained, so that it can be checked and gone on with: range,
 * counts, sums per currency, SHA-256 of the bytes.
 */
#ifndef PACIOLI_REPORTS_EXPORT_MANIFEST_H
#define PACIOLI_REPORTS_EXPORT_MANIFEST_H

#include <openssl/evp.h>

#include "reports/export.h"

/* A sum that no number of amounts overflows: high * 10^36 + low. */
struct export_sum {
    money_minor high, low;
};

struct export_currency {
    char code[17];
    uint8_t decimals;
    int64_t entries;
    struct export_sum debit, credit; /* both positive */
};

struct export_manifest {
    int64_t transactions, entries;
    struct export_currency *currencies;
    size_t currency_count;
    EVP_MD_CTX *digest;
};

/* False: no SHA-256. */
__attribute__((warn_unused_result)) bool export_manifest_begin(struct export_manifest *manifest);
void export_manifest_free(struct export_manifest *manifest);
/* For struct output's on_written. */
void export_manifest_bytes(void *owner, const char *bytes, size_t length);
/* The sums of the account's currency; *is_new: it was not there. */
struct export_currency *export_manifest_currency(struct export_manifest *manifest,
                                                 struct export_account *account, bool *is_new);
void export_manifest_add(struct export_manifest *manifest, const struct export_row *row);
/* Writes the file in one go, beside its place and then there; false after a message. */
__attribute__((warn_unused_result)) bool export_manifest_write(struct export_manifest *manifest,
                                                               const struct export *export,
                                                               const char *path);

#endif
