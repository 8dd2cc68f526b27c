/*
 * Design.  Every series is registered before the threads start, so the statuses that a service
 * answers with are a list here; a status outside of it counts as "other".
 */
#include "service_kit/http_metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "service_kit/memory.h"

static const short statuses[] = {200, 201, 202, 204, 400, 401, 403, 404, 405, 409,
                                 411, 413, 415, 422, 429, 431, 500, 502, 503, 504};
#define STATUS_COUNT (sizeof(statuses) / sizeof(statuses[0]))
#define SLOTS        (STATUS_COUNT + 1) /* and "other" */
#define LABELS_MAX   256

static metrics_id register_requests(struct metrics *registry, const char *method,
                                    const char *pattern, const char *status) {
    char labels[LABELS_MAX];
    (void)snprintf(labels, sizeof(labels), "route=\"%s\",method=\"%s\",status=\"%s\"", pattern,
                   method, status);
    return metrics_register(registry, METRICS_COUNTER, "http_requests_total",
                            "Requests by route, method and status.", labels);
}

static void register_route(struct http_metrics *metrics, size_t row, const char *method,
                           const char *pattern) {
    metrics_id *ids = metrics->requests + row * SLOTS;
    for (size_t i = 0; i < STATUS_COUNT; i++) {
        char status[8];
        (void)snprintf(status, sizeof(status), "%d", statuses[i]);
        ids[i] = register_requests(metrics->metrics, method, pattern, status);
    }
    ids[STATUS_COUNT] = register_requests(metrics->metrics, method, pattern, "other");
}

static metrics_id register_duration(struct metrics *registry, const char *method,
                                    const char *pattern) {
    char labels[LABELS_MAX];
    (void)snprintf(labels, sizeof(labels), "route=\"%s\",method=\"%s\"", pattern, method);
    return metrics_register(registry, METRICS_HISTOGRAM, "http_request_duration_seconds",
                            "From the whole request read to its answer written, by route.", labels);
}

void http_metrics_init(struct http_metrics *metrics, struct metrics *registry,
                       const struct http_route *const *routes, size_t route_count) {
    size_t rows = route_count + 1;
    *metrics = (struct http_metrics){
        .metrics = registry,
        .requests = memory_allocate(rows * SLOTS, sizeof(metrics_id)),
        .durations = memory_allocate(rows, sizeof(metrics_id)),
        .route_count = route_count,
    };
    for (size_t i = 0; i < route_count; i++)
        register_route(metrics, i, http_method_name(routes[i]->method), routes[i]->pattern);
    register_route(metrics, route_count, "", "");
    for (size_t i = 0; i < route_count; i++)
        metrics->durations[i] =
            register_duration(registry, http_method_name(routes[i]->method), routes[i]->pattern);
    metrics->durations[route_count] = register_duration(registry, "", "");
    metrics->connections = metrics_register(registry, METRICS_GAUGE, "http_connections",
                                            "Open connections of clients.", NULL);
    metrics->in_flight =
        metrics_register(registry, METRICS_GAUGE, "http_in_flight",
                         "Requests that are not answered yet, or still held.", NULL);
}

void http_metrics_free(struct http_metrics *metrics) {
    free(metrics->requests);
    free(metrics->durations);
}

static size_t status_slot(int status) {
    for (size_t i = 0; i < STATUS_COUNT; i++)
        if (statuses[i] == status)
            return i;
    return STATUS_COUNT;
}

void http_metrics_count(const struct http_metrics *metrics, size_t thread, size_t route, int status,
                        int64_t duration_us) {
    metrics_add(metrics->metrics, thread, metrics->requests[route * SLOTS + status_slot(status)],
                1);
    metrics_observe_us(metrics->metrics, thread, metrics->durations[route], duration_us);
}
