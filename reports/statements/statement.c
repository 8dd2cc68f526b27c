/*
 * Design: a reader per format fills one structure through the builder.  What all formats must hold
 * is checked here, once: opening and lines make the closing balance, dates are in order, currency
 * and amounts are exact.  Texts live in one chain of chunks, freed with the file.
 */
#include "reports/statements/statement.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "ledger_core/engine/asset.h"
#include "reports/statements/builder.h"
#include "service_kit/memory.h"
#include "service_kit/utf8.h"

#define CHUNK_SIZE 16384U

struct chunk {
    struct chunk *next;
    size_t size, used;
    char bytes[];
};

struct statement_file {
    struct statement *statements;
    size_t count, room;
    size_t lines;
    struct chunk *chunks;
};

static const char *const FORMAT_NAMES[] = {
    [STATEMENT_UNKNOWN] = "unknown", [STATEMENT_CAMT053] = "camt053", [STATEMENT_MT940] = "mt940",
    [STATEMENT_OFX] = "ofx",         [STATEMENT_CSV] = "csv",
};

/* ---- formats ---- */

const char *statement_format_name(enum statement_format format) {
    return FORMAT_NAMES[format];
}

enum statement_format statement_format_named(const char *name) {
    for (size_t i = STATEMENT_UNKNOWN + 1; i < sizeof(FORMAT_NAMES) / sizeof(*FORMAT_NAMES); i++) {
        if (strcmp(name, FORMAT_NAMES[i]) == 0) {
            return (enum statement_format)i;
        }
    }
    return STATEMENT_UNKNOWN;
}

enum statement_format statement_detect(const char *bytes, size_t length) {
    const size_t head = length < 4096 ? length : 4096;
    if (length >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0)) {
        return STATEMENT_CAMT053; /* UTF-16: XML; libxml2 finds out whether it is */
    }
    if (memmem(bytes, head, "OFXHEADER", 9) != NULL || memmem(bytes, head, "<OFX>", 5) != NULL) {
        return STATEMENT_OFX;
    }
    if (memmem(bytes, head, "<?xml", 5) != NULL || memmem(bytes, head, "<Document", 9) != NULL) {
        return STATEMENT_CAMT053;
    }
    if (memmem(bytes, head, ":20:", 4) != NULL && memmem(bytes, length, ":60", 3) != NULL) {
        return STATEMENT_MT940;
    }
    return STATEMENT_UNKNOWN;
}

/* ---- dates ---- */

