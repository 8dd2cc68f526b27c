/*
 * Design.  A job lies in its request's memory, and the request is held while a worker has it.  The
 * worker touches nothing but the job and its own scratch memory.
 */
#include "auth_api/hashing.h"

#include <string.h>

#include "auth_api/auth.h"
#include "service_kit/http.h"
#include "service_kit/log.h"

void hashing_wipe(struct hashing *hashing) {
    explicit_bzero(hashing->password, sizeof hashing->password);
    hashing->password_length = 0;
}

static void process(struct workers_job *job, void *scratch) {
    struct hashing *hashing = (struct hashing *)job;
    const struct password_policy *policy = &hashing->thread->auth->passwords;
    if (hashing->make) {
        hashing->good = password_hash(hashing->password, hashing->password_length, policy, scratch,
                                      hashing->made);
    } else {
        const size_t length = hashing->stored == NULL ? 0 : strlen(hashing->stored);
        hashing->good = password_verify(hashing->password, hashing->password_length,
                                        hashing->stored, length, policy, scratch);
        hashing->remade = hashing->good && hashing->remake &&
                          password_is_outdated(hashing->password, hashing->password_length,
                                               hashing->stored, length, policy) &&
                          password_hash(hashing->password, hashing->password_length, policy,
                                        scratch, hashing->made);
    }
    hashing_wipe(hashing);
}

static void on_done(struct workers_job *job) {
    struct hashing *hashing = (struct hashing *)job;
    struct auth_thread *thread = hashing->thread;
    const struct auth_metrics *ids = &thread->auth->metrics;
    hashing_wipe(hashing);
    thread->hashing--;
    metrics_set(thread->metrics, thread->number, ids->hashing, (int64_t)thread->hashing);
    if (job->processed) {
        metrics_observe_us(thread->metrics, thread->number, ids->hash_duration,
                           loop_clock_us() - hashing->begun_us);
    } else {
        metrics_add(thread->metrics, thread->number, ids->hash_expired, 1);
    }
    hashing->on_end(hashing);
}

static void refuse(struct http_request *request) {
    struct auth_thread *thread = http_thread_state(request);
    metrics_add(thread->metrics, thread->number, thread->auth->metrics.hash_refused, 1);
    auth_reply_later(request, &PROBLEM_OVERLOADED);
}

bool hashing_has_room(struct http_request *request) {
    const struct auth_thread *thread = http_thread_state(request);
    if (workers_has_room(thread->auth->workers, http_deadline_us(request))) {
        return true;
    }
    refuse(request);
    return false;
}

bool hashing_start(struct hashing *hashing) {
    struct auth_thread *thread = http_thread_state(hashing->request);
    const struct auth_metrics *ids = &thread->auth->metrics;
    hashing->thread = thread;
    hashing->begun_us = loop_clock_us();
    hashing->job.process = process;
    hashing->job.on_done = on_done;
    hashing->job.deadline_us = http_deadline_us(hashing->request);
    if (workers_submit(thread->auth->workers, thread->loop, &hashing->job)) {
        thread->hashing++;
        metrics_set(thread->metrics, thread->number, ids->hashing, (int64_t)thread->hashing);
        return true;
    }
    hashing_wipe(hashing);
    refuse(hashing->request);
    return false;
}
