/*
 * CSV (RFC 4180), by a mapping file.
 *
 * Design: a record is split into its fields in place in one buffer, then read by the mapping's
 * columns.  All of the file is one statement.  With a column `balance` every line is held against
 * it, and opening and closing come from its ends; else the mapping states both.
 */
#include <string.h>

#include "reports/statements/builder.h"
#include "reports/statements/mapping.h"

#define COLUMNS_MAX  64
#define RECORD_MAX   16384
#define COLUMN_FIXED 1000 /* not a column: the mapping's own text */
#define COLUMN_NONE  1001

struct csv {
    struct builder *builder;
    struct mapping mapping;
    const char *at, *end;
    unsigned line, record_line;
    char record[RECORD_MAX];
    const char *fields[COLUMNS_MAX];
    size_t field_count;
    size_t columns[MAPPING_COLUMNS];
    bool any;
    money_minor balance; /* after the line before */
    money_minor first_balance, first_amount;
};

static bool fail(struct csv *csv, const char *field, const char *reason) {
    return builder_fail(csv->builder, csv->record_line, field, reason);
}

/* ---- records ---- */

static bool put(struct csv *csv, size_t *used, char byte) {
    if (*used == RECORD_MAX) {
        return fail(csv, "record", "is longer than 16384 bytes");
    }
    csv->record[(*used)++] = byte;
    return true;
}

/* One field, up to its delimiter or the record's end (which is not taken). */
static bool take_field(struct csv *csv, size_t *used) {
    const char quote = csv->mapping.quote;
    bool quoted = false;
    if (csv->at < csv->end && *csv->at == quote && quote != '\0') {
        quoted = true;
        csv->at++;
    }
    while (csv->at < csv->end) {
        const char byte = *csv->at;
        if (byte == '\0') {
            return fail(csv, "record", "has a NUL byte");
        }
        if (quoted && byte == quote) {
            csv->at++;
            if (csv->at == csv->end || *csv->at != quote) {
                quoted = false;
                if (csv->at < csv->end && *csv->at != csv->mapping.delimiter && *csv->at != '\r' &&
                    *csv->at != '\n') {
                    return fail(csv, "record", "has something behind a closing quote");
                }
                continue;
            }
        } else if (!quoted && (byte == csv->mapping.delimiter || byte == '\n' ||
                               (byte == '\r' && csv->at + 1 < csv->end && csv->at[1] == '\n'))) {
            break;
        }
        csv->line += byte == '\n' ? 1 : 0;
        csv->at++;
        if (!put(csv, used, byte)) {
            return false;
        }
    }
    return quoted ? fail(csv, "record", "has a quote that does not close") : true;
}

/* The next record that is not empty; false at the end, or when it failed. */
static bool take_record(struct csv *csv) {
    while (csv->at < csv->end) {
        size_t used = 0;
        csv->record_line = csv->line;
        csv->field_count = 0;
        for (;;) {
            if (csv->field_count == COLUMNS_MAX) {
                return fail(csv, "record", "has more than 64 columns");
            }
            const size_t start = used;
            if (!take_field(csv, &used)) {
                return false;
            }
            if (used == RECORD_MAX) {
                return fail(csv, "record", "is longer than 16384 bytes");
            }
            csv->record[used++] = '\0';
            csv->fields[csv->field_count++] = csv->record + start;
            if (csv->at == csv->end || *csv->at != csv->mapping.delimiter) {
                break;
            }
            csv->at++;
        }
        csv->at += csv->at < csv->end && *csv->at == '\r' ? 1 : 0;
        csv->at += csv->at < csv->end && *csv->at == '\n' ? 1 : 0;
        csv->line++;
        if (csv->field_count > 1 || csv->fields[0][0] != '\0') {
            return true;
        }
    }
    return false;
}

/* ---- columns ---- */

static bool find_column(struct csv *csv, enum mapping_column column) {
    const char *wanted = csv->mapping.columns[column];
    int number;
    if (wanted[0] == '\0') {
        csv->columns[column] = COLUMN_NONE;
        return true;
    }
    if (wanted[0] == '=') {
        csv->columns[column] = COLUMN_FIXED;
        return true;
    }
    if (strlen(wanted) <= 2 && builder_digits(wanted, strlen(wanted), &number) && number > 0) {
        csv->columns[column] = (size_t)number - 1;
        return true;
    }
    bool found = false;
    for (size_t i = 0; csv->mapping.header && i < csv->field_count; i++) {
        if (strcmp(csv->fields[i], wanted) == 0) {
            if (found) {
                return fail(csv, MAPPING_COLUMN_NAMES[column], "two columns have this heading");
            }
            found = true;
            csv->columns[column] = i;
        }
    }
    return found || fail(csv, MAPPING_COLUMN_NAMES[column], "no column has this heading");
}