static bool is_leap(int year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

bool statement_day(int year, int month, int day, int32_t *out) {
    static const int days_of[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (year < 1900 || year > 9999 || month < 1 || month > 12 || day < 1 ||
        day > days_of[month - 1] + (month == 2 && is_leap(year) ? 1 : 0)) {
        return false;
    }
    /* Years begin in March, so that the leap day is the last. */
    const int y = month <= 2 ? year - 1 : year;
    const int m = (month + 9) % 12;
    const int of_year = (153 * m + 2) / 5 + day - 1;
    *out = y * 365 + y / 4 - y / 100 + y / 400 + of_year - 719468;
    return true;
}

void statement_date_format(int32_t day, char text[static STATEMENT_DATE_TEXT]) {
    const int z = day + 719468;
    const int era = z / 146097, of_era = z % 146097;
    const int of_cycle = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const int of_year = of_era - (365 * of_cycle + of_cycle / 4 - of_cycle / 100);
    const int m = (5 * of_year + 2) / 153;
    const int month = m < 10 ? m + 3 : m - 9;
    const int year = of_cycle + era * 400 + (month <= 2 ? 1 : 0);
    const int of_month = of_year - (153 * m + 2) / 5 + 1;
    assert(year >= 0 && year <= 9999);
    (void)snprintf(text, STATEMENT_DATE_TEXT, "%04u-%02u-%02u", (unsigned)year % 10000U,
                   (unsigned)month % 100U, (unsigned)of_month % 100U);
}

bool builder_digits(const char *text, size_t count, int *value) {
    int read = 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        read = read * 10 + (text[i] - '0');
    }
    *value = read;
    return count > 0;
}

bool builder_date(struct builder *builder, const char *text, size_t length, bool dashed,
                  unsigned position, const char *field, int32_t *day) {
    const size_t month_at = dashed ? 5 : 4, day_at = dashed ? 8 : 6;
    int year, month, of_month;
    if (length < day_at + 2 || (dashed && (text[4] != '-' || text[7] != '-')) ||
        !builder_digits(text, 4, &year) || !builder_digits(text + month_at, 2, &month) ||
        !builder_digits(text + day_at, 2, &of_month) ||
        !statement_day(year, month, of_month, day)) {
        return builder_fail(builder, position, field, "is not a date");
    }
    return true;
}

/* ---- the builder ---- */

bool builder_fail(struct builder *builder, unsigned line, const char *field, const char *reason) {
    if (!builder->failed) {
        builder->failed = true;
        builder->error->line = line;
        (void)snprintf(builder->error->field, sizeof(builder->error->field), "%s", field);
        (void)snprintf(builder->error->reason, sizeof(builder->error->reason), "%s", reason);
    }
    return false;
}

struct statement *builder_statement(struct builder *builder, unsigned position) {
    struct statement_file *file = builder->file;
    if (file->count == STATEMENT_COUNT_MAX) {
        builder_fail(builder, position, "statement", "there are more than 1000 in the file");
        return NULL;
    }
    if (file->count == file->room) {
        file->room = file->room == 0 ? 4 : file->room * 2;
        file->statements = memory_resize(file->statements, file->room * sizeof(*file->statements));
    }
    struct statement *statement = &file->statements[file->count++];
    *statement = (struct statement){.account = "",
                                    .reference = "",
                                    .opened_on = STATEMENT_NO_DATE,
                                    .closed_on = STATEMENT_NO_DATE,
                                    .position = position};
    builder->current = statement;
    builder->decimals = -1;
    return statement;
}

struct statement_line *builder_line(struct builder *builder, unsigned position) {
    struct statement *statement = builder->current;
    if (builder->file->lines == STATEMENT_LINES_MAX) {
        builder_fail(builder, position, "line", "there are more than 500000 in the file");
        return NULL;
    }
    if (statement->line_count == statement->line_room) {
        statement->line_room = statement->line_room == 0 ? 16 : statement->line_room * 2;
        statement->lines =
            memory_resize(statement->lines, statement->line_room * sizeof(*statement->lines));
    }
    builder->file->lines++;
    struct statement_line *line = &statement->lines[statement->line_count++];
    *line = (struct statement_line){.booked_on = STATEMENT_NO_DATE,
                                    .value_on = STATEMENT_NO_DATE,
                                    .bank_reference = "",
                                    .counterparty = "",
                                    .text = "",
                                    .position = position};
    return line;
}

static char *allocate_text(struct statement_file *file, size_t size) {
    struct chunk *chunk = file->chunks;
    if (chunk == NULL || chunk->size - chunk->used < size) {
        const size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
        chunk = memory_allocate(1, sizeof(*chunk) + room);
        chunk->size = room;
        chunk->next = file->chunks;
        file->chunks = chunk;
    }
    char *text = chunk->bytes + chunk->used;
    chunk->used += size;
    return text;
}

static bool is_utf8(const char *text, size_t length) {
    uint32_t code_point;
    for (size_t i = 0; i < length;) {
        const size_t step = utf8_sequence(text + i, length - i, &code_point);
        if (step == 0) {
            return false;
        }
        i += step;
    }
    return true;
}

/* Appends a code point below U+0800, or the bytes of a longer one as they are. */
static size_t put_code_point(char *to, const char *from, size_t step, uint32_t code_point) {
    if (code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0)) {
        *to = ' ';
        return 1;
    }
    if (step > 1 || code_point < 0x80) {
        memcpy(to, from, step);
        return step;
    }
    to[0] = (char)(0xc0U | code_point >> 6);
    to[1] = (char)(0x80U | (code_point & 0x3fU));
    return 2;
}

