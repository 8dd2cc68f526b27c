/*
 * Helpers that answer for the handler when something is wrong, so that a handler reads as a
 * straight line.
 */
#include "wallet_api/handlers.h"

#include <stdio.h>
#include <string.h>

#include "service_kit/log.h"
#include "service_kit/uuid.h"
#include "wallet_api/problems.h"

#define RETRY_AFTER_S 1

struct ledger_uuid handler_principal(const struct http_request *request) {
    struct ledger_uuid principal;
    memcpy(principal.bytes, http_principal(request), sizeof principal.bytes);
    return principal;
}

bool handler_path_id(struct http_request *request, const char *name, struct ledger_uuid *id) {
    struct http_text text = http_parameter(request, name);
    if (!uuid_parse(text.base, text.length, id->bytes)) {
        http_reply_field(request, name, "must be a UUID");
        return false;
    }
    return true;
}

/* Digits alone, at most 19 of them, no sign. */
static bool parse_number(struct http_text text, int64_t *value) {
    if (text.length < 1 || text.length > 19) {
        return false;
    }
    int64_t number = 0;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.base[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, c - '0', &number)) {
            return false;
        }
    }
    *value = number;
    return true;
}

bool handler_query_number(struct http_request *request, const char *name, int64_t minimum,
                          int64_t maximum, bool *given, int64_t *value) {
    struct http_text text;
    *given = false;
    if (!http_query(request, name, &text)) {
        return false;
    }
    if (text.base == NULL) {
        return true;
    }
    *given = true;
    if (!parse_number(text, value) || *value < minimum || *value > maximum) {
        char reason[96];
        snprintf(reason, sizeof reason, "must be a whole number from %lld to %lld",
                 (long long)minimum, (long long)maximum);
        http_reply_field(request, name, reason);
        return false;
    }
    return true;
}

static void reply_later(struct http_request *request, const struct problem_kind *kind,
                        const char *detail) {
    const struct problem problem = {.kind = kind, .detail = detail, .retry_after_s = RETRY_AFTER_S};
    http_reply_problem(request, &problem);
}

void handler_reply_busy(struct http_request *request, bool ready) {
    reply_later(request, ready ? &PROBLEM_OVERLOADED : &PROBLEM_UNAVAILABLE, NULL);
}

void handler_reply_unknown(struct http_request *request, const char *detail) {
    reply_later(request, &PROBLEM_OUTCOME_UNKNOWN, detail);
}

static void log_failure(struct http_request *request, enum log_level level, const char *event,
                        const char *reason) {
    struct log_line line;
    log_begin(&line, level, event);
    log_string(&line, "request_id", http_request_id(request));
    log_string(&line, "reason", reason);
    log_end(&line);
}

bool handler_read_ok(struct http_request *request, const struct reader_result *result,
                     const struct problem_kind *missing) {
    switch (result->end) {
    case READER_OK:
        return true;
    case READER_NOT_FOUND:
        http_reply_kind(request, missing, NULL);
        break;
    case READER_NO_ASSET:
        http_reply_field(request, "currency", "is not a currency of this ledger");
        break;
    case READER_TOO_MANY_ACCOUNTS:
        http_reply_kind(request, &PROBLEM_ACCOUNT_LIMIT, NULL);
        break;
    case READER_UNAVAILABLE:
        log_failure(request, LOG_WARN, "read_unavailable", result->reason);
        handler_reply_busy(request, false);
        break;
    case READER_UNKNOWN:
        log_failure(request, LOG_WARN, "open_unknown", result->reason);
        handler_reply_unknown(request, HANDLER_OPEN_UNKNOWN);
        break;
    case READER_FAILED:
        log_failure(request, LOG_ERROR, "read_failed", result->reason);
        http_reply_kind(request, &PROBLEM_INTERNAL, NULL);
        break;
    }
    return false;
}

static void extend_refusal(struct json_writer *writer, const void *context) {
    const struct control_result *result = context;
    if (result->transaction[0] != '\0') {
        json_write_member(writer, "transaction", result->transaction);
    }
    if (strncmp(result->outcome, "duplicate", strlen("duplicate")) == 0) {
        json_write_key(writer, "same_request");
        json_write_boolean(writer, strcmp(result->outcome, "duplicate") == 0);
    }
}

/* The words of outcomes are problems' codes. */
static void refuse_control(struct http_request *request, const struct control_result *result,
                           bool replays) {
    const struct problem_kind *kind = problems_of_control(result->outcome);
    struct problem problem = {.kind = kind != NULL ? kind : &PROBLEM_INTERNAL,
                              .extend = extend_refusal,
                              .context = result};
    const struct problem_field field = {"Idempotency-Key", PROBLEM_KEY_REUSED.detail};
    if (replays && strcmp(result->outcome, "duplicate_changed") == 0) {
        problem.kind = &PROBLEM_KEY_REUSED;
        problem.fields = &field;
        problem.field_count = 1;
    }
    http_reply_problem(request, &problem);
}

bool handler_control_ok(struct http_request *request, const struct control_result *result,
                        bool replays) {
    switch (result->end) {
    case CONTROL_ANSWERED:
        if (strcmp(result->outcome, "done") == 0) {
            return true;
        }
        if (result->json != NULL && replays && strcmp(result->outcome, "duplicate") == 0) {
            http_set_header(request, "Idempotent-Replayed", "true");
            return true;
        }
        refuse_control(request, result, replays);
        break;
    case CONTROL_UNAVAILABLE:
        log_failure(request, LOG_WARN, "control_unavailable", result->reason);
        handler_reply_busy(request, false);
        break;
    case CONTROL_UNKNOWN:
        log_failure(request, LOG_WARN, "control_unknown", result->reason);
        handler_reply_unknown(request, NULL);
        break;
    case CONTROL_FAILED:
        log_failure(request, LOG_ERROR, "control_failed", result->reason);
        http_reply_kind(request, &PROBLEM_INTERNAL, NULL);
        break;
    }
    return false;
}
