/*
 * users: POST /users/ registers somebody.
 *
 *   users_create -hashing_start-> on_hashed -store_insert-> on_inserted -> answered
 *
 * Until the insert is sent the deadline's answer is that nothing happened; from then on that it is
 * not known.
 */
#include <string.h>

#include "auth_api/auth.h"
#include "auth_api/credentials.h"
#include "auth_api/hashing.h"
#include "auth_api/store.h"
#include "service_kit/audit.h"
#include "service_kit/http.h"
#include "service_kit/log.h"

#define ANSWER_BYTES_MAX 512

static const struct problem_kind PROBLEM_USER_EXISTS = {400, "user_exists", "User exists",
                                                        "User with this username already exists"};
static const struct problem_kind PROBLEM_OUTCOME_UNKNOWN = {
    503, "outcome_unknown", "Outcome unknown",
    "The user may have been registered, or not: log in, or register again, to find out."};

struct registration {
    struct hashing hashing; /* first: a hashing is its registration */
    struct store_call store;
    struct credentials credentials;
    struct http_request *request;
};

static void reply_user(const struct registration *registration) {
    char id[UUID_TEXT_LENGTH + 1];
    uuid_format(registration->store.id, id);
    struct json_writer *writer = json_writer_create(ANSWER_BYTES_MAX);
    json_write_object_begin(writer);
    json_write_member(writer, "id", id);
    json_write_member(writer, "username", registration->credentials.username);
    json_write_object_end(writer);
    http_reply(registration->request, 200, writer);
}

static void on_inserted(struct store_call *store, enum store_end end) {
    struct registration *registration =
        (struct registration *)(void *)((char *)store - offsetof(struct registration, store));
    struct http_request *request = registration->request;
    switch (end) {
    case STORE_DONE:
        reply_user(registration);
        break;
    case STORE_NAME_TAKEN:
        http_reply_kind(request, &PROBLEM_USER_EXISTS, NULL);
        break;
    case STORE_UNKNOWN:
        auth_reply_later(request, &PROBLEM_OUTCOME_UNKNOWN);
        break;
    case STORE_UNAVAILABLE:
        auth_reply_later(request, &PROBLEM_UNAVAILABLE);
        break;
    case STORE_NO_USER:
    case STORE_FAILED:
        http_reply_kind(request, &PROBLEM_INTERNAL, NULL);
        break;
    }
    http_request_release(request);
}

static void on_deadline(void *owner) {
    auth_reply_later(owner, &PROBLEM_OUTCOME_UNKNOWN);
}

static void insert(struct registration *registration) {
    struct http_request *request = registration->request;
    struct auth_thread *thread = http_thread_state(request);
    struct store_call *store = &registration->store;
    uuid_v7(&thread->uuids, store->id);
    memcpy(store->password_hash, registration->hashing.made, sizeof store->password_hash);
    store->on_end = on_inserted;
    if (store_insert(thread, store, registration->credentials.username, audit_origin(request))) {
        http_on_deadline(request, on_deadline, request);
        return;
    }
    auth_reply_busy(request);
    http_request_release(request);
}

static void on_hashed(struct hashing *hashing) {
    struct registration *registration = (struct registration *)hashing;
    struct http_request *request = registration->request;
    if (!http_request_waiting(request)) {
        http_request_release(request); /* it was told that nothing happened */
    } else if (!hashing->job.processed) {
        auth_reply_later(request, &PROBLEM_DEADLINE);
        http_request_release(request);
    } else if (!hashing->good) {
        log_message(LOG_ERROR, "hash_failed", "request_id", http_request_id(request));
        http_reply_kind(request, &PROBLEM_INTERNAL, NULL);
        http_request_release(request);
    } else {
        insert(registration);
    }
}

void users_create(struct http_request *request) {
    struct registration *registration = http_alloc(request, sizeof *registration);
    registration->request = request;
    registration->hashing.request = request;
    registration->hashing.make = true;
    registration->hashing.on_end = on_hashed;
    if (!credentials_read(request, CREDENTIALS_NEW, &registration->credentials,
                          &registration->hashing)) {
        return;
    }
    http_request_hold(request);
    if (!hashing_start(&registration->hashing)) {
        http_request_release(request);
    }
}
