/*
 * Design.  A report that silently ignored what it was asked for would be taken for the answer: all
 * names that any report knows are looked at, and one that is not for this report is refused.
 */
#include "wallet_api/report_query.h"

#include <string.h>

#include "ledger_core/engine/asset.h"
#include "reports/moment.h"
#include "wallet_api/handlers.h"

#define PAGE_DEFAULT     100
#define DEPTH_MAX        16
#define ACCOUNT_TEXT_MAX 255

/* A parameter's text with its NUL, or NULL: absent. */
static bool read_text(struct http_request *request, const char *name, const char **text) {
    struct http_text value;
    *text = NULL;
    if (!http_query(request, name, &value)) {
        return false;
    }
    if (value.base == NULL) {
        return true;
    }
    if (memchr(value.base, '\0', value.length) != NULL) {
        http_reply_field(request, name, "must not hold a NUL");
        return false;
    }
    char *copy = http_alloc(request, value.length + 1);
    memcpy(copy, value.base, value.length);
    *text = copy;
    return true;
}

static bool refuse_others(struct http_request *request, unsigned needs) {
    static const struct {
        const char *name;
        unsigned needs;
    } parameters[] = {
        {"as_of", REPORT_AS_OF},     {"from", REPORT_PERIOD}, {"to", REPORT_PERIOD},
        {"depth", REPORT_DEPTH},     {"limit", REPORT_PAGES}, {"after", REPORT_PAGES},
        {"account", REPORT_ACCOUNT},
    };
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        struct http_text value;
        if (needs & parameters[i].needs) {
            continue;
        }
        if (!http_query(request, parameters[i].name, &value)) {
            return false;
        }
        if (value.base != NULL) {
            http_reply_field(request, parameters[i].name, "is not a parameter of this report");
            return false;
        }
    }
    return true;
}

static bool read_moment(struct http_request *request, const char *name, enum moment_edge edge,
                        const char **moment) {
    const char *text;
    *moment = NULL;
    if (!read_text(request, name, &text)) {
        return false;
    }
    if (text == NULL) {
        return true;
    }
    char *room = http_alloc(request, MOMENT_TEXT_SIZE);
    if (!moment_parse(text, strlen(text), edge, room)) {
        http_reply_field(request, name,
                         "must be a day (2026-11-24) or an RFC 3339 time (2026-11-24T12:00:00Z)");
        return false;
    }
    *moment = room;
    return true;
}

/* One of two words; `second` tells which. */
static bool read_choice(struct http_request *request, const char *name, const char *const words[2],
                        const char *reason, bool *second) {
    const char *text;
    if (!read_text(request, name, &text)) {
        return false;
    }
    if (text == NULL) {
        return true;
    }
    *second = strcmp(text, words[1]) == 0;
    if (!*second && strcmp(text, words[0]) != 0) {
        http_reply_field(request, name, reason);
        return false;
    }
    return true;
}

/* What the client would rather have, when no `format` says so. */
static bool prefers_csv(const struct http_request *request) {
    static const char csv[] = "text/csv";
    size_t count = 0;
    struct http_text accept = http_header(request, "accept", &count);
    return count == 1 && accept.length >= sizeof csv - 1 &&
           strncasecmp(accept.base, csv, sizeof csv - 1) == 0;
}

static bool read_scope(struct http_request *request, unsigned needs, struct report_request *query) {
    if (!read_text(request, "currency", &query->currency)) {
        return false;
    }
    if (query->currency != NULL && !asset_code_valid(query->currency, strlen(query->currency))) {
        http_reply_field(request, "currency", "must be a currency code such as USD");
        return false;
    }
    if (!(needs & REPORT_ACCOUNT)) {
        return true;
    }
    if (!read_text(request, "account", &query->account)) {
        return false;
    }
    if (query->account == NULL || strlen(query->account) > ACCOUNT_TEXT_MAX) {
        http_reply_field(request, "account", "must be the id or the code of an account");
        return false;
    }
    return true;
}

static bool read_times(struct http_request *request, struct report_request *query) {
    static const char *const words[] = {"booking", "effective"};
    if (!read_choice(request, "time", words, "must be booking or effective", &query->effective) ||
        !read_moment(request, "as_of", MOMENT_END, &query->as_of) ||
        !read_moment(request, "from", MOMENT_START, &query->from) ||
        !read_moment(request, "to", MOMENT_END, &query->to)) {
        return false;
    }
    if (query->from != NULL && query->to != NULL && strcmp(query->from, query->to) > 0) {
        http_reply_field(request, "from", "must not be later than to");
        return false;
    }
    return true;
}

static bool read_size(struct http_request *request, const struct report *report,
                      struct report_request *query) {
    bool given;
    int64_t depth = report->depth_default;
    query->row_limit = report->needs & REPORT_PAGES ? PAGE_DEFAULT : 0;
    if (!handler_query_number(request, "depth", 0, DEPTH_MAX, &given, &depth) ||
        !handler_query_number(request, "limit", 1, REPORT_PAGE_MAX, &given, &query->row_limit) ||
        !read_text(request, "after", &query->after)) {
        return false;
    }
    query->depth = (int)depth;
    if (query->after != NULL && !report_place_valid(report, query->after, strlen(query->after))) {
        http_reply_field(request, "after", "must be what a page of this report named as its next");
        return false;
    }
    return true;
}

static bool read_all(struct http_request *request, const struct report *report, unsigned needs,
                     struct report_request *query, enum report_format *format) {
    static const char *const words[] = {"json", "csv"};
    bool csv = prefers_csv(request);
    if (!refuse_others(request, needs) ||
        !read_choice(request, "format", words, "must be json or csv", &csv) ||
        !read_scope(request, needs, query) || !read_times(request, query) ||
        !read_size(request, report, query)) {
        return false;
    }
    *format = csv ? REPORT_FORMAT_CSV : REPORT_FORMAT_JSON;
    return true;
}

bool report_query_read(struct http_request *request, const struct report *report,
                       struct report_request *query, enum report_format *format) {
    return read_all(request, report, report->needs, query, format);
}

bool report_query_read_own(struct http_request *request, const struct report *report,
                           struct report_request *query, enum report_format *format) {
    return read_all(request, report, report->needs & ~(unsigned)REPORT_ACCOUNT, query, format);
}
