/*
 * batch_statements: what the posting connection prepares, in PostgreSQL's SQL.
 */
#ifndef PACIOLI_JOURNAL_BATCH_STATEMENTS_H
#define PACIOLI_JOURNAL_BATCH_STATEMENTS_H

#include <stddef.h>

#include "service_kit/db.h"

extern const struct db_statement BATCH_STATEMENTS[];
extern const size_t BATCH_STATEMENT_COUNT;

#endif
