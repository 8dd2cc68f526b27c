/*
 * Design.  All counters are in the database, so that a second process and a restart know them.  A
 * name is counted under an HMAC of it: the table does not tell who was tried, and the names of
 * users and of nobody look alike.  A device is an address (of IPv6 its /64) from which that user
 * has logged in within 90 days: it has a counter of its own, with more free failures and shorter
 * waits, so that a stranger who uses up the name's does not shut its owner out.
 */
#include "auth_api/attempt.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth_api/auth.h"
#include "service_kit/audit.h"
#include "service_kit/http.h"

#define US_PER_MINUTE    INT64_C(60000000)
#define NAME_LABEL       "pacioli guesses, name v1:"
#define DEVICE_LABEL     "pacioli guesses, device v1:"
#define RATELIMIT_HEADER 96

static const struct problem_kind PROBLEM_TOO_MANY_ATTEMPTS = {
    429, "too_many_attempts", "Too many attempts",
    "There were too many attempts to log in; the password was not looked at. Try again later."};

void attempt_prepare(struct auth *auth) {
    int length = snprintf(
        auth->limits, sizeof auth->limits,
        "{\"free\":%" PRId64 ",\"wait_max\":%" PRId64 ",\"stop\":%" PRId64
        ",\"known_free\":%" PRId64 ",\"known_wait_max\":%" PRId64 ",\"address_burst\":%" PRId64
        ",\"address_us\":%" PRId64 ",\"all_burst\":%" PRId64 ",\"all_us\":%" PRId64 "}",
        auth->login_free_failures, auth->login_wait_max_s, auth->login_failures_max,
        auth->login_known_free_failures, auth->login_known_wait_max_s, auth->login_address_burst,
        US_PER_MINUTE / auth->login_address_per_minute, auth->login_all_burst,
        US_PER_MINUTE / auth->login_all_per_minute);
    assert(length > 0 && (size_t)length < sizeof auth->limits);
}

/* ---- keys ---- */

static void keyed(const struct auth *auth, const char *text, uint8_t key[static ATTEMPT_KEY_SIZE]) {
    unsigned length = 0;
    const char *secret = auth->service.jwt_secret;
    if (HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)text, strlen(text),
             key, &length) == NULL ||
        length != ATTEMPT_KEY_SIZE) {
        abort();
    }
}

void attempt_name_key(const struct auth *auth, const char *username,
                      uint8_t key[static ATTEMPT_KEY_SIZE]) {
    char text[sizeof NAME_LABEL + STORE_USERNAME_MAX];
    snprintf(text, sizeof text, NAME_LABEL "%s", username);
    keyed(auth, text, key);
}

/* Neither a name nor an address can hold a blank. */
static void make_keys(struct attempt *attempt, const struct auth *auth) {
    char text[sizeof DEVICE_LABEL + STORE_USERNAME_MAX + 1 + PROXIES_ADDRESS_MAX];
    proxies_client_network(http_client(attempt->request), attempt->address);
    snprintf(text, sizeof text, DEVICE_LABEL "%s %s", attempt->username, attempt->address);
    keyed(auth, text, attempt->device_key);
    attempt_name_key(auth, attempt->username, attempt->name_key);
}

/* ---- the beginning ---- */

static void write_violated(struct json_writer *writer, const void *context) {
    json_write_key(writer, "violated-policies");
    json_write_array_begin(writer);
    json_write_string(writer, context);
    json_write_array_end(writer);
}

/* Header fields of the draft "RateLimit header fields for HTTP". */
void attempt_reply_too_many(struct http_request *request, const char *limit, bool known,
                            int64_t wait_ms) {
    const struct auth_thread *thread = http_thread_state(request);
    const struct auth *auth = thread->auth;
    int64_t quota = auth->login_free_failures, window_s = auth->login_wait_max_s;
    if (known) {
        quota = auth->login_known_free_failures;
        window_s = auth->login_known_wait_max_s;
    }
    if (strcmp(limit, "address") == 0) {
        quota = auth->login_address_burst;
        window_s =
            (quota * 60 + auth->login_address_per_minute - 1) / auth->login_address_per_minute;
    } else if (strcmp(limit, "all") == 0) {
        quota = auth->login_all_burst;
        window_s = (quota * 60 + auth->login_all_per_minute - 1) / auth->login_all_per_minute;
    }
    int64_t wait_s = (wait_ms + 999) / 1000;
    wait_s = wait_s > 0 ? wait_s : 1;
    char policy[32], header[RATELIMIT_HEADER];
    snprintf(policy, sizeof policy, "login-%s", limit);
    snprintf(header, sizeof header, "\"%s\";q=%" PRId64 ";w=%" PRId64, policy, quota, window_s);
    http_set_header(request, "RateLimit-Policy", header);
    snprintf(header, sizeof header, "\"%s\";r=0;t=%" PRId64, policy, wait_s);
    http_set_header(request, "RateLimit", header);
    http_reply_problem(request, &(struct problem){.kind = &PROBLEM_TOO_MANY_ATTEMPTS,
                                                  .retry_after_s = (int)wait_s,
                                                  .extend = write_violated,
                                                  .context = policy});
}

static bool is_true(const PGresult *rows, int column) {
    return PQgetvalue(rows, 0, column)[0] == 't';
}

