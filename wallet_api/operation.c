/*
 * Reading gathers every wrong field instead of stopping at the first, so that a client learns all
 * of them at once.  Answering is a pure function of what the journal says about the command; an
 * accepted command and its replay have the same fields, and so the same bytes.
 */
#include "wallet_api/operation.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "reports/moment.h"
#include "wallet_api/problems.h"

#define AMOUNT_RULE                                                                                \
    "must be a decimal number such as 100 or \"100.50\": digits with at most one point, without "  \
    "sign, exponent or leading zeros"

void operation_refuse(struct operation_errors *errors, const char *field, const char *reason) {
    if (errors->count < OPERATION_ERRORS_MAX) {
        errors->fields[errors->count] = (struct problem_field){field, reason};
        errors->count++;
    }
}

void operation_errors_copy(struct operation_errors *copy, const struct operation_errors *errors) {
    *copy = *errors;
    for (size_t i = 0; i < copy->count; i++) {
        if (copy->fields[i].field == errors->unknown) {
            copy->fields[i].field = copy->unknown;
        }
    }
}

static const char *const KIND_NAMES[] = {[POSTING_DEPOSIT] = "deposit",
                                         [POSTING_WITHDRAW] = "withdraw",
                                         [POSTING_TRANSFER] = "transfer"};
#define KIND_COUNT (sizeof KIND_NAMES / sizeof KIND_NAMES[0])

bool operation_kind_parse(const char *text, size_t length, enum posting_kind *kind) {
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (strlen(KIND_NAMES[i]) == length && memcmp(KIND_NAMES[i], text, length) == 0) {
            *kind = (enum posting_kind)i;
            return true;
        }
    }
    return false;
}

const char *operation_kind_name(enum posting_kind kind) {
    assert((size_t)kind < KIND_COUNT);
    return KIND_NAMES[kind];
}

/* ---- reading ---- */

