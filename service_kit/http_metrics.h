/*
 * http_metrics: what the HTTP server counts: requests by route, method and status, their duration
 * by route, connections, and requests in flight.
 */
#ifndef PACIOLI_SERVICE_KIT_HTTP_METRICS_H
#define PACIOLI_SERVICE_KIT_HTTP_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "service_kit/http.h"
#include "service_kit/metrics.h"

/* Read-only after it was made. */
struct http_metrics {
    struct metrics *metrics;
    metrics_id connections, in_flight;
    metrics_id *requests;  /* [route][status slot]; the row behind the last route: no route */
    metrics_id *durations; /* [route], the same */
    size_t route_count;
};

void http_metrics_init(struct http_metrics *metrics, struct metrics *registry,
                       const struct http_route *const *routes, size_t route_count);
void http_metrics_free(struct http_metrics *metrics);
/* `route`: its number, or route_count when there was none. */
void http_metrics_count(const struct http_metrics *metrics, size_t thread, size_t route, int status,
                        int64_t duration_us);

#endif
