/*
 * Design.  Routes with the same pattern form a resource; resources are sorted so that the first
 * that fits is the most literal one.  A lookup splits and decodes the path once, then compares it
 * with the resources that have as many segments: a service has a few dozen at most, and a
 * comparison mostly ends at the first segment's length.
 *
 * A path is decoded per segment, so that "%2F" never becomes a separator.  A segment that decodes
 * to one with '/' in it, "." or ".." names nothing here: 404.
 */
#include "service_kit/http_router.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "service_kit/http_edge.h"
#include "service_kit/memory.h"

#define ALLOW_MAX 64

struct resource {
    size_t segment_count;
    struct http_text segments[HTTP_SEGMENTS_MAX]; /* of the pattern */
    bool is_parameter[HTTP_SEGMENTS_MAX];         /* then the segment is the name in the braces */
    const struct http_route *routes[HTTP_METHOD_COUNT];
    size_t numbers[HTTP_METHOD_COUNT];
    char allow[ALLOW_MAX];
};

struct http_router {
    struct resource *resources;
    size_t count;
};

static const char *const method_names[HTTP_METHOD_COUNT] = {
    [HTTP_GET] = "GET",     [HTTP_POST] = "POST",     [HTTP_PUT] = "PUT",
    [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
};

const char *http_method_name(enum http_method method) {
    return method_names[method];
}

/* ---- building ---- */

static void parse_pattern(struct resource *resource, const char *pattern) {
    assert(pattern[0] == '/');
    const char *at = pattern + 1;
    size_t parameters = 0;
    for (;;) {
        assert(resource->segment_count < HTTP_SEGMENTS_MAX);
        size_t index = resource->segment_count++;
        size_t length = strcspn(at, "/");
        if (at[0] == '{') {
            assert(length > 2 && at[length - 1] == '}');
            parameters++;
            assert(parameters <= HTTP_PARAMETERS_MAX);
            resource->is_parameter[index] = true;
            resource->segments[index] = (struct http_text){at + 1, length - 2};
        } else {
            resource->segments[index] = (struct http_text){at, length};
        }
        at += length;
        if (*at == '\0')
            return;
        at++;
    }
}

static bool same_text(struct http_text a, struct http_text b) {
    return a.length == b.length && (a.length == 0 || memcmp(a.base, b.base, a.length) == 0);
}

/* < 0: `a` is tried before `b`; 0: the same pattern, whatever its parameters are called. */
static int compare_resources(const void *a, const void *b) {
    const struct resource *left = a, *right = b;
    if (left->segment_count != right->segment_count)
        return left->segment_count < right->segment_count ? -1 : 1;
    for (size_t i = 0; i < left->segment_count; i++) {
        if (left->is_parameter[i] != right->is_parameter[i])
            return left->is_parameter[i] ? 1 : -1;
        if (left->is_parameter[i])
            continue;
        struct http_text l = left->segments[i], r = right->segments[i];
        int order = memcmp(l.base, r.base, l.length < r.length ? l.length : r.length);
        if (order != 0)
            return order;
        if (l.length != r.length)
            return l.length < r.length ? -1 : 1;
    }
    return 0;
}

static void append_allow(struct resource *resource, const char *name) {
    size_t length = strlen(resource->allow);
    size_t name_length = strlen(name);
    assert(length + 2 + name_length < ALLOW_MAX);
    if (length > 0) {
        memcpy(resource->allow + length, ", ", 2);
        length += 2;
    }
    memcpy(resource->allow + length, name, name_length + 1);
}

static void add_route(struct http_router *router, const struct http_route *route, size_t number) {
    struct resource made = {0};
    parse_pattern(&made, route->pattern);
    struct resource *resource = NULL;
    for (size_t i = 0; i < router->count; i++)
        if (compare_resources(&router->resources[i], &made) == 0)
            resource = &router->resources[i];
    if (resource == NULL) {
        resource = &router->resources[router->count++];
        *resource = made;
    }
    assert(route->method < HTTP_METHOD_COUNT && resource->routes[route->method] == NULL);
    for (size_t i = 0; i < made.segment_count; i++)
        assert(!made.is_parameter[i] || same_text(made.segments[i], resource->segments[i]));
    resource->routes[route->method] = route;
    resource->numbers[route->method] = number;
}

struct http_router *http_router_create(const struct http_route *const *routes, size_t count) {
    struct http_router *router = memory_allocate(1, sizeof(*router));
    router->resources = memory_allocate(count, sizeof(*router->resources));
    for (size_t i = 0; i < count; i++)
        add_route(router, routes[i], i);
    qsort(router->resources, router->count, sizeof(*router->resources), compare_resources);
    for (size_t i = 0; i < router->count; i++) {
        struct resource *resource = &router->resources[i];
        for (size_t method = 0; method < HTTP_METHOD_COUNT; method++) {
            if (resource->routes[method] == NULL)
                continue;
            append_allow(resource, method_names[method]);
            if (method == HTTP_GET)
                append_allow(resource, "HEAD");
        }
    }
    return router;
}

void http_router_free(struct http_router *router) {
    if (router == NULL)
        return;
    free(router->resources);
    free(router);
}

/* ---- finding ---- */

/* False: the path is malformed.  *count = 0: it names nothing. */
static bool split(struct http_text path, char *buffer, struct http_text *segments, size_t *count) {
    const char *at = path.base + 1;
    const char *end = path.base + path.length;
    bool nowhere = false;
    size_t found = 0;
    for (;;) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        struct http_text raw = {at, (size_t)((slash != NULL ? slash : end) - at)};
        size_t length = 0;
        if (!http_edge_decode(raw, false, buffer, &length))
            return false;
        bool dots = (length == 1 || length == 2) && memcmp(buffer, "..", length) == 0;
        if (found == HTTP_SEGMENTS_MAX || dots || memchr(buffer, '/', length) != NULL)
            nowhere = true;
        else
            segments[found++] = (struct http_text){buffer, length};
        buffer += length;
        if (slash == NULL)
            break;
        at = slash + 1;
    }
    *count = nowhere ? 0 : found;
    return true;
}

