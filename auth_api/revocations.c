/*
 * Design.  Both ways read the same pages of the database's function auth.revocations.  A round
 * begins at the oldest transaction that was running when the last one began, so that one that
 * commits late is seen late and never missed.  What is added twice is the same.
 */
#include "auth_api/revocations.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth_api/auth.h"
#include "service_kit/log.h"
#include "service_kit/token_revocations.h"

#define INTERVAL_US    200000
#define PAGE_ROWS      1000
#define PAGE_BYTES_MAX 524288

enum { SUBJECT, KIND, ISSUED_UP_TO, EXPIRES_AT, POSITION, OLDEST };

/* A page without rows has one of nulls, which still tells the oldest transaction. */
static int count_rows(const PGresult *rows) {
    return PQgetisnull(rows, 0, SUBJECT) ? 0 : PQntuples(rows);
}

/* ---- this process ---- */

static bool read_row(const PGresult *rows, int row, struct token_revocation *revocation) {
    revocation->user = strcmp(PQgetvalue(rows, row, KIND), "user") == 0;
    revocation->issued_up_to_unix_s = strtoll(PQgetvalue(rows, row, ISSUED_UP_TO), NULL, 10);
    revocation->expires_at_unix_s = strtoll(PQgetvalue(rows, row, EXPIRES_AT), NULL, 10);
    return uuid_parse(PQgetvalue(rows, row, SUBJECT), UUID_TEXT_LENGTH, revocation->subject);
}

static bool add_rows(struct revocations_follower *follower, const PGresult *rows, int count) {
    struct token_revocation list[PAGE_ROWS];
    for (int row = 0; row < count; row++) {
        if (row == PAGE_ROWS || !read_row(rows, row, &list[row])) {
            return false;
        }
    }
    return token_revocations_add(follower->thread->auth->revocations, list, (size_t)count,
                                 (int64_t)time(NULL));
}

static void copy_position(char to[static REVOCATIONS_POSITION_SIZE], const PGresult *rows, int row,
                          int column) {
    const size_t length = (size_t)PQgetlength(rows, row, column);
    if (length < REVOCATIONS_POSITION_SIZE) {
        memcpy(to, PQgetvalue(rows, row, column), length + 1);
    }
}

static void ask(struct revocations_follower *follower);

static void on_page(struct store_query *query, enum store_end end, const PGresult *rows) {
    struct revocations_follower *follower = (struct revocations_follower *)query;
    follower->asking = false;
    if (end != STORE_DONE) {
        return; /* what is known stays known; the next round begins where this one did */
    }
    const int count = count_rows(rows);
    if (!add_rows(follower, rows, count)) {
        log_message(LOG_ERROR, "revocations_failed", "reason", "there are too many");
        return;
    }
    if (follower->oldest[0] == '\0') {
        copy_position(follower->oldest, rows, 0, OLDEST);
    }
    if (count == PAGE_ROWS) {
        copy_position(follower->position, rows, count - 1, POSITION);
        (void)uuid_parse(PQgetvalue(rows, count - 1, SUBJECT), UUID_TEXT_LENGTH, follower->beyond);
        ask(follower);
        return;
    }
    memcpy(follower->after, follower->oldest, sizeof follower->after);
    token_revocations_current(follower->thread->auth->revocations, follower->asked_at_us);
}

static void ask(struct revocations_follower *follower) {
    follower->query.on_end = on_page;
    follower->query.statement = "revocations";
    struct store_params params = {.count = 0};
    store_add_text(&params, follower->position);
    store_add_bytes(&params, follower->beyond, UUID_SIZE);
    store_add_integer(&params, PAGE_ROWS);
    follower->asking = store_query(follower->thread, &follower->query, &params);
}

static void on_timer(struct loop_timer *timer) {
    struct revocations_follower *follower =
        (struct revocations_follower *)(void *)((char *)timer -
                                                offsetof(struct revocations_follower, timer));
    loop_timer_start(follower->thread->loop, timer, INTERVAL_US);
    if (follower->asking) {
        return;
    }
    follower->asked_at_us = loop_clock_us();
    memcpy(follower->position, follower->after, sizeof follower->position);
    memset(follower->beyond, 0, sizeof follower->beyond);
    follower->oldest[0] = '\0';
    ask(follower);
}

void revocations_follow(struct revocations_follower *follower, struct auth_thread *thread) {
    follower->thread = thread;
    memcpy(follower->after, "0", 2);
    follower->timer.on_fire = on_timer;
    loop_timer_start(thread->loop, &follower->timer, 0);
}

void revocations_stop(struct revocations_follower *follower) {
    if (follower->thread != NULL) {
        loop_timer_stop(follower->thread->loop, &follower->timer);
    }
}

/* ---- GET /internal/revocations ---- */

struct feed {
    struct store_query query; /* first: a query is its feed */
    struct http_request *request;
};

