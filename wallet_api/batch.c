/*
 * batch: POST /wallet/batch, up to 1,000 money operations in one request, each with its own key
 * and outcome, or all-or-nothing ("atomic": true).
 *
 * An operation that is wrong by its form, or dated by somebody who is no operator, never reaches
 * the journal and never hides its neighbours; the others become one array of commands, submitted
 * together.  The answer is given when the last of them has ended, or by the deadline: what was
 * decided by then is told, what could still be taken back is `unavailable`, and the rest
 * `outcome_unknown`.  The array stays alive until the last on_outcome.
 *
 * The status of the whole: 200 when the operations were worked on one by one, or all of an atomic
 * batch are posted, some perhaps by the same request before; of an atomic batch that was refused
 * the status says so (422), because a client may look at nothing else; 409 when all of it was
 * posted before; 503 when nothing was decided.
 */
#include <stdio.h>

#include "wallet_api/handlers.h"
#include "wallet_api/operation.h"
#include "wallet_api/problems.h"
#include "wallet_api/wallet.h"

#define FIELD_NAME_MAX      (sizeof "operations[999]." + OPERATION_NAME_MAX)
#define RESULT_JSON_MAX     1536UL
#define ENVELOPE_JSON_MAX   4096UL
#define ENVELOPE_ERRORS_MAX 20

/* What became of one operation. */
enum item_state {
    ITEM_INVALID,   /* refused by its form; it has errors and no command */
    ITEM_FORBIDDEN, /* has an effective time, and its caller is no operator; no command */
    ITEM_OPEN,      /* with the journal */
    ITEM_ENDED,     /* its command tells */
};

struct item {
    enum item_state state;
    struct journal_command *command;
    struct operation_errors *errors;
};

struct batch {
    struct http_request *request;
    struct wallet_thread *thread;
    bool atomic, may_date;
    size_t count;
    struct item *items;
    struct journal_command *commands; /* of the valid items, in order */
    struct item **items_of_commands;
    size_t command_count, open;
};

/* ---- parse and validate ---- */

static void read_item(struct batch *batch, size_t index, const struct json_node *node) {
    struct item *item = &batch->items[index];
    struct journal_command *command = &batch->commands[batch->command_count];
    struct operation_errors errors = {0};
    const struct json_node *type = node->type == JSON_OBJECT ? json_member(node, "type") : NULL;
    enum posting_kind kind;
    if (node->type == JSON_OBJECT && operation_is_dated(node) && !batch->may_date) {
        item->state = ITEM_FORBIDDEN;
        return;
    }
    if (node->type != JSON_OBJECT) {
        operation_refuse(&errors, "", "must be an object");
    } else if (type == NULL || type->type != JSON_STRING ||
               !operation_kind_parse(type->text, type->length, &kind)) {
        operation_refuse(&errors, "type", "must be one of deposit, withdraw, transfer");
    } else {
        operation_read(node, kind, OPERATION_OF_BATCH, command, &errors);
    }
    if (errors.count > 0) {
        item->errors = http_alloc(batch->request, sizeof errors);
        operation_errors_copy(item->errors, &errors);
        *command = (struct journal_command){0};
        return;
    }
    command->principal = handler_principal(batch->request);
    journal_digest(command);
    item->command = command;
    batch->items_of_commands[batch->command_count] = item;
    batch->command_count++;
}