/* The value of a column in this record; NULL when the record is too short. */
static const char *value_of(struct csv *csv, enum mapping_column column) {
    switch (csv->columns[column]) {
    case COLUMN_NONE:
        return "";
    case COLUMN_FIXED:
        return csv->mapping.columns[column] + 1;
    default:
        if (csv->columns[column] >= csv->field_count) {
            fail(csv, MAPPING_COLUMN_NAMES[column], "the record has no such column");
            return NULL;
        }
        return csv->fields[csv->columns[column]];
    }
}

/* ---- values ---- */

/* A signed amount in the mapping's notation: +, -, a trailing -, or brackets for a negative one. */
static bool read_amount(struct csv *csv, const char *text, const char *field, money_minor *amount) {
    char plain[64] = {0};
    size_t used = 0;
    bool minus = false;
    for (const char *c = text; *c != '\0'; c++) {
        const bool edge = used == 0 || strspn(c, ")- \t") == strlen(c);
        if ((*c == '-' || *c == '(') && edge && !minus) {
            minus = true;
        } else if (*c == csv->mapping.group || ((*c == '+' || *c == ' ') && edge) ||
                   (*c == ')' && text[0] == '(')) {
            continue;
        } else if (used + 1 < sizeof(plain) &&
                   ((*c >= '0' && *c <= '9') || *c == csv->mapping.decimal)) {
            plain[used] = *c;
            if (*c == csv->mapping.decimal) {
                plain[used] = '.';
            }
            used++;
        } else {
            return fail(csv, field, "is not an amount");
        }
    }
    if (!builder_amount(csv->builder, plain, used, csv->record_line, field, amount)) {
        return false;
    }
    *amount = minus ? -*amount : *amount;
    return true;
}

static bool read_date(struct csv *csv, const char *text, const char *field, int32_t *day) {
    int year = 0, month = 0, of_month = 0;
    const char *format = csv->mapping.date_format;
    while (*format != '\0') {
        const size_t width = strncmp(format, "YYYY", 4) == 0 ? 4 : 2;
        int *part = width == 4 || strncmp(format, "YY", 2) == 0 ? &year
                    : strncmp(format, "MM", 2) == 0             ? &month
                    : strncmp(format, "DD", 2) == 0             ? &of_month
                                                                : NULL;
        if (part == NULL) {
            if (*text != *format) {
                return fail(csv, field, "is not a date of the mapping's format");
            }
            text++;
            format++;
            continue;
        }
        if (strlen(text) < width || !builder_digits(text, width, part)) {
            return fail(csv, field, "is not a date of the mapping's format");
        }
        *part += part == &year && width == 2 ? 2000 : 0;
        text += width;
        format += width;
    }
    /* A time of day may stand behind it. */
    if ((*text != '\0' && *text != ' ' && *text != 'T') ||
        !statement_day(year, month, of_month, day)) {
        return fail(csv, field, "is not a date of the mapping's format");
    }
    return true;
}

static bool read_line_amount(struct csv *csv, struct statement_line *line) {
    if (csv->columns[MAPPING_AMOUNT] != COLUMN_NONE) {
        const char *text = value_of(csv, MAPPING_AMOUNT);
        return text != NULL && read_amount(csv, text, "amount", &line->amount);
    }
    const char *credit = value_of(csv, MAPPING_CREDIT), *debit = value_of(csv, MAPPING_DEBIT);
    if (credit == NULL || debit == NULL) {
        return false;
    }
    if ((credit[0] == '\0') == (debit[0] == '\0')) {
        return fail(csv, "credit", "exactly one of credit and debit must be there");
    }
    if (!read_amount(csv, credit[0] != '\0' ? credit : debit, "credit", &line->amount)) {
        return false;
    }
    if (debit[0] != '\0') { /* some write a debit with its minus, some without */
        line->amount = line->amount > 0 ? -line->amount : line->amount;
    }
    return true;
}

/* The running balance must agree with the line before, in the file's order. */
static bool read_balance(struct csv *csv, const struct statement_line *line) {
    const char *text = value_of(csv, MAPPING_BALANCE);
    money_minor balance, other;
    if (csv->columns[MAPPING_BALANCE] == COLUMN_NONE) {
        return true;
    }
    if (text == NULL || !read_amount(csv, text, "balance", &balance)) {
        return false;
    }
    if (csv->any) {
        const struct statement *statement = csv->builder->current;
        const struct statement_line *before = &statement->lines[statement->line_count - 2];
        const bool fits =
            csv->mapping.newest_first
                ? money_subtract(csv->balance, before->amount, &other) && other == balance
                : money_add(csv->balance, line->amount, &other) && other == balance;
        if (!fits) {
            return fail(csv, "balance", "is not the balance before and the amount");
        }
    } else {
        csv->first_balance = balance;
        csv->first_amount = line->amount;
    }
    csv->balance = balance;
    return true;
}

