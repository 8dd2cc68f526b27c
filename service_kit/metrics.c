/*
 * metrics: one array of 64-bit slots per thread, one slot per counter or gauge and SLOTS_HISTOGRAM
 * per histogram (a count for each bucket, and the sum).
 *
 * A thread's array begins on a cache line of its own and fills whole lines, so counting threads
 * never write to one line.  Additions and loads are relaxed: a scrape may see one series a moment
 * older than another, but no value is torn, and a histogram's count is made of the very buckets
 * that are shown.  Buckets are kept apart and added up when shown, so that an observation touches
 * two slots.
 *
 * Registering may move the arrays and is therefore for the time before the threads start.
 */
#include "service_kit/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service_kit/memory.h"

#define CACHE_LINE  64U
#define LINE_SLOTS  (CACHE_LINE / sizeof(_Atomic int64_t))
#define SERIES_MAX  4096U
#define THREADS_MAX 1024U
#define US_PER_S    1000000

static const struct {
    int64_t bound_us;
    const char *label; /* the bound in seconds */
} buckets[] = {
    {100, "0.0001"},  {250, "0.00025"},    {500, "0.0005"},  {1000, "0.001"},  {2500, "0.0025"},
    {5000, "0.005"},  {10000, "0.01"},     {25000, "0.025"}, {50000, "0.05"},  {100000, "0.1"},
    {250000, "0.25"}, {500000, "0.5"},     {1000000, "1"},   {2500000, "2.5"}, {5000000, "5"},
    {10000000, "10"}, {INT64_MAX, "+Inf"},
};
#define BUCKETS         (sizeof(buckets) / sizeof(buckets[0]))
#define SLOTS_HISTOGRAM (BUCKETS + 1) /* the last one is the sum in microseconds */

struct series {
    enum metrics_type type;
    char *family, *help, *labels;
    size_t slot;
};

struct metrics {
    size_t threads;
    struct series *series;
    size_t series_count, series_size;
    size_t slot_count, slot_size; /* per thread; the size is whole cache lines */
    _Atomic int64_t *slots;
};

struct metrics *metrics_create(size_t threads) {
    assert(threads > 0 && threads <= THREADS_MAX);
    struct metrics *metrics = memory_allocate(1, sizeof(*metrics));
    metrics->threads = threads;
    return metrics;
}

void metrics_free(struct metrics *metrics) {
    if (metrics == NULL) {
        return;
    }
    for (size_t i = 0; i < metrics->series_count; i++) {
        free(metrics->series[i].family);
        free(metrics->series[i].help);
        free(metrics->series[i].labels);
    }
    free(metrics->series);
    free(metrics->slots);
    free(metrics);
}

static _Atomic int64_t *slot_of(const struct metrics *metrics, size_t thread, size_t slot) {
    return &metrics->slots[thread * metrics->slot_size + slot];
}

/* ---- registering ---- */

static bool is_name(const char *name) {
    for (const char *at = name; *at != '\0'; at++) {
        const bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_';
        if (!letter && !(at > name && *at >= '0' && *at <= '9')) {
            return false;
        }
    }
    return *name != '\0';
}

static char *copy_text(const char *text) {
    const size_t size = strlen(text) + 1;
    char *copy = memory_allocate(size, 1);
    memcpy(copy, text, size);
    return copy;
}

static void grow_slots(struct metrics *metrics, size_t needed) {
    size_t size = metrics->slot_size == 0 ? LINE_SLOTS : metrics->slot_size;
    while (size < needed) {
        size *= 2;
    }
    if (size == metrics->slot_size) {
        return;
    }
    const size_t bytes = metrics->threads * size * sizeof(*metrics->slots);
    _Atomic int64_t *slots = aligned_alloc(CACHE_LINE, bytes);
    if (slots == NULL) {
        abort();
    }
    for (size_t thread = 0; thread < metrics->threads; thread++) {
        for (size_t slot = 0; slot < size; slot++) {
            const int64_t value =
                slot < metrics->slot_count
                    ? atomic_load_explicit(slot_of(metrics, thread, slot), memory_order_relaxed)
                    : 0;
            atomic_init(&slots[thread * size + slot], value);
        }
    }
    free(metrics->slots);
    metrics->slots = slots;
    metrics->slot_size = size;
}

/* A family stands together, with one type and one help text, and no series of it twice. */
static void assert_family(const struct metrics *metrics, enum metrics_type type, const char *family,
                          const char *help, const char *labels) {
    for (size_t i = 0; i < metrics->series_count; i++) {
        const struct series *other = &metrics->series[i];
        if (strcmp(other->family, family) == 0) {
            assert(other->type == type && strcmp(other->help, help) == 0);
            assert(strcmp(other->labels, labels) != 0);
            assert(strcmp(metrics->series[metrics->series_count - 1].family, family) == 0);
        }
    }
}

