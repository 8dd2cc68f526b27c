/*
 * Design.  A round asks for the revocations page by page, beginning at the oldest transaction that
 * was running when the last round began (migrations/auth/deploy/sessions.sql): what committed late
 * is seen late, and never missed.  Only a round that came to its end counts as current.  When the
 * issuer's numbers go backwards its database is another one: everything is asked for again.
 *
 * A failed round changes nothing: what is known stays known.  It is logged when it begins to fail
 * and when it works again, and once a minute in between.
 */
#include "service_kit/token_feed.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "service_kit/json.h"
#include "service_kit/log.h"
#include "service_kit/loop.h"
#include "service_kit/memory.h"
#include "service_kit/token_keys.h"
#include "service_kit/token_revocations.h"
#include "service_kit/uuid.h"

#define CONNECT_TIMEOUT_MS   1000L
#define REQUEST_TIMEOUT_MS   2000L
#define BODY_MAX             (1U << 20)
#define NODES_MAX            16384U
#define PAGE_MAX             1000U
#define PAGES_MAX            2000U
#define URL_MAX              2048U
#define VERSION_MAX          64U
#define UNKNOWN_INTERVAL_US  30000000
#define KEYS_INTERVAL_US     60000000 /* when their version has not changed */
#define KEYS_ALONE_US        1000000  /* when nothing tells their version */
#define COMPLAIN_INTERVAL_US 60000000
#define ANY_TIME             INT64_C(253402300799)

static const char nil_uuid[] = "00000000-0000-0000-0000-000000000000";

struct body {
    char *bytes;
    size_t length;
};

struct token_feed {
    struct token_feed_settings settings;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool stopping; /* under the mutex */
    _Atomic bool has_keys;
    _Atomic uint64_t failures;

    /* The thread's own. */
    CURL *curl;
    struct curl_slist *headers;
    struct body body;
    uint64_t after;                 /* where the next round begins */
    char version[VERSION_MAX + 1];  /* of the keys, as last told */
    char fetched[VERSION_MAX + 1];  /* of those that we have */
    int64_t fetched_us, unknown_us; /* when keys were fetched; because of an unknown one */
    int64_t complained_us;          /* 0: all is well */
};

/* ---- HTTP ---- */

static size_t on_bytes(char *bytes, size_t size, size_t count, void *owner) {
    struct token_feed *feed = owner;
    const size_t length = size * count;
    if (length > BODY_MAX - feed->body.length) {
        return 0; /* libcurl ends the transfer */
    }
    memcpy(feed->body.bytes + feed->body.length, bytes, length);
    feed->body.length += length;
    return length;
}

/* The answer, or NULL and what went wrong. */
static struct json_document *fetch(struct token_feed *feed, const char *url, bool authorized,
                                   const char **problem) {
    feed->body.length = 0;
    curl_easy_setopt(feed->curl, CURLOPT_URL, url);
    curl_easy_setopt(feed->curl, CURLOPT_HTTPHEADER, authorized ? feed->headers : NULL);
    const CURLcode code = curl_easy_perform(feed->curl);
    long status = 0;
    curl_easy_getinfo(feed->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK) {
        *problem = curl_easy_strerror(code);
        return NULL;
    }
    if (status != 200) {
        *problem = status == 401 ? "401: FEED_SECRET is not the issuer's" : "not answered with 200";
        return NULL;
    }
    struct json_error error;
    struct json_document *document =
        json_read(feed->body.bytes, feed->body.length, NODES_MAX, &error);
    if (document == NULL || json_root(document)->type != JSON_OBJECT) {
        *problem = "not a JSON object";
        json_free(document);
        return NULL;
    }
    return document;
}

static CURL *make_curl(struct token_feed *feed) {
    CURL *curl = curl_easy_init();
    if (curl == NULL) {
        return NULL;
    }
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, REQUEST_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* nor one of the environment */
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "pacioli");
    /* A deployment gives auth_api another address: a name is looked up for every new connection. */
    curl_easy_setopt(curl, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, feed);
    return curl;
}

/* ---- revocations ---- */

static bool read_integer(const struct json_node *object, const char *name, int64_t *value) {
    const struct json_node *node = json_member(object, name);
    if (node == NULL || node->type != JSON_NUMBER || node->length > 12) {
        return false;
    }
    char *end = NULL;
    *value = strtoll(node->text, &end, 10);
    return *end == '\0' && *value >= 0 && *value <= ANY_TIME;
}

static bool read_position(const struct json_node *object, const char *name, uint64_t *value) {
    const struct json_node *node = json_member(object, name);
    if (node == NULL || node->type != JSON_STRING || node->length == 0 || node->length > 19 ||
        strspn(node->text, "0123456789") != node->length) {
        return false;
    }
    *value = strtoull(node->text, NULL, 10);
    return true;
}