static bool read_texts(struct csv *csv, struct statement_line *line) {
    const char *reference = value_of(csv, MAPPING_REFERENCE);
    const char *bank = value_of(csv, MAPPING_BANK_REFERENCE);
    const char *party = value_of(csv, MAPPING_COUNTERPARTY), *text = value_of(csv, MAPPING_TEXT);
    if (reference == NULL || bank == NULL || party == NULL || text == NULL) {
        return false;
    }
    line->bank_reference = builder_text(csv->builder, bank, strlen(bank));
    line->counterparty = builder_text(csv->builder, party, strlen(party));
    line->text = builder_text(csv->builder, text, strlen(text));
    if (strlen(line->bank_reference) > STATEMENT_REFERENCE_MAX) {
        return fail(csv, "bank_reference", "is longer than 140 bytes");
    }
    return builder_reference(csv->builder, line, reference, strlen(reference), csv->record_line,
                             "reference");
}

static bool read_record(struct csv *csv) {
    const char *currency = value_of(csv, MAPPING_CURRENCY);
    const char *date = value_of(csv, MAPPING_DATE), *value = value_of(csv, MAPPING_VALUE_DATE);
    if (currency == NULL || date == NULL || value == NULL) {
        return false;
    }
    struct statement_line *line = builder_line(csv->builder, csv->record_line);
    if (line == NULL ||
        !builder_currency(csv->builder, currency, strlen(currency), csv->record_line, "currency")) {
        return false;
    }
    if (!read_date(csv, date, "date", &line->booked_on) ||
        (value[0] != '\0' && !read_date(csv, value, "value_date", &line->value_on)) ||
        !read_line_amount(csv, line) || !read_balance(csv, line) || !read_texts(csv, line)) {
        return false;
    }
    csv->any = true;
    return true;
}

/* ---- the statement ---- */

static bool end_statement(struct csv *csv) {
    struct statement *statement = csv->builder->current;
    const struct statement_line *last = &statement->lines[statement->line_count - 1];
    if (csv->mapping.opening[0] != '\0') {
        if (!read_amount(csv, csv->mapping.opening, "opening", &statement->opening)) {
            return false;
        }
    } else {
        const money_minor balance = csv->mapping.newest_first ? csv->balance : csv->first_balance;
        const money_minor amount = csv->mapping.newest_first ? last->amount : csv->first_amount;
        if (!money_subtract(balance, amount, &statement->opening)) {
            return fail(csv, "balance", "is too large");
        }
    }
    if (csv->mapping.closing[0] == '\0') {
        statement->closing = csv->mapping.newest_first ? csv->first_balance : csv->balance;
    } else if (!read_amount(csv, csv->mapping.closing, "closing", &statement->closing)) {
        return false;
    }
    statement->opened_on = statement->closed_on = statement->lines[0].booked_on;
    for (size_t i = 0; i < statement->line_count; i++) {
        const int32_t day = statement->lines[i].booked_on;
        statement->opened_on = day < statement->opened_on ? day : statement->opened_on;
        statement->closed_on = day > statement->closed_on ? day : statement->closed_on;
    }
    char name[2 * STATEMENT_DATE_TEXT + 1];
    statement_date_format(statement->opened_on, name);
    name[STATEMENT_DATE_TEXT - 1] = '/';
    statement_date_format(statement->closed_on, name + STATEMENT_DATE_TEXT);
    const char *given = csv->mapping.statement;
    statement->reference = builder_text(csv->builder, given[0] == '\0' ? name : given,
                                        strlen(given[0] == '\0' ? name : given));
    statement->account =
        builder_text(csv->builder, csv->mapping.account, strlen(csv->mapping.account));
    return builder_finish(csv->builder);
}

bool csv_read(struct builder *builder, const char *bytes, size_t length) {
    struct csv csv = {.builder = builder, .at = bytes, .end = bytes + length, .line = 1};
    unsigned line;
    if (builder->options->mapping == NULL) {
        return builder_fail(builder, 0, "mapping", "is missing: CSV needs a mapping file");
    }
    const char *reason = mapping_read(builder->options->mapping, builder->options->mapping_length,
                                      &csv.mapping, &line);
    if (reason != NULL) {
        return builder_fail(builder, line, "mapping", reason);
    }
    if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
        csv.at += 3;
    }
    for (int i = 0; i < csv.mapping.skip && csv.at < csv.end; i++) {
        const char *stop = memchr(csv.at, '\n', (size_t)(csv.end - csv.at));
        csv.at = stop == NULL ? csv.end : stop + 1;
        csv.line++;
    }
    csv.field_count = 0;
    if (csv.mapping.header && !take_record(&csv)) {
        return builder->failed ? false : fail(&csv, "header", "is missing");
    }
    for (size_t i = 0; i < MAPPING_COLUMNS; i++) {
        if (!find_column(&csv, (enum mapping_column)i)) {
            return false;
        }
    }
    if (builder_statement(builder, csv.line) == NULL) {
        return false;
    }
    while (take_record(&csv)) {
        if (!read_record(&csv)) {
            return false;
        }
    }
    if (!builder->failed && !csv.any) {
        return fail(&csv, "file", "has no line");
    }
    return !builder->failed && end_statement(&csv);
}
