/*
 * reader: what the API reads from the journal, and the opening of accounts; one pool of
 * connections per thread, each call one short statement, results as typed rows.
 *
 * A caller embeds a `reader_call` in memory that lives until on_result, which is called exactly
 * once, in the loop's thread.  Rows belong to the reader and are gone after on_result.
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

/* For the `options` of the pool's db_settings: every statement finds its rows by an index. */
#define READER_OPTIONS                                                                             \
    "-c plan_cache_mode=force_generic_plan -c jit=off -c enable_seqscan=off"                       \
    " -c enable_hashjoin=off -c enable_mergejoin=off -c enable_bitmapscan=off"

/* Most accounts of one owner that reader_accounts lists. */
#define READER_ACCOUNTS_MAX 10000
/* Most lines of one page of history. */
#define READER_PAGE_MAX 100
/* Most entries of one transaction that reader_transaction returns. */
#define READER_ENTRIES_MAX 1000
/* For reader_history: the page begins at the newest line. */
#define READER_NEWEST INT64_MAX

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
    int64_t created_at_us; /* since 1970-01-01 UTC */
};

enum reader_kind {
    READER_DEPOSIT,
    READER_WITHDRAW,
    READER_TRANSFER,
    READER_REVERSAL,
    READER_ADJUSTMENT,
};

/* One entry of an account, in its history. */
struct reader_line {
    int64_t seq;
    struct ledger_uuid transaction_id;
    enum reader_kind kind;
    money_minor amount; /* debit positive */
    int64_t created_at_us, effective_at_us;
};

/* One entry of a transaction, with what it says about its account. */
struct reader_entry {
    struct ledger_uuid account_id, owner;
    bool has_owner;
    enum posting_class class;
    char asset[ASSET_CODE_MAX + 1];
    uint8_t decimals;
    money_minor amount, balance_after; /* debit positive */
};

struct reader_transaction {
    struct ledger_uuid id, reverses, reversed_by;
    bool has_reverses, was_reversed;
    enum reader_kind kind;
    int64_t created_at_us, effective_at_us;
};

enum reader_end {
    READER_OK,
    READER_NOT_FOUND,         /* the account or transaction is missing, or not the owner's */
    READER_NO_ASSET,          /* reader_open: the ledger has no asset of that code */
    READER_TOO_MANY_ACCOUNTS, /* reader_open: the owner has `accounts_max` already */
    READER_UNAVAILABLE,       /* not now, or no answer from the database; nothing was written */
    READER_UNKNOWN,           /* reader_open: the connection broke, it may be open or not */
    READER_FAILED,            /* the database refused, or sent what it should not; see `reason` */
};

struct reader_result {
    enum reader_end end;
    const char *reason; /* UNAVAILABLE, UNKNOWN, FAILED: for the log, never for a client */
    const struct reader_account *accounts; /* READER_OK: of all calls but reader_transaction */
    size_t account_count;
    const struct reader_line *lines; /* reader_history, newest first */
    size_t line_count;
    const struct reader_transaction *transaction; /* reader_transaction */
    const struct reader_entry *entries;           /* debits first */
    size_t entry_count;
};

enum reader_query {
    READER_QUERY_ACCOUNTS,
    READER_QUERY_ACCOUNT,
    READER_QUERY_OPEN,
    READER_QUERY_HISTORY,
    READER_QUERY_TRANSACTION,
    READER_QUERY_COUNT
};

struct reader_call {
    /* Filled by the caller. */
    void (*on_result)(struct reader_call *call, const struct reader_result *result);
    void *owner;
    /* The reader's own. */
    enum reader_query query;
    struct reader_account opened;
    struct ledger_uuid id;
};

/* Each returns false when the pool has no room or no connection: answer 503 at once, on_result is
 * not called. */

/* The accounts of an owner, oldest first. */
__attribute__((warn_unused_result)) bool reader_accounts(const struct reader *reader,
                                                         struct reader_call *call,
                                                         const struct ledger_uuid *owner);
/* One account, if it is the owner's. */
__attribute__((warn_unused_result)) bool reader_account(const struct reader *reader,
                                                        struct reader_call *call,
                                                        const struct ledger_uuid *owner,
                                                        const struct ledger_uuid *account);
/*
 * Opens a wallet (class liability, floor 0) with the id given.  `accounts_max` holds for accounts
 * opened one after the other; calls of one owner at the same time may each pass it by one.
 */
__attribute__((warn_unused_result)) bool
reader_open(const struct reader *reader, struct reader_call *call, const struct ledger_uuid *owner,
            const struct ledger_uuid *account, const char *asset, int64_t accounts_max);
/*
 * A page of the history of an owner's account: of its lines with seq <= `newest`, newest first,
 * skips `offset` and returns `limit` (1..READER_PAGE_MAX).  The result's only account is this one,
 * in the same snapshot; its id, owner, asset, decimals, class and entries are filled.
 */
__attribute__((warn_unused_result)) bool
reader_history(const struct reader *reader, struct reader_call *call,
               const struct ledger_uuid *owner, const struct ledger_uuid *account, int64_t newest,
               int64_t offset, int64_t limit);
/* A transaction with its entries, if one of them is on an account of the owner's. */
__attribute__((warn_unused_result)) bool reader_transaction(const struct reader *reader,
                                                            struct reader_call *call,
                                                            const struct ledger_uuid *owner,
                                                            const struct ledger_uuid *id);

#endif
