/*
 * Design.  /healthz says that the process lives, /readyz whether every thread can serve.  A thread
 * can only be asked by itself: each publishes its answer a few times a second, and whichever
 * thread gets /readyz reads those of the others.
 */
#include <stdio.h>
#include <stdlib.h>

#include "service_kit/service_internal.h"

#define REASONS_MAX 512

const char *service_thread_not_ready(struct service_thread *thread) {
    const struct service *service = thread->process->service;
    const char *reason = NULL;
    if (thread->draining)
        return "draining";
    if (service->thread_ready == NULL || service->thread_ready(thread->state, &reason))
        return NULL;
    return reason != NULL ? reason : "not ready";
}

static void handle_health(struct http_request *request) {
    struct json_writer *writer = json_writer_create(64);
    json_write_object_begin(writer);
    json_write_member(writer, "status", "ok");
    json_write_object_end(writer);
    http_reply(request, 200, writer);
}

struct reasons {
    const char *texts[8];
    size_t count;
};

static void note_reason(struct reasons *reasons, const char *text) {
    if (text == NULL || reasons->count == sizeof(reasons->texts) / sizeof(reasons->texts[0]))
        return;
    for (size_t i = 0; i < reasons->count; i++)
        if (reasons->texts[i] == text)
            return;
    reasons->texts[reasons->count++] = text;
}

static void write_reasons(struct json_writer *writer, const void *context) {
    const struct reasons *reasons = context;
    json_write_key(writer, "reasons");
    json_write_array_begin(writer);
    for (size_t i = 0; i < reasons->count; i++)
        json_write_string(writer, reasons->texts[i]);
    json_write_array_end(writer);
}

static void handle_ready(struct http_request *request) {
    struct service_thread *self = http_thread_owner(request);
    const struct service_process *process = self->process;
    struct reasons reasons = {.count = 0};
    /* What we answer from is published at once: another thread's next answer must not be older. */
    atomic_store(&self->not_ready, service_thread_not_ready(self));
    for (size_t i = 0; i < process->thread_count; i++)
        note_reason(&reasons, atomic_load(&process->threads[i].not_ready));
    if (reasons.count > 0) {
        char detail[REASONS_MAX];
        (void)snprintf(detail, sizeof(detail), "Not ready: %s.", reasons.texts[0]);
        http_reply_problem(request, &(struct problem){.kind = &PROBLEM_UNAVAILABLE,
                                                      .detail = detail,
                                                      .retry_after_s = 1,
                                                      .extend = write_reasons,
                                                      .context = &reasons});
        return;
    }
    struct json_writer *writer = json_writer_create(128);
    json_write_object_begin(writer);
    json_write_member(writer, "status", "ready");
    json_write_key(writer, "threads");
    json_write_integer(writer, (int64_t)process->thread_count);
    json_write_object_end(writer);
    http_reply(request, 200, writer);
}

static void handle_metrics(struct http_request *request) {
    const struct service_thread *self = http_thread_owner(request);
    size_t length = 0;
    char *text = metrics_text(self->process->metrics, &length);
    http_reply_bytes(request, 200, "text/plain; version=0.0.4; charset=utf-8", text, length);
    free(text);
}

const struct http_route SERVICE_HEALTH_ROUTES[] = {
    {.method = HTTP_GET, .pattern = "/healthz", .handle = handle_health},
    {.method = HTTP_GET, .pattern = "/readyz", .handle = handle_ready},
    {.method = HTTP_GET, .pattern = "/metrics", .handle = handle_metrics},
};
const size_t SERVICE_HEALTH_ROUTE_COUNT =
    sizeof(SERVICE_HEALTH_ROUTES) / sizeof(SERVICE_HEALTH_ROUTES[0]);
