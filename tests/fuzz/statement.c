/*
 * libFuzzer's entry for the readers of bank statements: the first byte chooses the format, the rest
 * is the file.  For CSV the mapping stands before a NUL.  What is read must print and hold its own
 * sums; what is refused must say why.
 */
#include "reports/statements/statement.h"

#include <assert.h>
#include <string.h>

#include "ledger_core/engine/asset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int decimals(void *owner, const char *currency) {
    (void)owner;
    const struct asset_currency *found = asset_iso4217(currency, strlen(currency));
    return found == NULL ? -1 : found->decimals;
}

static void check(const struct statement *statement) {
    money_minor sum = statement->opening;
    for (size_t i = 0; i < statement->line_count; i++) {
        const struct statement_line *line = &statement->lines[i];
        char text[STATEMENT_DATE_TEXT];
        statement_date_format(line->booked_on, text);
        assert(line->amount != 0 && line->reference_count <= STATEMENT_REFERENCES_MAX);
        assert(strlen(line->text) <= STATEMENT_TEXT_MAX);
        assert(money_add(sum, line->amount, &sum));
    }
    assert(sum == statement->closing);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const enum statement_format formats[] = {STATEMENT_CAMT053, STATEMENT_MT940,
                                                    STATEMENT_OFX, STATEMENT_CSV};
    struct statement_options options = {.decimals = decimals};
    struct statement_error error;
    if (size == 0) {
        return 0;
    }
    const enum statement_format format = formats[data[0] % 4];
    const char *bytes = (const char *)data + 1;
    size--;
    (void)statement_detect(bytes, size);
    if (format == STATEMENT_CSV) {
        const char *end = memchr(bytes, '\0', size);
        options.mapping = bytes;
        options.mapping_length = end == NULL ? size : (size_t)(end - bytes);
        const size_t used = options.mapping_length + (end == NULL ? 0 : 1);
        bytes += used;
        size -= used;
    }
    struct statement_file *file = statement_read(format, bytes, size, &options, &error);
    assert(file != NULL || error.reason[0] != '\0');
    for (size_t i = 0; file != NULL && i < statement_count(file); i++) {
        check(statement_at(file, i));
    }
    statement_file_free(file);
    return 0;
}
