/*
 * Design: lines of `key = value`, one table of keys.  A key that is not known or stands twice is an
 * error: a mapping with a typing error must not read another column than was meant.
 */
#include "reports/statements/mapping.h"

#include <string.h>

const char *const MAPPING_COLUMN_NAMES[MAPPING_COLUMNS] = {
    [MAPPING_DATE] = "date",
    [MAPPING_VALUE_DATE] = "value_date",
    [MAPPING_AMOUNT] = "amount",
    [MAPPING_CREDIT] = "credit",
    [MAPPING_DEBIT] = "debit",
    [MAPPING_BALANCE] = "balance",
    [MAPPING_CURRENCY] = "currency",
    [MAPPING_REFERENCE] = "reference",
    [MAPPING_BANK_REFERENCE] = "bank_reference",
    [MAPPING_COUNTERPARTY] = "counterparty",
    [MAPPING_TEXT] = "text",
};

struct reading {
    struct mapping *mapping;
    bool delimiter, quote, decimal, group, header, order, skip; /* seen */
};

static const char *read_byte(const char *value, bool *seen, char *byte) {
    const char *reason = *seen ? "stands there twice" : NULL;
    *seen = true;
    if (strcmp(value, "tab") == 0) {
        *byte = '\t';
    } else if (strcmp(value, "space") == 0) {
        *byte = ' ';
    } else if (strcmp(value, "none") == 0) {
        *byte = '\0';
    } else if (strlen(value) == 1 && (unsigned char)*value > ' ' && (unsigned char)*value < 127) {
        *byte = *value;
    } else {
        return "is not one character, tab, space or none";
    }
    return reason;
}

static const char *read_text(const char *value, char text[static MAPPING_VALUE_MAX]) {
    if (text[0] != '\0') {
        return "stands there twice";
    }
    if (value[0] == '\0') {
        return "has no value";
    }
    memcpy(text, value, strlen(value) + 1);
    return NULL;
}

static const char *read_choice(const char *value, bool *seen, const char *yes, const char *no,
                               bool *chosen) {
    if (*seen) {
        return "stands there twice";
    }
    *seen = true;
    *chosen = strcmp(value, yes) == 0;
    return *chosen || strcmp(value, no) == 0 ? NULL : "has another value than those that there are";
}

static const char *read_skip(const char *value, bool *seen, int *skip) {
    if (*seen) {
        return "stands there twice";
    }
    *seen = true;
    *skip = 0;
    for (const char *c = value; *c != '\0'; c++) {
        if (*c < '0' || *c > '9' || *skip > 99) {
            return "is not a number below 1000";
        }
        *skip = *skip * 10 + (*c - '0');
    }
    return NULL;
}

static const char *read_pair(struct reading *reading, const char *key, const char *value) {
    struct mapping *mapping = reading->mapping;
    for (size_t i = 0; i < MAPPING_COLUMNS; i++) {
        if (strcmp(key, MAPPING_COLUMN_NAMES[i]) == 0) {
            return read_text(value, mapping->columns[i]);
        }
    }
    const struct {
        const char *key;
        char *text;
    } texts[] = {{"statement", mapping->statement},
                 {"account", mapping->account},
                 {"opening", mapping->opening},
                 {"closing", mapping->closing},
                 {"date_format", mapping->date_format}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (strcmp(key, texts[i].key) == 0) {
            return read_text(value, texts[i].text);
        }
    }
    const struct {
        const char *key;
        bool *seen;
        char *byte;
    } bytes[] = {{"delimiter", &reading->delimiter, &mapping->delimiter},
                 {"quote", &reading->quote, &mapping->quote},
                 {"decimal", &reading->decimal, &mapping->decimal},
                 {"group", &reading->group, &mapping->group}};
    for (size_t i = 0; i < sizeof(bytes) / sizeof(*bytes); i++) {
        if (strcmp(key, bytes[i].key) == 0) {
            return read_byte(value, bytes[i].seen, bytes[i].byte);
        }
    }
    if (strcmp(key, "header") == 0) {
        return read_choice(value, &reading->header, "yes", "no", &mapping->header);
    }
    if (strcmp(key, "order") == 0) {
        return read_choice(value, &reading->order, "newest-first", "oldest-first",
                           &mapping->newest_first);
    }
    if (strcmp(key, "skip") == 0) {
        return read_skip(value, &reading->skip, &mapping->skip);
    }
    return "is not a key that there is";
}

/* Cuts white space at both ends; the text is NUL-terminated within its buffer. */
static char *trimmed(char *text) {
    while (*text == ' ' || *text == '\t') {
        text++;
    }
    size_t length = strlen(text);
    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t')) {
        text[--length] = '\0';
    }
    return text;
}

static const char *read_line(struct reading *reading, const char *text, size_t length) {
    char copy[MAPPING_VALUE_MAX];
    if (length > 0 && text[length - 1] == '\r') {
        length--;
    }
    if (length >= sizeof(copy) || memchr(text, '\0', length) != NULL) {
        return "is longer than 127 bytes, or has a NUL";
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *key = trimmed(copy);
    if (key[0] == '\0' || key[0] == '#') {
        return NULL;
    }
    char *equals = strchr(key, '=');
    if (equals == NULL) {
        return "is not key = value";
    }
    *equals = '\0';
    char *value = trimmed(equals + 1);
    return read_pair(reading, trimmed(key), value);
}

static const char *check(const struct mapping *mapping) {
    const bool amount = mapping->columns[MAPPING_AMOUNT][0] != '\0';
    const bool two =
        mapping->columns[MAPPING_CREDIT][0] != '\0' && mapping->columns[MAPPING_DEBIT][0] != '\0';
    if (mapping->columns[MAPPING_DATE][0] == '\0') {
        return "the column date is missing";
    }
    if (amount == two) {
        return "either amount, or credit and debit, must be there";
    }
    if (mapping->columns[MAPPING_CURRENCY][0] == '\0') {
        return "the column currency is missing (a fixed one: currency = =EUR)";
    }
    if (mapping->columns[MAPPING_BALANCE][0] == '\0' &&
        (mapping->opening[0] == '\0' || mapping->closing[0] == '\0')) {
        return "either the column balance, or opening and closing, must be there";
    }
    if (mapping->decimal == mapping->group || mapping->delimiter == '\0' ||
        mapping->delimiter == mapping->quote || mapping->decimal == '\0') {
        return "delimiter, quote, decimal and group do not go together";
    }
    return NULL;
}

const char *mapping_read(const char *text, size_t length, struct mapping *mapping, unsigned *line) {
    struct reading reading = {.mapping = mapping};
    *mapping = (struct mapping){
        .delimiter = ',', .quote = '"', .decimal = '.', .group = '\0', .header = true};
    *line = 0;
    for (size_t at = 0; at < length;) {
        const char *stop = memchr(text + at, '\n', length - at);
        const size_t end = stop == NULL ? length : (size_t)(stop - text);
        ++*line;
        const char *reason = read_line(&reading, text + at, end - at);
        if (reason != NULL) {
            return reason;
        }
        at = end + 1;
    }
    *line = 0;
    if (mapping->date_format[0] == '\0') {
        memcpy(mapping->date_format, "YYYY-MM-DD", sizeof("YYYY-MM-DD"));
    }
    return check(mapping);
}
