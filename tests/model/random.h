/*
 * random: repeatable numbers for tests (splitmix64).  The seed is PACIOLI_SEED when that is set,
 * else a new one; tests print it, so that every failure can be run again.
 */
#ifndef PACIOLI_TESTS_MODEL_RANDOM_H
#define PACIOLI_TESTS_MODEL_RANDOM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

struct test_random {
    uint64_t state;
};

static inline uint64_t random_next(struct test_random *random) {
    uint64_t z = random->state += 0x9e3779b97f4a7c15LLU;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9LLU;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebLLU;
    return z ^ (z >> 31);
}

/* 0 .. bound - 1; the slight bias does not matter here. */
static inline uint32_t random_below(struct test_random *random, uint32_t bound) {
    return (uint32_t)((random_next(random) >> 32) % bound);
}

static inline bool random_percent(struct test_random *random, uint32_t percent) {
    return random_below(random, 100) < percent;
}

/* A number from the environment, or `otherwise`. */
static inline uint64_t random_environment(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    if (text == NULL || *text == '\0') {
        return otherwise;
    }
    char *end = NULL;
    const uint64_t value = strtoull(text, &end, 10);
    if (*end != '\0') {
        fprintf(stderr, "%s is not a number: %s\n", name, text);
        exit(2);
    }
    return value;
}

static inline uint64_t random_seed(void) {
    uint64_t fresh = 1;
    if (getrandom(&fresh, sizeof(fresh), 0) != (ssize_t)sizeof(fresh)) {
        fresh = 1;
    }
    return random_environment("PACIOLI_SEED", fresh);
}

#endif