static bool read_envelope(struct http_request *request, const struct json_node **operations,
                          bool *atomic) {
    static const char *const names[] = {"operations", "atomic"};
    const struct json_node *body = http_json(request);
    size_t header_count = 0;
    http_header(request, "idempotency-key", &header_count);
    if (header_count > 0) {
        http_reply_field(request, "Idempotency-Key",
                         "is not allowed here: each operation has its own idempotency_key");
        return false;
    }
    if (!http_only_members(request, body, names, 2)) {
        return false;
    }
    *operations = json_member(body, "operations");
    if (*operations == NULL || (*operations)->type != JSON_ARRAY || (*operations)->count < 1 ||
        (*operations)->count > BATCH_OPERATIONS_MAX) {
        http_reply_field(request, "operations", "must be an array of 1 to 1000 operations");
        return false;
    }
    const struct json_node *flag = json_member(body, "atomic");
    if (flag != NULL && flag->type != JSON_BOOLEAN) {
        http_reply_field(request, "atomic", "must be true or false");
        return false;
    }
    *atomic = flag != NULL && flag->boolean;
    return true;
}

static struct batch *read_batch(struct http_request *request, const struct json_node *operations,
                                bool atomic) {
    struct batch *batch = http_alloc(request, sizeof *batch);
    size_t count = operations->count;
    batch->request = request;
    batch->thread = http_thread_state(request);
    batch->atomic = atomic;
    batch->may_date = (http_roles(request) & HTTP_ROLE_OPERATOR) != 0;
    batch->count = count;
    batch->items = http_alloc(request, count * sizeof *batch->items);
    batch->commands = http_alloc(request, count * sizeof *batch->commands);
    batch->items_of_commands = http_alloc(request, count * sizeof(struct item *));
    size_t index = 0;
    for (const struct json_node *node = operations->first; node != NULL; node = node->next) {
        read_item(batch, index, node);
        index++;
    }
    return batch;
}

/* ---- reply ---- */

/* The command as this answer sees it: one that is still with the journal is unknown. */
static struct journal_command seen(const struct batch *batch, size_t command_index) {
    struct journal_command command = batch->commands[command_index];
    if (batch->items_of_commands[command_index]->state == ITEM_OPEN) {
        command.end = JOURNAL_UNKNOWN;
    }
    return command;
}

/* "operations[3].amount", in the request's memory. */
static const char *field_name(const struct batch *batch, size_t index, const char *field) {
    char *name = http_alloc(batch->request, FIELD_NAME_MAX);
    snprintf(name, FIELD_NAME_MAX, "operations[%zu]%s%s", index, field[0] != '\0' ? "." : "",
             field);
    return name;
}

static void extend_index(struct json_writer *writer, const void *context) {
    const size_t *index = context;
    json_write_key(writer, "index");
    json_write_integer(writer, (int64_t)*index);
}

static void write_invalid(struct json_writer *writer, const struct batch *batch, size_t index) {
    const struct operation_errors *errors = batch->items[index].errors;
    struct problem_field fields[OPERATION_ERRORS_MAX];
    for (size_t i = 0; i < errors->count; i++) {
        fields[i].field = field_name(batch, index, errors->fields[i].field);
        fields[i].reason = errors->fields[i].reason;
    }
    const struct problem problem = {.kind = &PROBLEM_VALIDATION,
                                    .fields = fields,
                                    .field_count = errors->count,
                                    .extend = extend_index,
                                    .context = &index};
    problem_write(writer, &problem, NULL);
}

static void write_result(struct json_writer *writer, const struct batch *batch, size_t index) {
    const struct item *item = &batch->items[index];
    if (item->state == ITEM_INVALID) {
        write_invalid(writer, batch, index);
        return;
    }
    if (item->state == ITEM_FORBIDDEN) {
        const struct problem problem = {
            .kind = &PROBLEM_INSUFFICIENT_ROLE, .extend = extend_index, .context = &index};
        problem_write(writer, &problem, NULL);
        return;
    }
    const struct journal_command command = seen(batch, (size_t)(item->command - batch->commands));
    struct operation_refusal refusal;
    if (operation_done(&command, false, &refusal)) {
        json_write_object_begin(writer);
        extend_index(writer, &index);
        json_write_key(writer, "status");
        json_write_integer(writer, 200);
        operation_write_posted(writer, &command);
        json_write_object_end(writer);
        return;
    }
    refusal.index = (int64_t)index;
    if (refusal.problem.field_count > 0) {
        refusal.field.field = field_name(batch, index, refusal.field.field);
    }
    problem_write(writer, &refusal.problem, NULL);
}