static void write_row(struct json_writer *writer, const PGresult *rows, int row) {
    json_write_object_begin(writer);
    json_write_member(writer, "kind", PQgetvalue(rows, row, KIND));
    json_write_member(writer, "subject", PQgetvalue(rows, row, SUBJECT));
    json_write_key(writer, "issued_up_to");
    json_write_integer(writer, strtoll(PQgetvalue(rows, row, ISSUED_UP_TO), NULL, 10));
    json_write_key(writer, "expires_at");
    json_write_integer(writer, strtoll(PQgetvalue(rows, row, EXPIRES_AT), NULL, 10));
    json_write_member(writer, "position", PQgetvalue(rows, row, POSITION));
    json_write_object_end(writer);
}

static void on_feed(struct store_query *query, enum store_end end, const PGresult *rows) {
    struct feed *feed = (struct feed *)query;
    const struct auth_thread *thread = http_thread_state(feed->request);
    if (end != STORE_DONE) {
        store_refuse(feed->request, end);
        http_request_release(feed->request);
        return;
    }
    const int count = count_rows(rows);
    char version[PUBLISHED_VERSION_SIZE];
    published_version(thread->auth->published, version);
    struct json_writer *writer = json_writer_create(PAGE_BYTES_MAX);
    json_write_object_begin(writer);
    json_write_member(writer, "keys", version);
    json_write_member(writer, "next", PQgetvalue(rows, 0, OLDEST));
    json_write_key(writer, "more");
    json_write_boolean(writer, count == PAGE_ROWS);
    json_write_key(writer, "revocations");
    json_write_array_begin(writer);
    for (int row = 0; row < count; row++) {
        write_row(writer, rows, row);
    }
    json_write_array_end(writer);
    json_write_object_end(writer);
    http_reply(feed->request, 200, writer);
    http_request_release(feed->request);
}

static const struct problem_kind PROBLEM_FEED_CLOSED = {
    403, "feed_closed", "Feed closed", "This service tells nobody of ended sessions."};

/* Other services have the secret; without one nobody has. */
static bool is_authorized(struct http_request *request, const char *secret) {
    static const char scheme[] = "Bearer ";
    const size_t scheme_length = sizeof scheme - 1, secret_length = strlen(secret);
    if (secret_length == 0) {
        http_reply_kind(request, &PROBLEM_FEED_CLOSED, NULL);
        return false;
    }
    size_t count = 0;
    const struct http_text value = http_header(request, "authorization", &count);
    if (value.base != NULL && count == 1 && value.length == scheme_length + secret_length &&
        memcmp(value.base, scheme, scheme_length) == 0 &&
        CRYPTO_memcmp(value.base + scheme_length, secret, secret_length) == 0) {
        return true;
    }
    http_reply_kind(request, &PROBLEM_UNAUTHORIZED, NULL);
    return false;
}

static bool read_after(struct http_request *request, char after[static REVOCATIONS_POSITION_SIZE]) {
    struct http_text text;
    memcpy(after, "0", 2);
    if (!http_query(request, "after", &text)) {
        return false;
    }
    if (text.base == NULL) {
        return true;
    }
    bool good = text.length > 0 && text.length < 20; /* fits a transaction's number */
    for (size_t i = 0; good && i < text.length; i++) {
        good = text.base[i] >= '0' && text.base[i] <= '9';
    }
    if (!good) {
        http_reply_field(request, "after", "must be the number of a transaction");
        return false;
    }
    memcpy(after, text.base, text.length);
    after[text.length] = '\0';
    return true;
}

static bool read_beyond(struct http_request *request, uint8_t beyond[static UUID_SIZE]) {
    struct http_text text;
    memset(beyond, 0, UUID_SIZE);
    if (!http_query(request, "beyond", &text)) {
        return false;
    }
    if (text.base != NULL && !uuid_parse(text.base, text.length, beyond)) {
        http_reply_field(request, "beyond", "must be the subject of a revocation");
        return false;
    }
    return true;
}

void revocations_show(struct http_request *request) {
    struct auth_thread *thread = http_thread_state(request);
    struct feed *feed = http_alloc(request, sizeof *feed);
    char after[REVOCATIONS_POSITION_SIZE];
    uint8_t beyond[UUID_SIZE];
    if (!is_authorized(request, thread->auth->feed_secret) || !read_after(request, after) ||
        !read_beyond(request, beyond)) {
        return;
    }
    feed->request = request;
    feed->query.on_end = on_feed;
    feed->query.statement = "revocations";
    struct store_params params = {.count = 0};
    store_add_text(&params, after);
    store_add_bytes(&params, beyond, UUID_SIZE);
    store_add_integer(&params, PAGE_ROWS);
    http_request_hold(request);
    if (!store_query(thread, &feed->query, &params)) {
        auth_reply_busy(request);
        http_request_release(request);
    }
}
