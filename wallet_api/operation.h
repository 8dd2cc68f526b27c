/*
 * operation: one money operation: read from a JSON object, answered as JSON.  Knows nothing of
 * requests, so that the single calls and the batch share every rule of the contract.
 */
#ifndef PACIOLI_WALLET_API_OPERATION_H
#define PACIOLI_WALLET_API_OPERATION_H

#include <stdbool.h>
#include <stddef.h>

#include "ledger_core/journal/journal.h"
#include "service_kit/json.h"
#include "service_kit/problem.h"
#include "service_kit/uuid.h"

/* Every field wrong, and one unknown member, of a batch's operation. */
#define OPERATION_ERRORS_MAX 6
/* Longest name of an unknown member that is repeated to the client. */
#define OPERATION_NAME_MAX 64

struct operation_errors {
    size_t count;
    struct problem_field fields[OPERATION_ERRORS_MAX];
    char unknown[OPERATION_NAME_MAX + 1]; /* what one of the fields may point to */
};
void operation_refuse(struct operation_errors *errors, const char *field, const char *reason);
/* A plain assignment would leave a field pointing into the original. */
void operation_errors_copy(struct operation_errors *copy, const struct operation_errors *errors);

enum operation_source {
    OPERATION_SINGLE,   /* the key may stand in a header: its member is not required */
    OPERATION_OF_BATCH, /* it has a member `type`, and needs a key */
};

/* "deposit", "withdraw", "transfer". */
bool operation_kind_parse(const char *text, size_t length, enum posting_kind *kind);
const char *operation_kind_name(enum posting_kind kind);

/* A time that a posting may have; NULL, or what is wrong with it. */
const char *operation_effective_at(const struct json_node *node, int64_t *unix_us);
/* Does the object ask for an effective time of its own?  That is for operators alone. */
bool operation_is_dated(const struct json_node *object);
/*
 * Fills kind, accounts, amount, effective time and the body's key of the command, and tells of
 * everything that is wrong; key_length stays 0 when there is no key.  The caller adds principal and
 * digest.
 */
void operation_read(const struct json_node *object, enum posting_kind kind,
                    enum operation_source source, struct journal_command *command,
                    struct operation_errors *errors);

/* The contract's form of an idempotency key: ^[A-Za-z0-9][A-Za-z0-9_.-]{7,127}$ */
bool operation_key_valid(const char *text, size_t length);
#define OPERATION_KEY_RULE                                                                         \
    "must be 8 to 128 characters of A-Z a-z 0-9 _ . - and begin with a letter or a digit"
/*
 * The key in the value of an Idempotency-Key header: bare, or a structured-field string ("...").
 * False when it is not of the contract's form.
 */
bool operation_header_key(const char *value, size_t length, const char **key, size_t *key_length);

/* For a command that has ended, before anything else: a closed period that it met when it was
 * written is a refusal, and no failure. */
void operation_settle(struct journal_command *command);

/* How an operation that was not done is told; lives beside its problem's texts. */
struct operation_refusal {
    struct problem problem;
    struct problem_field field;
    bool key_used; /* before; by the same request? */
    bool same_request;
    char transaction[UUID_TEXT_LENGTH + 1]; /* the one that used it, or "" */
    int64_t index;                          /* in a batch; -1: not of a batch */
};

/*
 * Is the command's money posted, by this request or, for a key in the header (`replays`), by the
 * same request before?  Else `refusal` holds the answer.  For commands that have ended.
 */
bool operation_done(const struct journal_command *command, bool replays,
                    struct operation_refusal *refusal);
bool operation_replayed(const struct journal_command *command);

/* {"status":"success","new_balance","transaction"}: a function of journal rows alone. */
void operation_write_success(struct json_writer *writer, const struct journal_command *command);
/* The members new_balance and transaction of an open object. */
void operation_write_posted(struct json_writer *writer, const struct journal_command *command);

#endif