static bool is_alphanumeric(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_key_character(char c) {
    return is_alphanumeric(c) || c == '_' || c == '.' || c == '-';
}

bool operation_key_valid(const char *text, size_t length) {
    if (length < 8 || length > POSTING_KEY_MAX || !is_alphanumeric(text[0])) {
        return false;
    }
    for (size_t i = 1; i < length; i++) {
        if (!is_key_character(text[i])) {
            return false;
        }
    }
    return true;
}

bool operation_header_key(const char *value, size_t length, const char **key, size_t *key_length) {
    while (length > 0 && (value[length - 1] == ' ' || value[length - 1] == '\t')) {
        length--;
    }
    while (length > 0 && (value[0] == ' ' || value[0] == '\t')) {
        value++;
        length--;
    }
    if (length >= 2 && value[0] == '"' && value[length - 1] == '"') {
        value++;
        length -= 2;
    }
    *key = value;
    *key_length = length;
    return operation_key_valid(value, length);
}

static bool name_is(const struct json_node *member, const char *name) {
    return strlen(name) == member->key_length && memcmp(name, member->key, member->key_length) == 0;
}

/* A typo of a money field must not go unnoticed.  The first unknown member is named. */
static void refuse_unknown(const struct json_node *object, const char *const *names, size_t count,
                           struct operation_errors *errors) {
    for (const struct json_node *member = object->first; member != NULL; member = member->next) {
        bool known = false;
        for (size_t i = 0; i < count; i++) {
            known = known || name_is(member, names[i]);
        }
        if (known) {
            continue;
        }
        bool plain = member->key_length > 0 && member->key_length <= OPERATION_NAME_MAX;
        for (size_t i = 0; plain && i < member->key_length; i++) {
            plain = is_key_character(member->key[i]);
        }
        if (plain) {
            memcpy(errors->unknown, member->key, member->key_length);
            errors->unknown[member->key_length] = '\0';
        }
        operation_refuse(errors, plain ? errors->unknown : "body", "is not known here");
        return;
    }
}

static void read_account(const struct json_node *object, const char *name, struct ledger_uuid *id,
                         struct operation_errors *errors) {
    const struct json_node *node = json_member(object, name);
    if (node == NULL) {
        operation_refuse(errors, name, "is required");
    } else if (node->type != JSON_STRING || !uuid_parse(node->text, node->length, id->bytes)) {
        operation_refuse(errors, name, "must be a UUID");
    }
}

static void read_amount(const struct json_node *object, struct money_decimal *amount,
                        struct operation_errors *errors) {
    const struct json_node *node = json_member(object, "amount");
    if (node == NULL) {
        operation_refuse(errors, "amount", "is required");
        return;
    }
    if (node->type != JSON_STRING && node->type != JSON_NUMBER) {
        operation_refuse(errors, "amount", AMOUNT_RULE);
        return;
    }
    switch (money_parse(node->text, node->length, amount)) {
    case MONEY_PARSED:
        if (amount->coefficient == 0) {
            operation_refuse(errors, "amount", "must be greater than 0");
        }
        break;
    case MONEY_PARSE_SYNTAX:
        operation_refuse(errors, "amount", AMOUNT_RULE);
        break;
    case MONEY_PARSE_TOO_LARGE:
        operation_refuse(errors, "amount", "must have at most 38 digits");
        break;
    }
}

static void read_key(const struct json_node *object, enum operation_source source,
                     struct journal_command *command, struct operation_errors *errors) {
    const struct json_node *node = json_member(object, "idempotency_key");
    if (node == NULL) {
        if (source == OPERATION_OF_BATCH) {
            operation_refuse(errors, "idempotency_key", "is required");
        }
        return;
    }
    if (node->type != JSON_STRING || !operation_key_valid(node->text, node->length)) {
        operation_refuse(errors, "idempotency_key", OPERATION_KEY_RULE);
        return;
    }
    memcpy(command->key, node->text, node->length);
    command->key[node->length] = '\0';
    command->key_length = (uint8_t)node->length;
}

bool operation_is_dated(const struct json_node *object) {
    return json_member(object, "effective_at") != NULL;
}

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Balances move when a posting is booked: a time that is still to come would promise otherwise. */
const char *operation_effective_at(const struct json_node *node, int64_t *unix_us) {
    if (node->type != JSON_STRING ||
        !moment_parse_us(node->text, node->length, MOMENT_START, unix_us)) {
        return "must be a day (2026-10-31) or a time (2026-10-31T12:00:00Z)";
    }
    return *unix_us > now_us() ? "must have passed" : NULL;
}

static void read_effective_at(const struct json_node *object, struct journal_command *command,
                              struct operation_errors *errors) {
    const struct json_node *node = json_member(object, "effective_at");
    if (node == NULL) {
        return;
    }
    const char *wrong = operation_effective_at(node, &command->effective_us);
    if (wrong != NULL) {
        operation_refuse(errors, "effective_at", wrong);
    }
    command->dated = wrong == NULL;
}

void operation_read(const struct json_node *object, enum posting_kind kind,
                    enum operation_source source, struct journal_command *command,
                    struct operation_errors *errors) {
    static const char *const transfer_names[] = {"from_account_id", "to_account_id", "amount",
                                                 "idempotency_key", "effective_at",  "type"};
    static const char *const other_names[] = {"account_id", "amount", "idempotency_key",
                                              "effective_at", "type"};
    bool transfer = kind == POSTING_TRANSFER;
    size_t name_count = (transfer ? 5U : 4U) + (source == OPERATION_OF_BATCH ? 1U : 0U);

    command->kind = kind;
    if (transfer) {
        read_account(object, "from_account_id", &command->own_account, errors);
        read_account(object, "to_account_id", &command->other_account, errors);
    } else {
        read_account(object, "account_id", &command->own_account, errors);
    }
    read_amount(object, &command->amount, errors);
    read_key(object, source, command, errors);
    read_effective_at(object, command, errors);
    refuse_unknown(object, transfer ? transfer_names : other_names, name_count, errors);
}

/* ---- answering ---- */

void operation_settle(struct journal_command *command) {
    if (command->end == JOURNAL_FAILED && strcmp(command->sqlstate, "PC030") == 0) {
        command->end = JOURNAL_DECIDED;
        command->outcome = POSTING_PERIOD_LOCKED;
        command->has_balance = false;
    }
}

bool operation_replayed(const struct journal_command *command) {
    return command->end == JOURNAL_DECIDED && command->outcome == POSTING_DUPLICATE;
}

static void extend_refusal(struct json_writer *writer, const void *context) {
    const struct operation_refusal *refusal = context;
    if (refusal->index >= 0) {
        json_write_key(writer, "index");
        json_write_integer(writer, refusal->index);
    }
    if (refusal->transaction[0] != '\0') {
        json_write_member(writer, "transaction", refusal->transaction);
    }
    if (refusal->key_used) {
        json_write_key(writer, "same_request");
        json_write_boolean(writer, refusal->same_request);
    }
}

static void refuse_decided(const struct journal_command *command, bool replays,
                           struct operation_refusal *refusal) {
    const struct problem_kind *kind = problems_of_outcome(command->outcome);
    refusal->problem.kind = kind != NULL ? kind : &PROBLEM_INTERNAL;
    if (command->outcome == POSTING_DUPLICATE || command->outcome == POSTING_DUPLICATE_CHANGED) {
        static const struct ledger_uuid none; /* used twice within a group that was refused */
        refusal->key_used = true;
        refusal->same_request = command->outcome == POSTING_DUPLICATE;
        if (memcmp(&command->transaction_id, &none, sizeof none) != 0) {
            uuid_format(command->transaction_id.bytes, refusal->transaction);
        }
    }
    const char *field = problems_field(command->outcome, command->kind);
    if (command->outcome == POSTING_DUPLICATE_CHANGED && replays) {
        refusal->problem.kind = &PROBLEM_KEY_REUSED;
        field = "Idempotency-Key";
    }
    if (field != NULL) {
        refusal->field = (struct problem_field){field, refusal->problem.kind->detail};
        refusal->problem.fields = &refusal->field;
        refusal->problem.field_count = 1;
    }
}

bool operation_done(const struct journal_command *command, bool replays,
                    struct operation_refusal *refusal) {
    *refusal = (struct operation_refusal){.index = -1};
    refusal->problem.extend = extend_refusal;
    refusal->problem.context = refusal;
    switch (command->end) {
    case JOURNAL_DECIDED:
        if (command->has_balance && (command->outcome == POSTING_ACCEPTED ||
                                     (command->outcome == POSTING_DUPLICATE && replays))) {
            return true;
        }
        refuse_decided(command, replays, refusal);
        break;
    case JOURNAL_UNAVAILABLE:
        refusal->problem.kind = &PROBLEM_UNAVAILABLE;
        refusal->problem.retry_after_s = 1;
        break;
    case JOURNAL_UNKNOWN:
        refusal->problem.kind = &PROBLEM_OUTCOME_UNKNOWN;
        refusal->problem.retry_after_s = 1;
        break;
    case JOURNAL_FAILED:
        refusal->problem.kind = &PROBLEM_INTERNAL;
        break;
    }
    return false;
}

void operation_write_posted(struct json_writer *writer, const struct journal_command *command) {
    char balance[MONEY_TEXT_MAX];
    char transaction[UUID_TEXT_LENGTH + 1];
    size_t length = money_format(command->balance_minor, command->decimals, balance);
    uuid_format(command->transaction_id.bytes, transaction);
    json_write_key(writer, "new_balance");
    json_write_text(writer, balance, length);
    json_write_member(writer, "transaction", transaction);
}

void operation_write_success(struct json_writer *writer, const struct journal_command *command) {
    json_write_object_begin(writer);
    json_write_member(writer, "status", "success");
    operation_write_posted(writer, command);
    json_write_object_end(writer);
}