/* Columns as in the statement login_begin. */
static void read_found(struct attempt *attempt, const PGresult *rows) {
    attempt->failures = strtoll(PQgetvalue(rows, 0, 2), NULL, 10);
    attempt->stopped = is_true(rows, 3);
    attempt->found =
        !PQgetisnull(rows, 0, 5) &&
        uuid_parse(PQgetvalue(rows, 0, 5), (size_t)PQgetlength(rows, 0, 5), attempt->user);
    attempt->disabled = is_true(rows, 8);
    size_t length = (size_t)PQgetlength(rows, 0, 6);
    if (attempt->found && length < sizeof attempt->password_hash) {
        memcpy(attempt->password_hash, PQgetvalue(rows, 0, 6), length);
    }
}

static void on_begin(struct store_query *query, enum store_end end, const PGresult *rows) {
    struct attempt *attempt = (struct attempt *)query;
    bool go = false;
    if (end != STORE_DONE) {
        /* Whether it was counted is not known; the password was not looked at. */
        store_refuse(attempt->request, end == STORE_UNKNOWN ? STORE_UNAVAILABLE : end);
    } else {
        attempt->known = is_true(rows, 4);
        const char *verdict = PQgetvalue(rows, 0, 0);
        go = strcmp(verdict, "go") == 0;
        if (go) {
            read_found(attempt, rows);
        } else {
            attempt_reply_too_many(attempt->request, verdict, attempt->known,
                                   strtoll(PQgetvalue(rows, 0, 1), NULL, 10));
        }
    }
    attempt->on_begun(attempt, go);
}

bool attempt_begin(struct attempt *attempt) {
    struct auth_thread *thread = http_thread_state(attempt->request);
    make_keys(attempt, thread->auth);
    attempt->origin = audit_origin(attempt->request);
    attempt->query =
        (struct store_query){.on_end = on_begin, .statement = "login_begin", .writes = true};
    struct store_params params = {.count = 0};
    store_add_text(&params, attempt->username);
    store_add_bytes(&params, attempt->name_key, ATTEMPT_KEY_SIZE);
    store_add_bytes(&params, attempt->device_key, ATTEMPT_KEY_SIZE);
    store_add_text(&params, attempt->address);
    store_add_text(&params, thread->auth->limits);
    store_add_text(&params, attempt->origin);
    if (store_query(thread, &attempt->query, &params)) {
        return true;
    }
    auth_reply_busy(attempt->request);
    return false;
}

/* ---- the end ---- */

static void on_end(struct store_query *query, enum store_end end, const PGresult *rows) {
    struct attempt *attempt = (struct attempt *)query;
    bool written = end == STORE_DONE;
    if (!written) {
        store_refuse(attempt->request, end == STORE_UNKNOWN ? STORE_UNAVAILABLE : end);
    } else if (strcmp(query->statement, "login_passed") == 0 && !is_true(rows, 0)) {
        attempt->disabled = true; /* since he was looked up */
        attempt_fail(attempt, "disabled");
        return;
    }
    attempt->on_ended(attempt, written);
}

static void send_end(struct attempt *attempt, const char *statement,
                     const struct store_params *params) {
    attempt->query = (struct store_query){.on_end = on_end, .statement = statement, .writes = true};
    if (!store_query(http_thread_state(attempt->request), &attempt->query, params)) {
        auth_reply_busy(attempt->request);
        attempt->on_ended(attempt, false);
    }
}

void attempt_pass(struct attempt *attempt, const char *better_hash) {
    const struct auth_thread *thread = http_thread_state(attempt->request);
    struct store_params params = {.count = 0};
    store_add_bytes(&params, attempt->user, UUID_SIZE);
    store_add_bytes(&params, attempt->name_key, ATTEMPT_KEY_SIZE);
    store_add_bytes(&params, attempt->device_key, ATTEMPT_KEY_SIZE);
    store_add_text(&params, attempt->known ? "t" : "f");
    store_add_text(&params, attempt->address);
    store_add_integer(&params, attempt->failures);
    store_add_text(&params, attempt->password_hash);
    store_add_text(&params, better_hash);
    store_add_text(&params, thread->auth->limits);
    store_add_text(&params, attempt->origin);
    send_end(attempt, "login_passed", &params);
}

void attempt_fail(struct attempt *attempt, const char *reason) {
    const struct auth_thread *thread = http_thread_state(attempt->request);
    struct store_params params = {.count = 0};
    store_add_bytes(&params, attempt->found ? attempt->user : NULL, UUID_SIZE);
    store_add_text(&params, reason);
    store_add_integer(&params, attempt->failures);
    store_add_text(&params, attempt->known ? "t" : "f");
    store_add_text(&params, thread->auth->limits);
    store_add_text(&params, attempt->origin);
    send_end(attempt, "login_failed", &params);
}

static void end_undo(struct attempt *attempt) {
    if (attempt->on_undone != NULL) {
        attempt->on_undone(attempt);
    } else {
        http_request_release(attempt->request);
    }
}

static void on_undone(struct store_query *query, enum store_end end, const PGresult *rows) {
    (void)end; /* it stays a failure, then */
    (void)rows;
    end_undo((struct attempt *)query);
}

void attempt_undo(struct attempt *attempt) {
    struct auth_thread *thread = http_thread_state(attempt->request);
    attempt->query =
        (struct store_query){.on_end = on_undone, .statement = "login_undone", .writes = true};
    struct store_params params = {.count = 0};
    store_add_bytes(&params, attempt->name_key, ATTEMPT_KEY_SIZE);
    store_add_bytes(&params, attempt->device_key, ATTEMPT_KEY_SIZE);
    store_add_text(&params, attempt->known ? "t" : "f");
    store_add_text(&params, attempt->address);
    store_add_text(&params, thread->auth->limits);
    if (!store_query(thread, &attempt->query, &params)) {
        end_undo(attempt);
    }
}