const char *builder_text(struct builder *builder, const char *text, size_t length) {
    while (length > 0 && (unsigned char)text[0] <= ' ') {
        text++;
        length--;
    }
    while (length > 0 && (unsigned char)text[length - 1] <= ' ') {
        length--;
    }
    if (length == 0) {
        return "";
    }
    const bool utf8 = is_utf8(text, length);
    char buffer[STATEMENT_TEXT_MAX + 4];
    size_t used = 0;
    for (size_t i = 0; i < length && used < STATEMENT_TEXT_MAX;) {
        uint32_t code_point = (unsigned char)text[i];
        const size_t step = utf8 ? utf8_sequence(text + i, length - i, &code_point) : 1;
        if (used + step > STATEMENT_TEXT_MAX) {
            break;
        }
        used += put_code_point(buffer + used, text + i, step, code_point);
        i += step;
    }
    char *copy = allocate_text(builder->file, used + 1);
    memcpy(copy, buffer, used);
    copy[used] = '\0';
    return copy;
}

/* Banks write these where a payment has no reference. */
static bool is_filler(const char *text) {
    return strcasecmp(text, "NONREF") == 0 || strcasecmp(text, "NOTPROVIDED") == 0 ||
           strcasecmp(text, "NOREF") == 0 || strcasecmp(text, "NONE") == 0;
}

bool builder_reference(struct builder *builder, struct statement_line *line, const char *text,
                       size_t length, unsigned position, const char *field) {
    const char *reference = builder_text(builder, text, length);
    if (reference[0] == '\0' || is_filler(reference)) {
        return true;
    }
    if (strlen(reference) > STATEMENT_REFERENCE_MAX) {
        return builder_fail(builder, position, field, "is longer than 140 bytes");
    }
    for (size_t i = 0; i < line->reference_count; i++) {
        if (strcmp(line->references[i], reference) == 0) {
            return true;
        }
    }
    if (line->reference_count < STATEMENT_REFERENCES_MAX) {
        line->references[line->reference_count++] = reference;
    }
    return true;
}

bool builder_currency(struct builder *builder, const char *text, size_t length, unsigned position,
                      const char *field) {
    struct statement *statement = builder->current;
    if (!asset_code_valid(text, length)) {
        return builder_fail(builder, position, field, "is not a currency code");
    }
    if (statement->currency[0] != '\0') {
        if (strlen(statement->currency) == length &&
            memcmp(statement->currency, text, length) == 0) {
            return true;
        }
        return builder_fail(builder, position, field, "is another currency than the statement's");
    }
    memcpy(statement->currency, text, length);
    statement->currency[length] = '\0';
    builder->decimals = builder->options->decimals(builder->options->owner, statement->currency);
    if (builder->decimals < 0 || builder->decimals > MONEY_DECIMALS_MAX) {
        return builder_fail(builder, position, field,
                            "is a currency that the ledger does not have");
    }
    return true;
}

bool builder_amount(struct builder *builder, const char *text, size_t length, unsigned position,
                    const char *field, money_minor *minor) {
    char plain[64];
    if (builder->decimals < 0) {
        return builder_fail(builder, position, field, "stands before the currency is known");
    }
    while (length > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9') {
        text++;
        length--;
    }
    if (length == 0 || length >= sizeof(plain)) {
        return builder_fail(builder, position, field, "is not an amount");
    }
    memcpy(plain, text, length);
    for (size_t i = 0; i < length; i++) {
        if (plain[i] == ',') {
            plain[i] = '.';
        }
    }
    if (plain[length - 1] == '.') { /* MT940 writes "100," */
        length--;
    }
    struct money_decimal decimal;
    if (money_parse(plain, length, &decimal) != MONEY_PARSED) {
        return builder_fail(builder, position, field, "is not an amount");
    }
    switch (money_scale(money_canonical(decimal), (uint8_t)builder->decimals, minor)) {
    case MONEY_SCALE_TOO_PRECISE:
        return builder_fail(builder, position, field, "has more decimals than the currency");
    case MONEY_SCALE_OVERFLOW:
        return builder_fail(builder, position, field, "is too large");
    case MONEY_SCALED:
        break;
    }
    return true;
}

