/*
 * routes: every call of the service; openapi.yaml documents the same list.
 */
#include "auth_api/auth.h"

const struct http_route AUTH_ROUTES[] = {
    {.method = HTTP_POST,
     .pattern = "/users/",
     .access = HTTP_PUBLIC,
     .body = HTTP_BODY_JSON,
     .handle = users_create},
    {.method = HTTP_POST,
     .pattern = "/auth/login",
     .access = HTTP_PUBLIC,
     .body = HTTP_BODY_JSON,
     .handle = login_create},
    {.method = HTTP_GET,
     .pattern = "/audit",
     .access = HTTP_BEARER,
     .roles = HTTP_ROLE_AUDITOR,
     .handle = audit_show},
};
const size_t AUTH_ROUTE_COUNT = sizeof AUTH_ROUTES / sizeof *AUTH_ROUTES;
