/*
 * mapping: how a CSV file is to be read, from the text of a mapping file (README.md describes it).
 */
#ifndef PACIOLI_STATEMENTS_MAPPING_H
#define PACIOLI_STATEMENTS_MAPPING_H

#include <stdbool.h>
#include <stddef.h>

#define MAPPING_VALUE_MAX 128

/* The columns that a mapping can name. */
enum mapping_column {
    MAPPING_DATE,
    MAPPING_VALUE_DATE,
    MAPPING_AMOUNT,
    MAPPING_CREDIT,
    MAPPING_DEBIT,
    MAPPING_BALANCE,
    MAPPING_CURRENCY,
    MAPPING_REFERENCE,
    MAPPING_BANK_REFERENCE,
    MAPPING_COUNTERPARTY,
    MAPPING_TEXT,
    MAPPING_COLUMNS,
};

struct mapping {
    /* A column: its heading, its number from 1, or "=" and a fixed text; "": not there. */
    char columns[MAPPING_COLUMNS][MAPPING_VALUE_MAX];
    char statement[MAPPING_VALUE_MAX]; /* what the statement is called; "": its dates */
    char account[MAPPING_VALUE_MAX];
    char opening[MAPPING_VALUE_MAX], closing[MAPPING_VALUE_MAX];
    char date_format[MAPPING_VALUE_MAX]; /* YYYY, MM, DD and what stands between them */
    char delimiter, quote;
    char decimal, group; /* group '\0': none */
    bool header;
    bool newest_first;
    int skip; /* lines before the header */
};

extern const char *const MAPPING_COLUMN_NAMES[MAPPING_COLUMNS];

/* Returns NULL, or what is wrong with line *line. */
const char *mapping_read(const char *text, size_t length, struct mapping *mapping, unsigned *line);

#endif
