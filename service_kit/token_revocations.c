/*
 * Design.  An open hash table of fixed-size entries behind a lock for readers and writers.  Ids are
 * made by our own services, so nobody chooses where they fall.  The table doubles when it is half
 * full, and leaves out what has expired when it is made anew.
 */
#include "service_kit/token_revocations.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "service_kit/memory.h"
#include "service_kit/rwlock.h"
#include "service_kit/uuid.h"

#define CAPACITY_MIN 1024U
#define CAPACITY_MAX (1U << 20) /* powers of two */

struct token_revocations {
    pthread_rwlock_t *lock;
    struct token_revocation *entries; /* expires_at_unix_s 0: free */
    size_t capacity, count;
    _Atomic int64_t stale_max_us; /* -1: not followed; 0: never stale */
    _Atomic int64_t current_us;   /* 0: never */
};

struct token_revocations *token_revocations_create(void) {
    struct token_revocations *set = memory_allocate(1, sizeof *set);
    set->lock = rwlock_create();
    set->capacity = CAPACITY_MIN;
    set->entries = memory_allocate(set->capacity, sizeof *set->entries);
    atomic_store(&set->stale_max_us, -1);
    return set;
}

void token_revocations_free(struct token_revocations *set) {
    if (set == NULL) {
        return;
    }
    rwlock_free(set->lock);
    free(set->entries);
    free(set);
}

void token_revocations_follow(struct token_revocations *set, int64_t stale_max_s) {
    atomic_store(&set->stale_max_us, stale_max_s * 1000000);
}

/* ---- the table ---- */

/* The entry of that subject, or the free one where it belongs. */
static struct token_revocation *place_of(struct token_revocation *entries, size_t capacity,
                                         const uint8_t subject[static UUID_SIZE]) {
    uint64_t high, low;
    memcpy(&high, subject, sizeof high);
    memcpy(&low, subject + sizeof high, sizeof low);
    uint64_t hash = (high ^ low * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
    size_t at = (size_t)(hash >> 32) & (capacity - 1);
    while (entries[at].expires_at_unix_s != 0 &&
           memcmp(entries[at].subject, subject, UUID_SIZE) != 0) {
        at = (at + 1) & (capacity - 1);
    }
    return &entries[at];
}

/* Room for one more.  False: there is none. */
static bool make_room(struct token_revocations *set, int64_t now_unix_s) {
    if (set->count < set->capacity / 2) {
        return true;
    }
    size_t live = 0;
    for (size_t i = 0; i < set->capacity; i++) {
        live += set->entries[i].expires_at_unix_s > now_unix_s;
    }
    size_t capacity = CAPACITY_MIN;
    while (capacity / 4 <= live) { /* at most a quarter full, so that this is rare */
        capacity *= 2;
    }
    if (capacity > CAPACITY_MAX) {
        return false;
    }
    struct token_revocation *entries = memory_allocate(capacity, sizeof *entries);
    for (size_t i = 0; i < set->capacity; i++) {
        if (set->entries[i].expires_at_unix_s > now_unix_s) {
            *place_of(entries, capacity, set->entries[i].subject) = set->entries[i];
        }
    }
    free(set->entries);
    set->entries = entries;
    set->capacity = capacity;
    set->count = live;
    return true;
}

bool token_revocations_add(struct token_revocations *set, const struct token_revocation *list,
                           size_t count, int64_t now_unix_s) {
    bool fits = true;
    pthread_rwlock_wrlock(set->lock);
    for (size_t i = 0; fits && i < count; i++) {
        if (list[i].expires_at_unix_s <= now_unix_s) {
            continue;
        }
        fits = make_room(set, now_unix_s);
        if (fits) {
            struct token_revocation *place = place_of(set->entries, set->capacity, list[i].subject);
            set->count += place->expires_at_unix_s == 0;
            *place = list[i];
        }
    }
    pthread_rwlock_unlock(set->lock);
    return fits;
}

/* ---- is it current? ---- */

void token_revocations_current(struct token_revocations *set, int64_t asked_at_us) {
    atomic_store(&set->current_us, asked_at_us);
}

bool token_revocations_usable(const struct token_revocations *set, int64_t now_us) {
    const int64_t stale_max_us = atomic_load(&set->stale_max_us);
    const int64_t current_us = atomic_load(&set->current_us);
    if (stale_max_us < 0) {
        return true;
    }
    return current_us != 0 && (stale_max_us == 0 || now_us - current_us <= stale_max_us);
}

int64_t token_revocations_age_us(const struct token_revocations *set, int64_t now_us) {
    const int64_t current_us = atomic_load(&set->current_us);
    return atomic_load(&set->stale_max_us) < 0 || current_us == 0 ? -1 : now_us - current_us;
}

size_t token_revocations_count(const struct token_revocations *set) {
    pthread_rwlock_rdlock(set->lock);
    const size_t count = set->count;
    pthread_rwlock_unlock(set->lock);
    return count;
}

/* ---- judging ---- */

bool token_revocations_refuse(const struct token_revocations *set,
                              const struct token_claims *claims) {
    const uint8_t *subject = claims->has_session ? claims->session : claims->subject;
    pthread_rwlock_rdlock(set->lock);
    const struct token_revocation *entry = place_of(set->entries, set->capacity, subject);
    const bool refused = entry->expires_at_unix_s != 0 &&
                         (claims->has_session ? !entry->user
                                              : entry->user && claims->issued_at_unix_s <=
                                                                   entry->issued_up_to_unix_s);
    pthread_rwlock_unlock(set->lock);
    return refused;
}