/* ---- the whole ---- */

static bool check_lines(struct builder *builder, const struct statement *statement,
                        money_minor *sum) {
    *sum = 0;
    for (size_t i = 0; i < statement->line_count; i++) {
        const struct statement_line *line = &statement->lines[i];
        if (line->booked_on == STATEMENT_NO_DATE) {
            return builder_fail(builder, line->position, "booking date", "is missing");
        }
        if (line->amount == 0) {
            return builder_fail(builder, line->position, "amount", "is zero");
        }
        if (!money_add(*sum, line->amount, sum)) {
            return builder_fail(builder, line->position, "amount", "makes the sum too large");
        }
    }
    return true;
}

bool builder_finish(struct builder *builder) {
    struct statement *statement = builder->current;
    const unsigned position = statement->position;
    builder->current = NULL;
    if (statement->currency[0] == '\0') {
        return builder_fail(builder, position, "currency", "is missing");
    }
    if (statement->reference[0] == '\0') {
        return builder_fail(builder, position, "statement id", "is missing");
    }
    if (strlen(statement->reference) > STATEMENT_REFERENCE_MAX ||
        strlen(statement->account) > STATEMENT_REFERENCE_MAX) {
        return builder_fail(builder, position, "statement id", "is longer than 140 bytes");
    }
    if (statement->closed_on == STATEMENT_NO_DATE || statement->opened_on == STATEMENT_NO_DATE) {
        return builder_fail(builder, position, "date of the balance", "is missing");
    }
    if (statement->opened_on > statement->closed_on) {
        return builder_fail(builder, position, "date of the balance",
                            "the closing balance is older than the opening one");
    }
    money_minor sum, closing;
    if (!check_lines(builder, statement, &sum)) {
        return false;
    }
    if (statement->opening_derived) {
        return money_subtract(statement->closing, sum, &statement->opening) ||
               builder_fail(builder, position, "closing balance", "makes the sum too large");
    }
    if (!money_add(statement->opening, sum, &closing) || closing != statement->closing) {
        return builder_fail(builder, position, "closing balance",
                            "is not the opening balance and the sum of the lines");
    }
    return true;
}

struct statement_file *statement_read(enum statement_format format, const char *bytes,
                                      size_t length, const struct statement_options *options,
                                      struct statement_error *error) {
    struct builder builder = {.file = memory_allocate(1, sizeof(struct statement_file)),
                              .options = options,
                              .error = error,
                              .decimals = -1};
    *error = (struct statement_error){0};
    bool read = false;
    if (length > STATEMENT_FILE_BYTES_MAX) {
        builder_fail(&builder, 0, "file", "is larger than 64 MiB");
    } else {
        switch (format) {
        case STATEMENT_CAMT053:
            read = camt053_read(&builder, bytes, length);
            break;
        case STATEMENT_MT940:
            read = mt940_read(&builder, bytes, length);
            break;
        case STATEMENT_OFX:
            read = ofx_read(&builder, bytes, length);
            break;
        case STATEMENT_CSV:
            read = csv_read(&builder, bytes, length);
            break;
        case STATEMENT_UNKNOWN:
            builder_fail(&builder, 0, "file", "its format is not known");
            break;
        }
    }
    if (read && builder.file->count == 0) {
        read = builder_fail(&builder, 0, "file", "has no statement");
    }
    if (!read) {
        assert(builder.failed);
        statement_file_free(builder.file);
        return NULL;
    }
    assert(!builder.failed);
    return builder.file;
}

void statement_file_free(struct statement_file *file) {
    if (file == NULL) {
        return;
    }
    for (size_t i = 0; i < file->count; i++) {
        free(file->statements[i].lines);
    }
    while (file->chunks != NULL) {
        struct chunk *next = file->chunks->next;
        free(file->chunks);
        file->chunks = next;
    }
    free(file->statements);
    free(file);
}

size_t statement_count(const struct statement_file *file) {
    return file->count;
}

const struct statement *statement_at(const struct statement_file *file, size_t index) {
    assert(index < file->count);
    return &file->statements[index];
}