static bool read_revocation(const struct json_node *row, struct token_revocation *revocation) {
    const struct json_node *subject = json_member(row, "subject");
    const struct json_node *kind = json_member(row, "kind");
    if (row->type != JSON_OBJECT || subject == NULL || subject->type != JSON_STRING ||
        kind == NULL || kind->type != JSON_STRING ||
        !uuid_parse(subject->text, subject->length, revocation->subject)) {
        return false;
    }
    revocation->user = strcmp(kind->text, "user") == 0;
    return (revocation->user || strcmp(kind->text, "session") == 0) &&
           read_integer(row, "issued_up_to", &revocation->issued_up_to_unix_s) &&
           read_integer(row, "expires_at", &revocation->expires_at_unix_s);
}

/* The page's rows into the set.  `last`: the last of them, or NULL. */
static const char *apply(struct token_feed *feed, const struct json_node *page,
                         const struct json_node **last) {
    struct token_revocation list[PAGE_MAX];
    size_t count = 0;
    const struct json_node *rows = json_member(page, "revocations");
    if (rows == NULL || rows->type != JSON_ARRAY) {
        return "no list of revocations";
    }
    *last = NULL;
    for (const struct json_node *row = rows->first; row != NULL; row = row->next) {
        if (count == PAGE_MAX || !read_revocation(row, &list[count])) {
            return "a revocation that cannot be";
        }
        count++;
        *last = row;
    }
    return token_revocations_add(feed->settings.revocations, list, count, (int64_t)time(NULL))
               ? NULL
               : "more revocations than there is room for";
}

static void note_version(struct token_feed *feed, const struct json_node *page) {
    const struct json_node *version = json_member(page, "keys");
    if (version != NULL && version->type == JSON_STRING && version->length <= VERSION_MAX) {
        memcpy(feed->version, version->text, version->length + 1);
    }
}

/* One page.  NULL: good; *more says whether another follows, at *position and *subject. */
static const char *follow_page(struct token_feed *feed, uint64_t *position,
                               char subject[static UUID_TEXT_LENGTH + 1], uint64_t *oldest,
                               bool *more) {
    char url[URL_MAX];
    const char *problem = NULL;
    snprintf(url, sizeof url, "%s%cafter=%" PRIu64 "&beyond=%s", feed->settings.revocations_url,
             strchr(feed->settings.revocations_url, '?') == NULL ? '?' : '&', *position, subject);
    struct json_document *document = fetch(feed, url, true, &problem);
    if (document == NULL) {
        return problem;
    }
    const struct json_node *page = json_root(document);
    const struct json_node *last = NULL, *more_node = json_member(page, "more");
    note_version(feed, page);
    problem = apply(feed, page, &last);
    if (problem == NULL && (!read_position(page, "next", oldest) || more_node == NULL ||
                            more_node->type != JSON_BOOLEAN)) {
        problem = "no next";
    }
    *more = problem == NULL && more_node->boolean && last != NULL;
    if (*more) {
        const struct json_node *text = json_member(last, "subject");
        memcpy(subject, text->text, UUID_TEXT_LENGTH + 1);
        if (!read_position(last, "position", position)) {
            problem = "no position";
        }
    }
    json_free(document);
    return problem;
}

static const char *follow(struct token_feed *feed) {
    const int64_t asked_at_us = loop_clock_us();
    uint64_t position = feed->after, first_oldest = 0;
    char subject[UUID_TEXT_LENGTH + 1];
    memcpy(subject, nil_uuid, sizeof nil_uuid);
    bool more = true;
    for (size_t i = 0; more; i++) {
        uint64_t oldest = 0;
        const char *problem =
            i < PAGES_MAX ? follow_page(feed, &position, subject, &oldest, &more) : "no end";
        if (problem != NULL) {
            return problem;
        }
        if (i == 0 && oldest < feed->after) {
            log_message(LOG_WARN, "token_feed_restarted", "reason", "the issuer's numbers fell");
            feed->after = 0;
            return follow(feed);
        }
        first_oldest = i == 0 ? oldest : first_oldest;
    }
    feed->after = first_oldest;
    token_revocations_current(feed->settings.revocations, asked_at_us);
    return NULL;
}

/* ---- keys ---- */

static bool wants_keys(struct token_feed *feed, int64_t now_us) {
    const int64_t since_us = now_us - feed->fetched_us;
    const bool followed = feed->settings.revocations_url[0] != '\0';
    if (!atomic_load(&feed->has_keys) || strcmp(feed->version, feed->fetched) != 0 ||
        since_us >= (followed ? KEYS_INTERVAL_US : KEYS_ALONE_US)) {
        return true;
    }
    if (now_us - feed->unknown_us >= UNKNOWN_INTERVAL_US &&
        token_keys_take_unknown(feed->settings.keys)) {
        feed->unknown_us = now_us;
        return true;
    }
    return false;
}

