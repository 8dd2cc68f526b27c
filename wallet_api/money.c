/*
 * money: deposit, withdraw, transfer.
 *
 * A request becomes one command of the journal.  The command lives in the held request's memory
 * and is given back in on_outcome alone, or when the deadline has taken it back from the queue; a
 * client that has left cancels nothing.
 */
#include <string.h>

#include "wallet_api/handlers.h"
#include "wallet_api/operation.h"
#include "wallet_api/problems.h"
#include "wallet_api/wallet.h"

#define ANSWER_JSON_MAX 1024

struct money_call {
    struct http_request *request;
    struct wallet_thread *thread;
    bool replays; /* the key stands in the header: a repetition gets the first answer */
    struct journal_command command;
};

/* ---- reply ---- */

static void reply(struct money_call *call) {
    struct operation_refusal refusal;
    if (!operation_done(&call->command, call->replays, &refusal)) {
        http_reply_problem(call->request, &refusal.problem);
        return;
    }
    struct json_writer *writer = json_writer_create(ANSWER_JSON_MAX);
    operation_write_success(writer, &call->command);
    if (operation_replayed(&call->command)) {
        http_set_header(call->request, "Idempotent-Replayed", "true");
    }
    http_reply(call->request, 200, writer);
}

static void on_outcome(struct journal_command *command) {
    struct money_call *call = command->owner;
    struct http_request *request = call->request;
    operation_settle(command);
    wallet_count(call->thread, command);
    reply(call);
    http_request_release(request);
}

static void on_deadline(void *owner) {
    struct money_call *call = owner;
    struct http_request *request = call->request;
    if (!journal_withdraw(call->thread->journal, &call->command, 1)) {
        handler_reply_unknown(request, NULL); /* on_outcome comes later, and releases */
        return;
    }
    call->command.end = JOURNAL_UNAVAILABLE;
    wallet_count(call->thread, &call->command);
    reply(call);
    http_request_release(request);
}

/* ---- parse and validate ---- */

static void refuse(struct http_request *request, const struct operation_errors *errors) {
    const struct problem problem = {
        .kind = &PROBLEM_VALIDATION, .fields = errors->fields, .field_count = errors->count};
    http_reply_problem(request, &problem);
}

/* The header's key, instead of the body's or beside it; the body's was read before. */
static void read_header_key(struct http_text header, struct money_call *call,
                            struct operation_errors *errors) {
    struct journal_command *command = &call->command;
    const char *key;
    size_t key_length;
    if (!operation_header_key(header.base, header.length, &key, &key_length)) {
        operation_refuse(errors, "Idempotency-Key", OPERATION_KEY_RULE);
        return;
    }
    if (command->key_length > 0 &&
        (command->key_length != key_length || memcmp(command->key, key, key_length) != 0)) {
        operation_refuse(errors, "Idempotency-Key", "differs from idempotency_key in the body");
        return;
    }
    memcpy(command->key, key, key_length);
    command->key[key_length] = '\0';
    command->key_length = (uint8_t)key_length;
    call->replays = true;
}

static bool read_call(struct money_call *call, enum posting_kind kind) {
    struct http_request *request = call->request;
    const struct json_node *body = http_json(request);
    struct operation_errors errors = {0};
    size_t header_count = 0;
    struct http_text header = http_header(request, "idempotency-key", &header_count);
    if (header_count > 1) {
        http_reply_kind(request, &PROBLEM_BAD_REQUEST, "More than one Idempotency-Key header");
        return false;
    }
    operation_read(body, kind, OPERATION_SINGLE, &call->command, &errors);
    if (header_count == 1) {
        read_header_key(header, call, &errors);
    } else if (json_member(body, "idempotency_key") == NULL) {
        operation_refuse(&errors, "idempotency_key",
                         "is required, here or in an Idempotency-Key header");
    }
    if (errors.count > 0) {
        refuse(request, &errors);
        return false;
    }
    call->command.principal = handler_principal(request);
    journal_digest(&call->command);
    return true;
}

/* ---- submit ---- */

static void submit(struct money_call *call) {
    struct http_request *request = call->request;
    struct journal_command *command = &call->command;
    command->deadline_us = http_deadline_us(request);
    command->on_outcome = on_outcome;
    command->owner = call;
    http_request_hold(request);
    http_on_deadline(request, on_deadline, call);
    if (!journal_submit(call->thread->journal, command, 1, false)) {
        wallet_count_overloaded(call->thread, command->kind);
        handler_reply_busy(request, journal_ready(call->thread->journal));
        http_request_release(request);
    }
}

static void handle(struct http_request *request, enum posting_kind kind) {
    struct money_call *call = http_alloc(request, sizeof *call);
    if (operation_is_dated(http_json(request)) && !http_require_role(request, HTTP_ROLE_OPERATOR)) {
        return;
    }
    call->request = request;
    call->thread = http_thread_state(request);
    if (read_call(call, kind)) {
        submit(call);
    }
}

void money_deposit(struct http_request *request) {
    handle(request, POSTING_DEPOSIT);
}

void money_withdraw(struct http_request *request) {
    handle(request, POSTING_WITHDRAW);
}

void money_transfer(struct http_request *request) {
    handle(request, POSTING_TRANSFER);
}
