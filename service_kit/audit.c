/*
 * Design.  The rows come as JSON from the database, newest first by id.  An id is taken before its
 * row is committed, so a row may appear behind a cursor that has already passed it; whoever follows
 * the trail reads it again from the top.
 */
#include "service_kit/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service_kit/http.h"
#include "service_kit/json.h"
#include "service_kit/log.h"
#include "service_kit/loop.h"

#define AGENT_MAX       256
#define ORIGIN_JSON_MAX 4096
#define LIMIT_DEFAULT   100
#define LIMIT_MAX       1000
#define FILTER_MAX      128
#define ROW_JSON_MAX    8192
#define RETRY_AFTER_S   1
#define MINUTE_US       60000000

/* The agent in the letters that a header may have; others are replaced, and it is cut. */
static const char *agent_of(struct http_request *request) {
    size_t count = 0;
    struct http_text agent = http_header(request, "user-agent", &count);
    size_t length = agent.base == NULL ? 0 : agent.length;
    length = length < AGENT_MAX ? length : AGENT_MAX;
    char *text = http_alloc(request, length + 1);
    for (size_t i = 0; i < length; i++) {
        bool printable = agent.base[i] >= 0x20 && agent.base[i] < 0x7f;
        text[i] = agent.base[i];
        if (!printable) {
            text[i] = '?';
        }
    }
    return text;
}

const char *audit_origin(struct http_request *request) {
    struct json_writer *writer = json_writer_create(ORIGIN_JSON_MAX);
    json_write_object_begin(writer);
    json_write_member(writer, "request_id", http_request_id(request));
    json_write_member(writer, "address", http_client(request));
    json_write_member(writer, "agent", agent_of(request));
    json_write_object_end(writer);
    size_t length = 0;
    const char *json = json_writer_finish(writer, &length);
    char *copy = http_alloc(request, length + 1);
    if (json != NULL) {
        memcpy(copy, json, length);
    }
    json_writer_free(writer);
    return json != NULL ? copy : "{}";
}

/* ---- refused authorisations ---- */

bool audit_spend(struct audit_budget *budget) {
    int64_t now_us = loop_clock_us();
    if (budget->since_us == 0 || now_us - budget->since_us >= MINUTE_US) {
        *budget = (struct audit_budget){.since_us = now_us};
    }
    if (budget->used == AUDIT_DENIALS_PER_MINUTE) {
        return false;
    }
    budget->used++;
    return true;
}

void audit_route(const struct http_request *request, char subject[static AUDIT_SUBJECT_SIZE]) {
    const struct http_route *route = http_route_of(request);
    snprintf(subject, AUDIT_SUBJECT_SIZE, "%s %s", http_method_name(route->method), route->pattern);
}

/* ---- GET /audit ---- */

enum { CURSOR, EVENT, OUTCOME, ACTOR, SUBJECT, FROM, TO, LIMIT, PARAMETERS, SCOPE = PARAMETERS };
static const char *const names[PARAMETERS] = {"cursor",  "event", "outcome", "actor",
                                              "subject", "from",  "to",      "limit"};

struct listing {
    struct http_request *request;
    size_t *in_flight;
    int64_t limit;
    const char *values[PARAMETERS + 1]; /* and the scope */
};

static bool read_number(const char *text, int64_t maximum, int64_t *number) {
    char *end = NULL;
    size_t length = strlen(text);
    if (length == 0 || length > 18 || strspn(text, "0123456789") != length) {
        return false;
    }
    *number = strtoll(text, &end, 10);
    return *number >= 1 && *number <= maximum;
}

/* "2026-01-31T12:00:00Z", with a fraction or an offset instead of Z if need be. */
static bool is_time(const char *text) {
    static const char form[] = "0000-00-00T00:00:00";
    size_t length = strlen(text);
    if (length < sizeof form || length > 40) {
        return false;
    }
    for (size_t i = 0; i < sizeof form - 1; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (form[i] == '0' ? !digit : text[i] != form[i]) {
            return false;
        }
    }
    return strspn(text + sizeof form - 1, "0123456789.:+-Z") == length - (sizeof form - 1);
}

