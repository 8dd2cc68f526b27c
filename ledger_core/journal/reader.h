/*
 * reader: what the API reads from the journal, and the opening of accounts; one pool of
 * connections per thread, each call one short statement, results as typed rows.
 */
#ifndef PACIOLI_JOURNAL_READER_H
#define PACIOLI_JOURNAL_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger_core/engine/posting.h"
#include "service_kit/db.h"

extern const struct db_statement READER_STATEMENTS[];
extern const size_t READER_STATEMENT_COUNT;

/* What every reader call needs. */
struct reader {
    struct db_pool *pool;
    int32_t ledger_id;
};

struct reader_account {
    struct ledger_uuid id, owner;
    bool has_owner;
    char asset[ASSET_CODE_MAX + 1];
    uint8_t decimals;
    enum posting_class class;
    enum posting_status status;
    money_minor posted, held;
    int64_t entries;
};

/* (the calls and their row types follow; see reader.c) */

#endif
