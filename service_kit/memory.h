/*
 * memory: allocation that does not fail.  Out of memory aborts, as libh2o and yajl do: a service
 * whose small, bounded allocations fail cannot answer anything, and its supervisor starts it again.
 */
#ifndef PACIOLI_SERVICE_KIT_MEMORY_H
#define PACIOLI_SERVICE_KIT_MEMORY_H

#include <stddef.h>
#include <stdlib.h>

/* Zeroed. */
static inline void *memory_allocate(size_t count, size_t size) {
    void *memory = calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static inline void *memory_resize(void *old, size_t size) {
    void *memory = realloc(old, size == 0 ? 1 : size);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

#endif
