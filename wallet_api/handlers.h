/*
 * handlers: one function per route, and what several of them share.
 */
#ifndef PACIOLI_WALLET_API_HANDLERS_H
#define PACIOLI_WALLET_API_HANDLERS_H

#include <stdbool.h>

#include "ledger_core/engine/posting.h"
#include "ledger_core/journal/control.h"
#include "ledger_core/journal/reader.h"
#include "service_kit/http.h"

/* accounts.c */
void accounts_list(struct http_request *request);
void accounts_open(struct http_request *request);
void accounts_show(struct http_request *request);
/* money.c */
void money_deposit(struct http_request *request);
void money_withdraw(struct http_request *request);
void money_transfer(struct http_request *request);
/* history.c */
void history_list(struct http_request *request);
void history_transaction(struct http_request *request);
/* reports.c */
void reports_show(struct http_request *request); /* the report that the path names */
void reports_own_statement(struct http_request *request);
/* batch.c */
void batch_post(struct http_request *request);
/* control.c */
void control_freeze(struct http_request *request);
void control_unfreeze(struct http_request *request);
void control_close(struct http_request *request);
void control_reverse_transaction(struct http_request *request);
void control_periods_list(struct http_request *request);
void control_periods_close(struct http_request *request);
void control_audit(struct http_request *request);
/* adjustments.c */
void adjustments_list(struct http_request *request);
void adjustments_propose(struct http_request *request);
void adjustments_approve(struct http_request *request);
void adjustments_reject(struct http_request *request);
void adjustments_resolve_breaks(struct http_request *request);
/* The service's on_denied. */
void control_denied(struct http_request *request);

/* Most operations of one batch; also the limit of an all-or-nothing group. */
#define BATCH_OPERATIONS_MAX 1000
/* Room for that many transfers with the longest fields, and their JSON nodes. */
#define BATCH_BODY_MAX_BYTES (512UL * 1024)
#define BATCH_NODES_MAX      (BATCH_OPERATIONS_MAX * 7UL + 16)

/* ---- shared: each answers and returns false, so that the handler returns ---- */

struct ledger_uuid handler_principal(const struct http_request *request);
/* A path parameter that is a UUID; else 422. */
__attribute__((warn_unused_result)) bool handler_path_id(struct http_request *request,
                                                         const char *name, struct ledger_uuid *id);
/* A whole number in a query parameter, or `value` as it was when it is absent; else 422. */
__attribute__((warn_unused_result)) bool handler_query_number(struct http_request *request,
                                                              const char *name, int64_t minimum,
                                                              int64_t maximum, bool *given,
                                                              int64_t *value);

/* 503: nothing was queued, because the queue is full, or (not `ready`) the database is away. */
void handler_reply_busy(struct http_request *request, bool ready);
/* 503 outcome_unknown; `detail` NULL: the kind's. */
void handler_reply_unknown(struct http_request *request, const char *detail);
/* What to do about an account of which nobody knows whether it was opened. */
#define HANDLER_OPEN_UNKNOWN                                                                       \
    "It is not known yet whether the account was opened; the list of accounts tells."
/* Answers for every end of a reader call but READER_OK, which returns true.  `missing` answers
 * READER_NOT_FOUND. */
__attribute__((warn_unused_result)) bool handler_read_ok(struct http_request *request,
                                                         const struct reader_result *result,
                                                         const struct problem_kind *missing);
/* Answers for every end of an operator's call but what was done, now or (`replays`) by the same
 * request before, which returns true. */
__attribute__((warn_unused_result)) bool
handler_control_ok(struct http_request *request, const struct control_result *result, bool replays);

#endif
