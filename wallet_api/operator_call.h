/*
 * operator_call: what every call of an operator has: a reason, who asks and from where, perhaps an
 * idempotency key, and an answer that the database has written.
 */
#ifndef PACIOLI_WALLET_API_OPERATOR_CALL_H
#define PACIOLI_WALLET_API_OPERATOR_CALL_H

#include <stdbool.h>

#include "ledger_core/journal/control.h"
#include "reports/moment.h"
#include "service_kit/http.h"

struct wallet_thread;

/* In the request's memory. */
struct operator_call {
    struct control_call call;
    struct http_request *request;
    struct wallet_thread *thread;
    struct control_actor actor;
    bool replays; /* the key stands in the header: a repetition gets the first answer */
    char key[POSTING_KEY_MAX + 1];
    char to[MOMENT_TEXT_SIZE];
};

struct operator_call *operator_call_create(struct http_request *request);

/* A call on the resource that `id` in the path names, whose body is a reason and nothing else;
 * NULL: it has answered. */
struct operator_call *operator_call_reasoned(struct http_request *request, struct ledger_uuid *id);

/* The member `reason` of the body; the idempotency key, in the header or in the body.  Each answers
 * and returns false, so that the handler returns. */
__attribute__((warn_unused_result)) bool operator_call_reason(struct operator_call *operation);
__attribute__((warn_unused_result)) bool operator_call_key(struct operator_call *operation);

/* Before the call is sent: the request is held, and its deadline says that nobody knows. */
void operator_call_hold(struct operator_call *operation);
/* After the call was sent, or not. */
void operator_call_sent(struct operator_call *operation, bool accepted);
/* The result's JSON, or why it was not done; what `create` sets. */
void operator_call_on_result(struct control_call *call, const struct control_result *result);

#endif