/* How many commands ended in each way. */
struct tally {
    size_t accepted, duplicates, decided, unknown, failed;
};

static struct tally tally_of(const struct batch *batch) {
    struct tally tally = {0};
    for (size_t i = 0; i < batch->command_count; i++) {
        const struct journal_command command = seen(batch, i);
        bool decided = command.end == JOURNAL_DECIDED;
        tally.decided += decided;
        tally.accepted += decided && command.outcome == POSTING_ACCEPTED;
        tally.duplicates += decided && command.outcome == POSTING_DUPLICATE;
        tally.unknown += command.end == JOURNAL_UNKNOWN;
        tally.failed += command.end == JOURNAL_FAILED;
    }
    return tally;
}

static void write_results(struct json_writer *writer, const void *context) {
    const struct batch *batch = context;
    size_t accepted = tally_of(batch).accepted;
    json_write_key(writer, "accepted");
    json_write_integer(writer, (int64_t)accepted);
    json_write_key(writer, "refused");
    json_write_integer(writer, (int64_t)(batch->count - accepted));
    json_write_key(writer, "results");
    json_write_array_begin(writer);
    for (size_t i = 0; i < batch->count; i++) {
        write_result(writer, batch, i);
    }
    json_write_array_end(writer);
}

/* The problem of the whole batch, or NULL: 200. */
static const struct problem_kind *problem_of(const struct batch *batch) {
    struct tally tally = tally_of(batch);
    if (batch->command_count > 0 && tally.decided == 0 && tally.failed == 0 &&
        (batch->atomic || batch->command_count == batch->count)) {
        return tally.unknown > 0 ? &PROBLEM_OUTCOME_UNKNOWN : &PROBLEM_UNAVAILABLE;
    }
    if (!batch->atomic) {
        return NULL;
    }
    if (tally.failed > 0) {
        return &PROBLEM_INTERNAL;
    }
    if (tally.accepted + tally.duplicates < batch->count) {
        return &PROBLEM_BATCH_REFUSED;
    }
    return tally.accepted > 0 ? NULL : problems_of_outcome(POSTING_DUPLICATE);
}

/* The wrong fields of all operations, for `errors` of the whole; as many as there is room for. */
static size_t gather_errors(const struct batch *batch,
                            struct problem_field fields[static ENVELOPE_ERRORS_MAX]) {
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct operation_errors *errors = batch->items[i].errors;
        for (size_t j = 0; errors != NULL && j < errors->count && count < ENVELOPE_ERRORS_MAX;
             j++) {
            fields[count].field = field_name(batch, i, errors->fields[j].field);
            fields[count].reason = errors->fields[j].reason;
            count++;
        }
    }
    return count;
}

static void reply_problem(const struct batch *batch, struct json_writer *writer,
                          const struct problem_kind *kind) {
    struct http_request *request = batch->request;
    struct problem_field fields[ENVELOPE_ERRORS_MAX];
    struct problem problem = {
        .kind = kind, .detail = kind->detail, .extend = write_results, .context = batch};
    if (kind == &PROBLEM_BATCH_REFUSED) {
        problem.fields = fields;
        problem.field_count = gather_errors(batch, fields);
    }
    problem_write(writer, &problem, http_request_id(request));
    size_t length;
    const char *text = json_writer_finish(writer, &length);
    if (text == NULL) {
        http_reply_kind(request, &PROBLEM_INTERNAL, NULL);
    } else {
        if (kind->status == 503) {
            http_set_header(request, "retry-after", "1");
        }
        http_reply_bytes(request, kind->status, "application/problem+json", text, length);
    }
    json_writer_free(writer);
}

