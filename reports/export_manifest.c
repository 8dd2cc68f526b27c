/*
 * Design.  The digest is taken of the bytes that were written, as they were written.  The manifest
 * appears only when the export is whole; it says nothing of when or where it was made, so that the
 * same range has the same manifest.
 */
#include "reports/export_manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reports/render.h"
#include "reports/source.h"
#include "service_kit/memory.h"

#define SUM_DIGITS 36

static money_minor sum_unit(void) {
    return (money_minor)1000000000000000000LL * 1000000000000000000LL;
}

static void add(struct export_sum *sum, money_minor amount) {
    sum->low += amount; /* below 10^36 + 10^38 */
    if (sum->low >= sum_unit()) {
        sum->high += sum->low / sum_unit();
        sum->low %= sum_unit();
    }
}

/* The whole sum with a point before its last `decimals` digits. */
static void put_sum(struct output *output, const struct export_sum *sum, uint8_t decimals) {
    char digits[2 * MONEY_TEXT_MAX], low[MONEY_TEXT_MAX];
    size_t length = 0;
    if (sum->high > 0) {
        length = money_format(sum->high, 0, digits);
        size_t low_length = money_format(sum->low, 0, low);
        memset(digits + length, '0', SUM_DIGITS - low_length);
        length += SUM_DIGITS - low_length;
        memcpy(digits + length, low, low_length + 1);
        length += low_length;
    } else { /* with a digit before the point */
        length = money_format(sum->low, decimals, digits);
        output_bytes(output, digits, length);
        return;
    }
    output_bytes(output, digits, length - decimals);
    if (decimals > 0) {
        output_text(output, ".");
        output_bytes(output, digits + length - decimals, decimals);
    }
}

bool export_manifest_begin(struct export_manifest *manifest) {
    *manifest = (struct export_manifest){.digest = EVP_MD_CTX_new()};
    bool good =
        manifest->digest != NULL && EVP_DigestInit_ex(manifest->digest, EVP_sha256(), NULL) == 1;
    if (!good)
        source_complain("SHA-256 is not available");
    return good;
}

void export_manifest_free(struct export_manifest *manifest) {
    EVP_MD_CTX_free(manifest->digest);
    free(manifest->currencies);
    *manifest = (struct export_manifest){0};
}

void export_manifest_bytes(void *owner, const char *bytes, size_t length) {
    struct export_manifest *manifest = owner;
    if (EVP_DigestUpdate(manifest->digest, bytes, length) != 1)
        abort(); /* only without memory */
}

struct export_currency *export_manifest_currency(struct export_manifest *manifest,
                                                 struct export_account *account, bool *is_new) {
    *is_new = false;
    size_t i = account->currency;
    if (i != EXPORT_CURRENCY_UNKNOWN)
        return &manifest->currencies[i];
    i = 0;
    while (i < manifest->currency_count &&
           strcmp(manifest->currencies[i].code, account->asset) != 0)
        i++;
    account->currency = i;
    if (i == manifest->currency_count) {
        *is_new = true;
        manifest->currencies =
            memory_resize(manifest->currencies, (i + 1) * sizeof(*manifest->currencies));
        manifest->currencies[i] = (struct export_currency){.decimals = account->decimals};
        snprintf(manifest->currencies[i].code, sizeof(manifest->currencies[i].code), "%s",
                 account->asset);
        manifest->currency_count++;
    }
    return &manifest->currencies[i];
}

void export_manifest_add(struct export_manifest *manifest, const struct export_row *row) {
    bool is_new;
    struct export_currency *currency = export_manifest_currency(manifest, row->account, &is_new);
    manifest->transactions += row->first;
    manifest->entries++;
    currency->entries++;
    add(row->amount > 0 ? &currency->debit : &currency->credit,
        row->amount > 0 ? row->amount : -row->amount);
}

static int by_code(const void *a, const void *b) {
    return strcmp(((const struct export_currency *)a)->code,
                  ((const struct export_currency *)b)->code);
}

static void put_currencies(struct output *output, const struct export_manifest *manifest) {
    for (size_t i = 0; i < manifest->currency_count; i++) {
        const struct export_currency *currency = &manifest->currencies[i];
        output_format(output,
                      "%s\n    {\"currency\": \"%s\", \"decimals\": %d, \"entries\": %lld, ",
                      i == 0 ? "" : ",", currency->code, (int)currency->decimals,
                      (long long)currency->entries);
        output_text(output, "\"debit\": \"");
        put_sum(output, &currency->debit, currency->decimals);
        output_text(output, "\", \"credit\": \"");
        put_sum(output, &currency->credit, currency->decimals);
        output_text(output, "\"}");
    }
}

static void put_manifest(struct output *output, struct export_manifest *manifest,
                         const struct export *export) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_DigestFinal_ex(manifest->digest, digest, &size) != 1)
        abort();
    if (manifest->currency_count > 1)
        qsort(manifest->currencies, manifest->currency_count, sizeof(*manifest->currencies),
              by_code);
    output_text(output, "{\n  \"ledger\": ");
    render_json_string(output, export->ledger_name);
    output_format(output,
                  ",\n  \"format\": \"%s\",\n  \"from\": %lld,\n  \"to\": %lld,\n"
                  "  \"transactions\": %lld,\n  \"entries\": %lld,\n  \"currencies\": [",
                  export->format->name, (long long)export->from, (long long)export->to,
                  (long long)manifest->transactions, (long long)manifest->entries);
    put_currencies(output, manifest);
    output_format(output, "%s],\n  \"bytes\": %llu,\n  \"sha256\": \"",
                  manifest->currency_count > 0 ? "\n  " : "",
                  (unsigned long long)export->output->written_bytes);
    for (unsigned i = 0; i < size; i++)
        output_format(output, "%02x", digest[i]);
    output_text(output, "\"\n}\n");
}

bool export_manifest_write(struct export_manifest *manifest, const struct export *export,
                           const char *path) {
    char beside[4096];
    int length = snprintf(beside, sizeof(beside), "%s.new", path);
    int fd = length > 0 && (size_t)length < sizeof(beside)
                 ? open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)
                 : -1;
    if (fd < 0) {
        source_complain("%s cannot be written: %s", path, strerrordesc_np(errno));
        return false;
    }
    struct output output;
    output_to_descriptor(&output, fd);
    put_manifest(&output, manifest, export);
    bool good = output_flush(&output) && fsync(fd) == 0;
    good = close(fd) == 0 && good && rename(beside, path) == 0;
    if (!good) {
        source_complain("%s cannot be written: %s", path, strerrordesc_np(errno));
        unlink(beside);
    }
    output_free(&output);
    return good;
}
