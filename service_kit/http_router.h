/*
 * http_router: method + raw path -> route and parameters, as a pure function over a table.
 *
 * A pattern is split at '/', a segment "{name}" takes any one non-empty segment.  A trailing slash
 * is part of a path: "/users/" and "/users" are two.  Where several patterns fit, a literal segment
 * wins over a parameter, from the left.
 */
#ifndef PACIOLI_SERVICE_KIT_HTTP_ROUTER_H
#define PACIOLI_SERVICE_KIT_HTTP_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "service_kit/http.h"

#define HTTP_SEGMENTS_MAX 12

struct http_router;

struct http_parameter {
    struct http_text name;
    struct http_text value;
};

struct http_match {
    const struct http_route *route;
    size_t number;     /* of the route in the table that the router was made from */
    const char *allow; /* what the path takes, for 405: "GET, HEAD, POST" */
    bool head;         /* HEAD, answered by a GET route */
    size_t parameter_count;
    struct http_parameter parameters[HTTP_PARAMETERS_MAX];
};

enum http_matching {
    HTTP_MATCHED,
    HTTP_NO_PATH,   /* 404 */
    HTTP_NO_METHOD, /* 405, with match->allow */
    HTTP_BAD_PATH,  /* 400: a '%' without two hex digits, or a NUL */
};

/* The routes must outlive the router.  A malformed pattern, or two routes for one method and
 * pattern, is a programmer's error and asserted. */
struct http_router *http_router_create(const struct http_route *const *routes, size_t count);
void http_router_free(struct http_router *router);

/* `buffer` has room for path.length bytes and keeps the parameters' values. */
enum http_matching http_router_find(const struct http_router *router, struct http_text method,
                                    struct http_text path, char *buffer, struct http_match *match);

#endif
