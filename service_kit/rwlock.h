/*
 * rwlock: a lock for many readers and few writers.  A writer that waits goes first: what it brings
 * (a key that was withdrawn, a session that has ended) must not wait for a busy hour to be over.
 */
#ifndef PACIOLI_SERVICE_KIT_RWLOCK_H
#define PACIOLI_SERVICE_KIT_RWLOCK_H

#include <pthread.h>
#include <stdlib.h>

#include "service_kit/memory.h"

/* On the heap, so that readers can take it through a const object. */
static inline pthread_rwlock_t *rwlock_create(void) {
    pthread_rwlock_t *lock = memory_allocate(1, sizeof *lock);
    pthread_rwlockattr_t attributes;
    if (pthread_rwlockattr_init(&attributes) != 0 ||
        pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) !=
            0 ||
        pthread_rwlock_init(lock, &attributes) != 0) {
        abort();
    }
    pthread_rwlockattr_destroy(&attributes);
    return lock;
}

static inline void rwlock_free(pthread_rwlock_t *lock) {
    pthread_rwlock_destroy(lock);
    free(lock);
}

#endif
