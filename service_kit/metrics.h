/*
 * metrics: counters, gauges and histograms in Prometheus' text format.
 *
 * A family is registered once, before the threads start.  Each thread owns its values, so that
 * counting is an add without a lock; a scrape sums over the threads with relaxed atomic loads.
 */
#ifndef PACIOLI_SERVICE_KIT_METRICS_H
#define PACIOLI_SERVICE_KIT_METRICS_H

#include <stddef.h>
#include <stdint.h>

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

struct metrics; /* the process' registry */

/* `threads`: how many threads will count, at most. */
struct metrics *metrics_create(size_t threads);
void metrics_free(struct metrics *metrics);

/* A series of a family, e.g. ("http_requests_total", "route=\"/wallet/deposit\",status=\"200\"").
 * Histograms count microseconds in fixed buckets and are shown in seconds.  Series of a family
 * must be registered together.  Returns the handle.  Limits are asserted. */
typedef size_t metrics_id;
metrics_id metrics_register(struct metrics *metrics, enum metrics_type type, const char *family,
                            const char *help, const char *labels);
void metrics_add(struct metrics *metrics, size_t thread, metrics_id id, int64_t delta);
void metrics_set(struct metrics *metrics, size_t thread, metrics_id id, int64_t value);
void metrics_observe_us(struct metrics *metrics, size_t thread, metrics_id id, int64_t value_us);

/* The whole text; free() it. */
char *metrics_text(const struct metrics *metrics, size_t *length);

#endif
