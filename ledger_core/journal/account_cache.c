/*
 * Design.  Accounts lie in one array in the order in which they came; a table of indexes, twice
 * their number and probed linearly, finds them by id.  Ids are made by the service from random
 * bits, so eight bytes of one are its hash.  An account that is forgotten keeps its place until it
 * is put again or the whole is forgotten, so nothing is ever removed from the table.  A full cache
 * starts anew: with more accounts in use than it holds there is little to remember anyway.
 */
#include "ledger_core/journal/account_cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "service_kit/memory.h"

/* Settlement accounts that are remembered: one for each currency in use. */
#define SETTLEMENTS_MAX 256

struct account_cache {
    size_t accounts_max, count;
    size_t slot_mask;
    uint32_t *slots; /* index + 1; 0: empty */
    struct cached_account *accounts;
    uint32_t settlements[SETTLEMENTS_MAX];
    size_t settlement_count;
};

struct account_cache *account_cache_create(size_t accounts_max) {
    assert(accounts_max > 0 && accounts_max <= UINT32_MAX / 4);
    struct account_cache *cache = memory_allocate(1, sizeof(*cache));
    cache->accounts_max = accounts_max;
    size_t slots = 2;
    while (slots < 2 * accounts_max)
        slots *= 2;
    cache->slot_mask = slots - 1;
    cache->slots = memory_allocate(slots, sizeof(*cache->slots));
    cache->accounts = memory_allocate(accounts_max, sizeof(*cache->accounts));
    return cache;
}

void account_cache_free(struct account_cache *cache) {
    if (cache == NULL)
        return;
    free(cache->slots);
    free(cache->accounts);
    free(cache);
}

/* Its slot: the one that holds it, or the empty one where it belongs. */
static uint32_t *slot_of(const struct account_cache *cache, const struct ledger_uuid *id) {
    uint64_t hash;
    memcpy(&hash, id->bytes + sizeof(id->bytes) - sizeof(hash), sizeof(hash));
    for (size_t i = (size_t)hash & cache->slot_mask;; i = (i + 1) & cache->slot_mask) {
        uint32_t *slot = &cache->slots[i];
        if (*slot == 0 || memcmp(&cache->accounts[*slot - 1].account.id, id, sizeof(*id)) == 0)
            return slot;
    }
}

struct cached_account *account_cache_find(struct account_cache *cache,
                                          const struct ledger_uuid *id) {
    const uint32_t *slot = slot_of(cache, id);
    if (*slot == 0 || !cache->accounts[*slot - 1].known)
        return NULL;
    return &cache->accounts[*slot - 1];
}

struct cached_account *account_cache_settlement(struct account_cache *cache, const char *asset) {
    for (size_t i = 0; i < cache->settlement_count; i++) {
        struct cached_account *account = &cache->accounts[cache->settlements[i]];
        if (account->known && account->row.settlement && strcmp(account->account.asset, asset) == 0)
            return account;
    }
    return NULL;
}

void account_cache_put(struct account_cache *cache, const struct posting_account *account,
                       const struct account_row *row) {
    uint32_t *slot = slot_of(cache, &account->id);
    if (*slot == 0) {
        if (cache->count == cache->accounts_max ||
            (row->settlement && cache->settlement_count == SETTLEMENTS_MAX)) {
            account_cache_forget_all(cache);
            slot = slot_of(cache, &account->id);
        }
        if (row->settlement)
            cache->settlements[cache->settlement_count++] = (uint32_t)cache->count;
        *slot = (uint32_t)++cache->count;
    }
    struct cached_account *cached = &cache->accounts[*slot - 1];
    cached->account = *account;
    cached->account.touched = false;
    cached->row = *row;
    cached->row.was_posted = account->posted;
    cached->row.was_entries = account->entries;
    cached->known = true;
}

void account_cache_forget(struct account_cache *cache, const struct ledger_uuid *id) {
    const uint32_t *slot = slot_of(cache, id);
    if (*slot != 0)
        cache->accounts[*slot - 1].known = false;
}

void account_cache_forget_all(struct account_cache *cache) {
    memset(cache->slots, 0, (cache->slot_mask + 1) * sizeof(*cache->slots));
    memset(cache->accounts, 0, cache->count * sizeof(*cache->accounts));
    cache->count = 0;
    cache->settlement_count = 0;
}

size_t account_cache_count(const struct account_cache *cache) {
    return cache->count;
}
