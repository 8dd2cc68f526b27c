/*
 * routes: every call of the service; openapi.yaml documents the same list.
 */
#include "wallet_api/handlers.h"
#include "wallet_api/wallet.h"

#define MONEY_ROUTE(path, handler)                                                                 \
    {                                                                                              \
        .method = HTTP_POST, .pattern = path, .access = HTTP_BEARER, .body = HTTP_BODY_JSON,       \
        .handle = handler                                                                          \
    }
#define READ_ROUTE(path, handler)                                                                  \
    { .method = HTTP_GET, .pattern = path, .access = HTTP_BEARER, .handle = handler }
#define REPORT_ROUTE(name)                                                                         \
    {                                                                                              \
        .method = HTTP_GET, .pattern = "/reports/" name, .access = HTTP_BEARER,                    \
        .roles = HTTP_ROLE_OPERATOR | HTTP_ROLE_AUDITOR, .handle = reports_show                    \
    }

#define OPERATOR_ROUTE(path, handler)                                                              \
    {                                                                                              \
        .method = HTTP_POST, .pattern = path, .access = HTTP_BEARER, .roles = HTTP_ROLE_OPERATOR,  \
        .body = HTTP_BODY_JSON, .handle = handler                                                  \
    }

const struct http_route WALLET_ROUTES[] = {
    READ_ROUTE("/wallet/accounts", accounts_list),
    {.method = HTTP_POST,
     .pattern = "/wallet/accounts",
     .access = HTTP_BEARER,
     .body = HTTP_BODY_JSON_OPTIONAL,
     .handle = accounts_open},
    READ_ROUTE("/wallet/accounts/{id}", accounts_show),
    READ_ROUTE("/wallet/accounts/{id}/transactions", history_list),
    READ_ROUTE("/wallet/accounts/{id}/statement", reports_own_statement),
    READ_ROUTE("/wallet/transactions/{id}", history_transaction),
    MONEY_ROUTE("/wallet/deposit", money_deposit),
    MONEY_ROUTE("/wallet/withdraw", money_withdraw),
    MONEY_ROUTE("/wallet/transfer", money_transfer),
    {.method = HTTP_POST,
     .pattern = "/wallet/batch",
     .access = HTTP_BEARER,
     .body = HTTP_BODY_JSON,
     .body_max_bytes = BATCH_BODY_MAX_BYTES,
     .json_nodes_max = BATCH_NODES_MAX,
     .handle = batch_post},
    OPERATOR_ROUTE("/wallet/accounts/{id}/freeze", control_freeze),
    OPERATOR_ROUTE("/wallet/accounts/{id}/unfreeze", control_unfreeze),
    OPERATOR_ROUTE("/wallet/accounts/{id}/close", control_close),
    OPERATOR_ROUTE("/wallet/transactions/{id}/reverse", control_reverse_transaction),
    {.method = HTTP_GET,
     .pattern = "/reports/periods",
     .access = HTTP_BEARER,
     .roles = HTTP_ROLE_OPERATOR | HTTP_ROLE_AUDITOR,
     .handle = control_periods_list},
    OPERATOR_ROUTE("/reports/periods/close", control_periods_close),
    {.method = HTTP_GET,
     .pattern = "/reports/adjustments",
     .access = HTTP_BEARER,
     .roles = HTTP_ROLE_OPERATOR | HTTP_ROLE_AUDITOR,
     .handle = adjustments_list},
    OPERATOR_ROUTE("/reports/adjustments", adjustments_propose),
    OPERATOR_ROUTE("/reports/adjustments/{id}/approve", adjustments_approve),
    OPERATOR_ROUTE("/reports/adjustments/{id}/reject", adjustments_reject),
    OPERATOR_ROUTE("/reports/breaks/resolve", adjustments_resolve_breaks),
    {.method = HTTP_GET,
     .pattern = "/audit",
     .access = HTTP_BEARER,
     .roles = HTTP_ROLE_AUDITOR,
     .handle = control_audit},
    REPORT_ROUTE("accounts"),
    REPORT_ROUTE("trial-balance"),
    REPORT_ROUTE("balance-sheet"),
    REPORT_ROUTE("income-statement"),
    REPORT_ROUTE("journal"),
    REPORT_ROUTE("statement"),
    REPORT_ROUTE("customer-balances"),
    REPORT_ROUTE("daily-movement"),
    REPORT_ROUTE("breaks"),
    REPORT_ROUTE("reconciliation"),
};
const size_t WALLET_ROUTE_COUNT = sizeof WALLET_ROUTES / sizeof WALLET_ROUTES[0];
