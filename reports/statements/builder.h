/*
 * builder: what the readers of the formats share: making the structure within its limits, and
 * reading dates, amounts and texts.  Every function that can fail has written *error then.
 */
#ifndef PACIOLI_STATEMENTS_BUILDER_H
#define PACIOLI_STATEMENTS_BUILDER_H

#include "reports/statements/statement.h"

struct builder {
    struct statement_file *file;
    struct statement *current; /* the statement being read, or NULL */
    const struct statement_options *options;
    struct statement_error *error;
    int decimals; /* of the current statement's currency, -1: not known yet */
    bool failed;
};

/* Writes the error once, the first one stays; returns false. */
bool builder_fail(struct builder *builder, unsigned line, const char *field, const char *reason);

/* A new statement becomes the current one; a new line of the current one. NULL: too many. */
struct statement *builder_statement(struct builder *builder, unsigned position);
struct statement_line *builder_line(struct builder *builder, unsigned position);
/* Ends the current statement: checks it. */
bool builder_finish(struct builder *builder);

/* A copy without control characters and outer white space; bytes that are not UTF-8 are Latin-1. */
const char *builder_text(struct builder *builder, const char *text, size_t length);
/* Adds a reference to the line, unless it is empty, a filler or already there. */
bool builder_reference(struct builder *builder, struct statement_line *line, const char *text,
                       size_t length, unsigned position, const char *field);

bool builder_currency(struct builder *builder, const char *text, size_t length, unsigned position,
                      const char *field);
/* An unsigned amount of the current currency: leading zeros and either point are allowed. */
bool builder_amount(struct builder *builder, const char *text, size_t length, unsigned position,
                    const char *field, money_minor *minor);
/* "YYYY-MM-DD..." (dashed) or "YYYYMMDD...": what stands behind is not looked at. */
bool builder_date(struct builder *builder, const char *text, size_t length, bool dashed,
                  unsigned position, const char *field, int32_t *day);
/* `count` digits as a number; false when they are not digits. */
bool builder_digits(const char *text, size_t count, int *value);

/* The readers. */
bool camt053_read(struct builder *builder, const char *bytes, size_t length);
bool mt940_read(struct builder *builder, const char *bytes, size_t length);
bool ofx_read(struct builder *builder, const char *bytes, size_t length);
bool csv_read(struct builder *builder, const char *bytes, size_t length);

#endif
