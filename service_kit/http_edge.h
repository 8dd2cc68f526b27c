/*
 * http_edge: the checks that libh2o 2.2.5 leaves out, as pure functions over bytes.
 *
 * The raw head of a request is read again, line by line, more strictly than libh2o reads it:
 * whatever two parsers could disagree about (where a request ends, whom it is for, which of two
 * headers counts) is refused.
 */
#ifndef PACIOLI_SERVICE_KIT_HTTP_EDGE_H
#define PACIOLI_SERVICE_KIT_HTTP_EDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service_kit/http.h"

#define HTTP_HEAD_MAX_BYTES   16384
#define HTTP_HEADER_LINES_MAX 100 /* libh2o's own limit */
#define HTTP_REQUEST_ID_MAX   64
#define HTTP_TRACE_ID_LENGTH  32

/* Headers that the edge looks at itself; each may stand once. */
enum http_known {
    HTTP_KNOWN_HOST,
    HTTP_KNOWN_CONTENT_LENGTH,
    HTTP_KNOWN_TRANSFER_ENCODING,
    HTTP_KNOWN_AUTHORIZATION,
    HTTP_KNOWN_IDEMPOTENCY_KEY,
    HTTP_KNOWN_CONTENT_TYPE,
    HTTP_KNOWN_REQUEST_ID,
    HTTP_KNOWN_TRACEPARENT,
    HTTP_KNOWN_COUNT,
};

/* Offsets into the head's bytes; the value without the white space around it. */
struct http_line {
    uint16_t name, name_length;
    uint16_t value, value_length;
};

struct http_head {
    uint16_t length; /* of the head, with its empty line */
    uint16_t method, method_length;
    uint16_t path, path_length; /* raw, without the query */
    uint16_t query, query_length;
    bool has_query;
    uint8_t minor_version;
    uint8_t line_count;
    uint8_t known_count[HTTP_KNOWN_COUNT];
    uint8_t known_line[HTTP_KNOWN_COUNT]; /* of the first */
    struct http_line lines[HTTP_HEADER_LINES_MAX];
};

enum http_fault {
    HTTP_FAULT_NONE,
    HTTP_FAULT_REQUEST_LINE,      /* not "METHOD target HTTP/1.x", or a byte that no URI has */
    HTTP_FAULT_TARGET,            /* not a path: absolute form, authority form, "*" */
    HTTP_FAULT_BARE_LF,           /* a line that does not end in CR LF */
    HTTP_FAULT_FOLDED,            /* obs-fold */
    HTTP_FAULT_HEADER,            /* a name that is no token, or a control byte in a value */
    HTTP_FAULT_HOST,              /* none (HTTP/1.1), two, or not a host */
    HTTP_FAULT_LENGTH,            /* two Content-Length, or not a number */
    HTTP_FAULT_LENGTH_AND_CODING, /* Content-Length and Transfer-Encoding */
    HTTP_FAULT_CODING,            /* Transfer-Encoding: 411 */
    HTTP_FAULT_REPEATED,          /* two lines of another header that may stand once */
    HTTP_FAULT_AUTHORIZATION,     /* two Authorization lines */
    HTTP_FAULT_TOO_LARGE,         /* 431 */
    HTTP_FAULT_COUNT,
};

/*
 * Reads the head at `bytes`.  On a fault *head holds what was read before it (zero lengths where
 * nothing was).  `length` may go beyond the head.
 */
__attribute__((warn_unused_result)) enum http_fault http_edge_read(const char *bytes, size_t length,
                                                                   struct http_head *head);
/* How a fault is answered, with which detail, and whether the connection must end with it because
 * it is not certain where the next request begins. */
const struct problem_kind *http_fault_kind(enum http_fault fault);
const char *http_fault_detail(enum http_fault fault);
bool http_fault_closes(enum http_fault fault);

/* Is the header line's name equal to `name` (lower case)? */
bool http_edge_name_is(const char *bytes, const struct http_line *line, const char *name);

enum http_credentials {
    HTTP_CREDENTIALS_NONE,      /* another scheme than Bearer */
    HTTP_CREDENTIALS_MALFORMED, /* Bearer, but not one space and one token */
    HTTP_CREDENTIALS_TOKEN,
};
enum http_credentials http_edge_bearer(struct http_text value, struct http_text *token);

/* application/json, with no other parameter than charset=utf-8. */
bool http_edge_is_json(struct http_text content_type);
/* ^[A-Za-z0-9._-]{1,64}$ */
bool http_edge_request_id_valid(struct http_text value);
/* W3C traceparent of version 00..fe; *trace_id points at its 32 lower-case hex digits. */
bool http_edge_trace_id(struct http_text value, struct http_text *trace_id);

/*
 * Percent-decodes `in` into `out` (room for in.length bytes). False: a '%' without two hex digits,
 * or a NUL.
 */
__attribute__((warn_unused_result)) bool http_edge_decode(struct http_text in, bool plus_is_space,
                                                          char *out, size_t *out_length);

enum http_found { HTTP_FOUND_NONE, HTTP_FOUND_ONE, HTTP_FOUND_TWICE, HTTP_FOUND_BAD };
/* The parameter of that name in a query; its decoded value in `out` (room for query.length). */
enum http_found http_edge_query(struct http_text query, const char *name, char *out,
                                size_t *out_length);

#endif