static void reply(const struct batch *batch) {
    if (!http_request_waiting(batch->request)) {
        return;
    }
    struct json_writer *writer = json_writer_create(
        ENVELOPE_JSON_MAX + ENVELOPE_ERRORS_MAX * 256UL + batch->count * RESULT_JSON_MAX);
    const struct problem_kind *kind = problem_of(batch);
    if (kind != NULL) {
        reply_problem(batch, writer, kind);
        return;
    }
    json_write_object_begin(writer);
    write_results(writer, batch);
    json_write_object_end(writer);
    http_reply(batch->request, 200, writer);
}

/* ---- submit ---- */

static void end_item(struct batch *batch, struct journal_command *command) {
    batch->items_of_commands[command - batch->commands]->state = ITEM_ENDED;
    batch->open--;
    operation_settle(command);
    wallet_count(batch->thread, command);
}

static void on_outcome(struct journal_command *command) {
    struct batch *batch = command->owner;
    end_item(batch, command);
    if (batch->open == 0) {
        struct http_request *request = batch->request;
        reply(batch);
        http_request_release(request);
    }
}

/* Takes back what can be; the journal treats an atomic batch as one. */
static void withdraw(struct batch *batch) {
    struct journal *journal = batch->thread->journal;
    size_t step = batch->atomic ? batch->command_count : 1;
    for (size_t i = 0; i < batch->command_count; i += step) {
        if (batch->items_of_commands[i]->state != ITEM_OPEN) {
            continue;
        }
        if (!journal_withdraw(journal, &batch->commands[i], step)) {
            continue;
        }
        for (size_t j = i; j < i + step; j++) {
            batch->commands[j].end = JOURNAL_UNAVAILABLE;
            end_item(batch, &batch->commands[j]);
        }
    }
}

static void on_deadline(void *owner) {
    struct batch *batch = owner;
    struct http_request *request = batch->request;
    withdraw(batch);
    reply(batch);
    if (batch->open == 0) {
        http_request_release(request);
    }
}

static void submit(struct batch *batch) {
    struct http_request *request = batch->request;
    for (size_t i = 0; i < batch->command_count; i++) {
        struct journal_command *command = &batch->commands[i];
        command->deadline_us = http_deadline_us(request);
        command->on_outcome = on_outcome;
        command->owner = batch;
        batch->items_of_commands[i]->state = ITEM_OPEN;
    }
    batch->open = batch->command_count;
    http_request_hold(request);
    http_on_deadline(request, on_deadline, batch);
    if (!journal_submit(batch->thread->journal, batch->commands, batch->command_count,
                        batch->atomic)) {
        for (size_t i = 0; i < batch->command_count; i++) {
            wallet_count_overloaded(batch->thread, batch->commands[i].kind);
        }
        handler_reply_busy(request, journal_ready(batch->thread->journal));
        http_request_release(request);
    }
}

/* An atomic batch with a wrong operation goes no further: the good ones are refused with it. */
static void refuse_whole(struct batch *batch) {
    for (size_t i = 0; i < batch->command_count; i++) {
        batch->commands[i].end = JOURNAL_DECIDED;
        batch->commands[i].outcome = POSTING_BATCH_REFUSED;
        batch->items_of_commands[i]->state = ITEM_ENDED;
    }
    reply(batch);
}

static bool has_forbidden(const struct batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->items[i].state == ITEM_FORBIDDEN) {
            return true;
        }
    }
    return false;
}

void batch_post(struct http_request *request) {
    const struct json_node *operations;
    bool atomic;
    if (!read_envelope(request, &operations, &atomic)) {
        return;
    }
    struct batch *batch = read_batch(request, operations, atomic);
    if (has_forbidden(batch)) {
        control_denied(request);
    }
    if (batch->command_count < batch->count && atomic) {
        refuse_whole(batch);
    } else if (batch->command_count == 0) {
        reply(batch);
    } else {
        submit(batch);
    }
}