/* Why a parameter cannot be, or NULL. */
static const char *refusal(struct listing *listing, size_t parameter) {
    const char *text = listing->values[parameter];
    int64_t number = 0;
    switch (parameter) {
    case CURSOR:
        return read_number(text, INT64_MAX, &number) ? NULL : "must be a cursor of this call";
    case LIMIT:
        return read_number(text, LIMIT_MAX, &listing->limit) ? NULL
                                                             : "must be a whole number, 1 to 1000";
    case OUTCOME:
        return strcmp(text, "success") == 0 || strcmp(text, "failure") == 0
                   ? NULL
                   : "must be success or failure";
    case FROM:
    case TO:
        return is_time(text) ? NULL : "must be a time such as 2026-01-31T12:00:00Z";
    default:
        return json_utf8_valid(text, strlen(text)) ? NULL : "must be text of at most 128 bytes";
    }
}

static bool read_parameters(struct http_request *request, struct listing *listing) {
    for (size_t i = 0; i < PARAMETERS; i++) {
        struct http_text text;
        if (!http_query(request, names[i], &text)) {
            return false;
        }
        if (text.base == NULL) {
            continue;
        }
        bool good = text.length <= FILTER_MAX && memchr(text.base, '\0', text.length) == NULL;
        if (good) {
            char *copy = http_alloc(request, text.length + 1);
            memcpy(copy, text.base, text.length);
            listing->values[i] = copy;
        }
        const char *reason = good ? refusal(listing, i) : "must be text of at most 128 bytes";
        if (reason != NULL) {
            http_reply_field(request, names[i], reason);
            return false;
        }
    }
    return true;
}

static void reply_rows(const struct listing *listing, const PGresult *rows) {
    int count = PQntuples(rows);
    struct json_writer *writer = json_writer_create((size_t)LIMIT_MAX * ROW_JSON_MAX);
    json_write_array_begin(writer);
    for (int i = 0; i < count; i++) {
        json_write_raw(writer, PQgetvalue(rows, i, 1), (size_t)PQgetlength(rows, i, 1));
    }
    json_write_array_end(writer);
    if (count == listing->limit) {
        http_set_header(listing->request, "X-Next-Cursor", PQgetvalue(rows, count - 1, 0));
    }
    http_reply(listing->request, 200, writer);
}

static void on_rows(void *owner, const struct db_result *result) {
    struct listing *listing = owner;
    struct http_request *request = listing->request;
    (*listing->in_flight)--;
    const bool refused = result->end == DB_END_ERROR;
    const bool no_time = refused && strncmp(result->sqlstate, "22", 2) == 0;
    if (refused && !no_time) {
        db_log_error("audit_list_failed", "audit_list", result);
    }
    if (result->end == DB_END_OK) {
        reply_rows(listing, result->statements[0]);
    } else if (no_time) {
        http_reply_field(request, "from", "or to is not a time");
    } else if (refused && !db_error_passes(result)) {
        http_reply_kind(request, &PROBLEM_INTERNAL, NULL);
    } else {
        http_reply_problem(request, &(struct problem){.kind = &PROBLEM_UNAVAILABLE,
                                                      .retry_after_s = RETRY_AFTER_S});
    }
    http_request_release(request);
}

void audit_list(struct http_request *request, struct db_pool *pool, size_t *in_flight,
                const char *scope) {
    struct listing *listing = http_alloc(request, sizeof *listing);
    listing->request = request;
    listing->in_flight = in_flight;
    listing->limit = LIMIT_DEFAULT;
    if (!read_parameters(request, listing)) {
        return;
    }
    char *limit = http_alloc(request, 24);
    snprintf(limit, 24, "%lld", (long long)listing->limit);
    listing->values[LIMIT] = limit;
    int count = PARAMETERS;
    if (scope != NULL) {
        size_t size = strlen(scope) + 1;
        char *copy = http_alloc(request, size);
        memcpy(copy, scope, size);
        listing->values[SCOPE] = copy;
        count++;
    }
    const struct db_call call = {.statement = "audit_list",
                                 .params = {.count = count, .values = listing->values}};
    http_request_hold(request);
    if (db_pool_query(pool, &call, on_rows, listing)) {
        (*in_flight)++;
        return;
    }
    http_reply_problem(
        request,
        &(struct problem){.kind = db_pool_ready(pool) ? &PROBLEM_OVERLOADED : &PROBLEM_UNAVAILABLE,
                          .retry_after_s = RETRY_AFTER_S});
    http_request_release(request);
}
