/*
 * statement: a bank's statement of an account, whatever format it came in.
 *
 * Pure: bytes in, structure or one named error out; no file, clock or database.  Amounts are exact
 * minor units, signed as the account's holder sees them: money that came in is positive, which is
 * also the sign of the entry (a debit) on the settlement account.  Days are counted from
 * 1970-01-01.  Texts are UTF-8 without control characters and belong to the file.
 */
#ifndef PACIOLI_STATEMENTS_STATEMENT_H
#define PACIOLI_STATEMENTS_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger_core/engine/money.h"

#define STATEMENT_FILE_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define STATEMENT_COUNT_MAX      1000
#define STATEMENT_LINES_MAX      500000 /* in one file */
#define STATEMENT_TEXT_MAX       1000   /* bytes of one text; the rest is cut */
#define STATEMENT_REFERENCES_MAX 4      /* that a line is matched by */
#define STATEMENT_REFERENCE_MAX  140    /* bytes of one reference; a longer one is refused */
#define STATEMENT_NO_DATE        INT32_MIN
#define STATEMENT_DATE_TEXT      11 /* "2026-11-25" and its NUL */

struct statement_line {
    int32_t booked_on, value_on; /* value_on may be STATEMENT_NO_DATE */
    money_minor amount;
    const char *references[STATEMENT_REFERENCES_MAX]; /* of the payment, not of the bank */
    size_t reference_count;
    const char *bank_reference; /* the bank's own, or "" */
    const char *counterparty;
    const char *text;
    bool reversal;     /* the bank says that it undoes an earlier line */
    unsigned position; /* line in the file, from 1 */
};

struct statement {
    const char *account;   /* the bank's number of the account, or "" */
    const char *reference; /* what the bank calls this statement */
    int64_t sequence;      /* 0: the format or the bank has none */
    char currency[17];
    int32_t opened_on, closed_on;
    money_minor opening, closing;
    bool opening_derived; /* the format has no opening balance: it was counted back */
    struct statement_line *lines;
    size_t line_count, line_room;
    unsigned position;
};

struct statement_error {
    unsigned line;    /* in the file, from 1; 0: the file as a whole */
    char field[48];   /* "Ntry/Amt", ":61:", "column 3" */
    char reason[160]; /* English, free of the file's bytes */
};

enum statement_format {
    STATEMENT_UNKNOWN,
    STATEMENT_CAMT053,
    STATEMENT_MT940,
    STATEMENT_OFX,
    STATEMENT_CSV,
};

struct statement_options {
    /* The decimals of a currency, or -1 when the ledger does not have it. */
    int (*decimals)(void *owner, const char *currency);
    void *owner;
    const char *mapping; /* CSV: the text of the mapping file */
    size_t mapping_length;
};

struct statement_file; /* owns everything below it */

/* What the first bytes look like; CSV is never guessed. */
enum statement_format statement_detect(const char *bytes, size_t length);
const char *statement_format_name(enum statement_format format);
enum statement_format statement_format_named(const char *name);

/* All of the file, checked (statement_check), or NULL and *error. */
struct statement_file *statement_read(enum statement_format format, const char *bytes,
                                      size_t length, const struct statement_options *options,
                                      struct statement_error *error);
void statement_file_free(struct statement_file *file); /* NULL is fine */
size_t statement_count(const struct statement_file *file);
const struct statement *statement_at(const struct statement_file *file, size_t index);

/* "2026-11-25"; and the day of a calendar date, false when there is no such date. */
void statement_date_format(int32_t day, char text[static STATEMENT_DATE_TEXT]);
__attribute__((warn_unused_result)) bool statement_day(int year, int month, int day, int32_t *out);

#endif