static const char *follow_keys(struct token_feed *feed) {
    const char *problem = NULL;
    char version[VERSION_MAX + 1];
    memcpy(version, feed->version, sizeof version);
    struct json_document *document = fetch(feed, feed->settings.jwks_url, false, &problem);
    if (document == NULL) {
        return problem;
    }
    json_free(document);
    struct token_key list[TOKEN_KEYS_MAX];
    size_t count = 0;
    if (!token_keys_read(feed->body.bytes, feed->body.length, list, &count) ||
        !token_keys_replace(feed->settings.keys, list, count)) {
        return "not a set of keys";
    }
    memcpy(feed->fetched, version, sizeof version);
    feed->fetched_us = loop_clock_us();
    atomic_store(&feed->has_keys, true);
    return NULL;
}

/* ---- the thread ---- */

static void tell(struct token_feed *feed, const char *problem) {
    const int64_t now_us = loop_clock_us();
    if (problem != NULL) {
        atomic_fetch_add(&feed->failures, 1);
    }
    if (problem == NULL && feed->complained_us != 0) {
        log_message(LOG_INFO, "token_feed_works", "again", "yes");
        feed->complained_us = 0;
    } else if (problem != NULL &&
               (feed->complained_us == 0 || now_us - feed->complained_us >= COMPLAIN_INTERVAL_US)) {
        log_message(LOG_ERROR, "token_feed_failed", "problem", problem);
        feed->complained_us = now_us;
    }
}

static void run_round(struct token_feed *feed) {
    const char *problem = NULL;
    if (feed->settings.revocations_url[0] != '\0') {
        problem = follow(feed);
    }
    if (feed->settings.jwks_url[0] != '\0' && wants_keys(feed, loop_clock_us())) {
        const char *keys_problem = follow_keys(feed);
        problem = problem == NULL ? keys_problem : problem;
    }
    tell(feed, problem);
    log_flush();
}

/* False: it is time to stop. */
static bool wait_for_next(struct token_feed *feed) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    const int64_t ns = until.tv_nsec + feed->settings.interval_ms * 1000000;
    until.tv_sec += ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_mutex_lock(&feed->mutex);
    while (!feed->stopping &&
           pthread_cond_timedwait(&feed->changed, &feed->mutex, &until) != ETIMEDOUT) {
    }
    const bool go_on = !feed->stopping;
    pthread_mutex_unlock(&feed->mutex);
    return go_on;
}

static void *feed_main(void *argument) {
    struct token_feed *feed = argument;
    do {
        run_round(feed);
    } while (wait_for_next(feed));
    return NULL;
}

/* ---- life ---- */

static void free_feed(struct token_feed *feed) {
    curl_slist_free_all(feed->headers);
    if (feed->curl != NULL) {
        curl_easy_cleanup(feed->curl);
    }
    pthread_cond_destroy(&feed->changed);
    pthread_mutex_destroy(&feed->mutex);
    free(feed->body.bytes);
    free(feed);
}

struct token_feed *token_feed_start(const struct token_feed_settings *settings, char *error,
                                    size_t error_size) {
    static const char prefix[] = "Authorization: Bearer ";
    struct token_feed *feed = memory_allocate(1, sizeof *feed);
    feed->settings = *settings;
    feed->body.bytes = memory_allocate(1, BODY_MAX);
    feed->unknown_us = -UNKNOWN_INTERVAL_US;
    pthread_mutex_init(&feed->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&feed->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);

    const size_t header_size = sizeof prefix + strlen(settings->secret);
    char *header = memory_allocate(1, header_size);
    snprintf(header, header_size, "%s%s", prefix, settings->secret);
    feed->headers = curl_slist_append(NULL, header);
    explicit_bzero(header, header_size);
    free(header);
    feed->curl = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? make_curl(feed) : NULL;
    if (feed->curl == NULL || feed->headers == NULL ||
        pthread_create(&feed->thread, NULL, feed_main, feed) != 0) {
        snprintf(error, error_size, "the feed of revocations and keys cannot be started");
        free_feed(feed);
        return NULL;
    }
    return feed;
}

void token_feed_stop(struct token_feed *feed) {
    if (feed == NULL) {
        return;
    }
    pthread_mutex_lock(&feed->mutex);
    feed->stopping = true;
    pthread_cond_signal(&feed->changed);
    pthread_mutex_unlock(&feed->mutex);
    pthread_join(feed->thread, NULL);
    free_feed(feed);
}

bool token_feed_has_keys(const struct token_feed *feed) {
    return atomic_load(&feed->has_keys);
}

uint64_t token_feed_failures(const struct token_feed *feed) {
    return atomic_load(&feed->failures);
}
