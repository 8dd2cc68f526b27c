/*
 * account_cache: what one poster remembers of accounts after its own commits: attributes, snapshot,
 * and where the snapshot's row lies.
 *
 * It is a hint and never the truth: whoever posts on it compares the whole snapshot and its
 * revision in the database while moving it (batch.c).  Pure; one thread.
 */
#ifndef PACIOLI_JOURNAL_ACCOUNT_CACHE_H
#define PACIOLI_JOURNAL_ACCOUNT_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger_core/engine/posting.h"
#include "ledger_core/journal/wire.h"

/* What a writer knows of an account beside what the engine asks. */
struct account_row {
    uint8_t address[WIRE_TID_SIZE]; /* of its snapshot's row */
    bool settlement;                /* its asset's settlement account */
    int64_t revision;               /* moves with status, floor and held */
    money_minor was_posted;         /* the snapshot as it stands in the database */
    int64_t was_entries;
};

struct cached_account {
    struct posting_account account;
    struct account_row row;
    bool known;
    uint64_t mark; /* the caller's: has this one been seen in the present pass? */
};

struct account_cache;

/* At most `accounts_max` accounts; memory is touched as it fills. */
struct account_cache *account_cache_create(size_t accounts_max);
void account_cache_free(struct account_cache *cache);
/* NULL: not known.  Valid until the next put. */
struct cached_account *account_cache_find(struct account_cache *cache,
                                          const struct ledger_uuid *id);
struct cached_account *account_cache_settlement(struct account_cache *cache, const char *asset);
/* Remembers it as it is now.  When there is no room left, everything else is forgotten first. */
void account_cache_put(struct account_cache *cache, const struct posting_account *account,
                       const struct account_row *row);
void account_cache_forget(struct account_cache *cache, const struct ledger_uuid *id);
void account_cache_forget_all(struct account_cache *cache);
size_t account_cache_count(const struct account_cache *cache);

#endif