static bool fits(const struct resource *resource, const struct http_text *segments, size_t count) {
    if (resource->segment_count != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (resource->is_parameter[i] ? segments[i].length == 0
                                      : !same_text(resource->segments[i], segments[i]))
            return false;
    }
    return true;
}

static enum http_matching choose_method(const struct resource *resource, struct http_text method,
                                        struct http_match *match) {
    match->allow = resource->allow;
    match->head = method.length == 4 && memcmp(method.base, "HEAD", 4) == 0;
    for (size_t i = 0; i < HTTP_METHOD_COUNT; i++) {
        struct http_text name = {method_names[i], strlen(method_names[i])};
        if (resource->routes[i] == NULL ||
            !(same_text(name, method) || (match->head && i == HTTP_GET)))
            continue;
        match->route = resource->routes[i];
        match->number = resource->numbers[i];
        return HTTP_MATCHED;
    }
    return HTTP_NO_METHOD;
}

enum http_matching http_router_find(const struct http_router *router, struct http_text method,
                                    struct http_text path, char *buffer, struct http_match *match) {
    *match = (struct http_match){0};
    assert(path.length > 0 && path.base[0] == '/');
    struct http_text segments[HTTP_SEGMENTS_MAX];
    size_t count = 0;
    if (!split(path, buffer, segments, &count))
        return HTTP_BAD_PATH;
    for (size_t i = 0; count > 0 && i < router->count; i++) {
        const struct resource *resource = &router->resources[i];
        if (!fits(resource, segments, count))
            continue;
        for (size_t j = 0; j < count; j++)
            if (resource->is_parameter[j])
                match->parameters[match->parameter_count++] =
                    (struct http_parameter){resource->segments[j], segments[j]};
        return choose_method(resource, method, match);
    }
    return HTTP_NO_PATH;
}