metrics_id metrics_register(struct metrics *metrics, enum metrics_type type, const char *family,
                            const char *help, const char *labels) {
    labels = labels == NULL ? "" : labels;
    assert(is_name(family) && help != NULL);
    assert(metrics->series_count < SERIES_MAX);
    assert_family(metrics, type, family, help, labels);
    if (metrics->series_count == metrics->series_size) {
        metrics->series_size = metrics->series_size == 0 ? 32 : metrics->series_size * 2;
        metrics->series =
            memory_resize(metrics->series, metrics->series_size * sizeof(*metrics->series));
    }
    const size_t width = type == METRICS_HISTOGRAM ? SLOTS_HISTOGRAM : 1;
    grow_slots(metrics, metrics->slot_count + width);
    metrics->series[metrics->series_count] = (struct series){.type = type,
                                                             .family = copy_text(family),
                                                             .help = copy_text(help),
                                                             .labels = copy_text(labels),
                                                             .slot = metrics->slot_count};
    metrics->slot_count += width;
    return metrics->series_count++;
}

/* ---- counting ---- */

static _Atomic int64_t *slots_for(const struct metrics *metrics, size_t thread, metrics_id id) {
    assert(thread < metrics->threads && id < metrics->series_count);
    return slot_of(metrics, thread, metrics->series[id].slot);
}

void metrics_add(struct metrics *metrics, size_t thread, metrics_id id, int64_t delta) {
    _Atomic int64_t *slot = slots_for(metrics, thread, id);
    const enum metrics_type type = metrics->series[id].type;
    assert(type == METRICS_GAUGE || (type == METRICS_COUNTER && delta >= 0));
    atomic_fetch_add_explicit(slot, delta, memory_order_relaxed);
}

void metrics_set(struct metrics *metrics, size_t thread, metrics_id id, int64_t value) {
    _Atomic int64_t *slot = slots_for(metrics, thread, id);
    assert(metrics->series[id].type == METRICS_GAUGE);
    atomic_store_explicit(slot, value, memory_order_relaxed);
}

void metrics_observe_us(struct metrics *metrics, size_t thread, metrics_id id, int64_t value_us) {
    _Atomic int64_t *slots = slots_for(metrics, thread, id);
    assert(metrics->series[id].type == METRICS_HISTOGRAM);
    const int64_t value = value_us < 0 ? 0 : value_us; /* a clock that was set back */
    size_t bucket = 0;
    while (value > buckets[bucket].bound_us) {
        bucket++;
    }
    atomic_fetch_add_explicit(&slots[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&slots[BUCKETS], value, memory_order_relaxed);
}

/* ---- showing ---- */

static int64_t sum(const struct metrics *metrics, size_t slot) {
    int64_t total = 0;
    for (size_t thread = 0; thread < metrics->threads; thread++) {
        total += atomic_load_explicit(slot_of(metrics, thread, slot), memory_order_relaxed);
    }
    return total;
}

static void print_help(FILE *out, const struct series *series) {
    static const char *const types[] = {"counter", "gauge", "histogram"};
    (void)fprintf(out, "# HELP %s ", series->family);
    for (const char *at = series->help; *at != '\0'; at++) {
        if (*at == '\n') {
            (void)fputs("\\n", out);
        } else if (*at == '\\') {
            (void)fputs("\\\\", out);
        } else {
            (void)fputc(*at, out);
        }
    }
    (void)fprintf(out, "\n# TYPE %s %s\n", series->family, types[series->type]);
}

/* name_suffix{labels} without the value. */
static void print_name(FILE *out, const struct series *series, const char *suffix) {
    (void)fprintf(out, "%s%s", series->family, suffix);
    if (*series->labels != '\0') {
        (void)fprintf(out, "{%s}", series->labels);
    }
    (void)fputc(' ', out);
}

static void print_histogram(FILE *out, const struct metrics *metrics, const struct series *series) {
    int64_t count = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        count += sum(metrics, series->slot + i);
        (void)fprintf(out, "%s_bucket{%s%sle=\"%s\"} %" PRId64 "\n", series->family, series->labels,
                      *series->labels == '\0' ? "" : ",", buckets[i].label, count);
    }
    const int64_t total_us = sum(metrics, series->slot + BUCKETS);
    print_name(out, series, "_sum");
    (void)fprintf(out, "%" PRId64 ".%06" PRId64 "\n", total_us / US_PER_S, total_us % US_PER_S);
    print_name(out, series, "_count");
    (void)fprintf(out, "%" PRId64 "\n", count);
}

char *metrics_text(const struct metrics *metrics, size_t *length) {
    char *text = NULL;
    FILE *out = open_memstream(&text, length);
    if (out == NULL) {
        abort();
    }
    const char *family = "";
    for (size_t i = 0; i < metrics->series_count; i++) {
        const struct series *series = &metrics->series[i];
        if (strcmp(family, series->family) != 0) {
            print_help(out, series);
            family = series->family;
        }
        if (series->type == METRICS_HISTOGRAM) {
            print_histogram(out, metrics, series);
        } else {
            print_name(out, series, "");
            (void)fprintf(out, "%" PRId64 "\n", sum(metrics, series->slot));
        }
    }
    if (fclose(out) != 0) {
        abort();
    }
    return text;
}
