/*
 * problem: error answers as RFC 9457 problem details.
 *
 * Every refusal of a service is one row of a static table: code, status, title, and the default
 * detail.  `type` is "urn:pacioli:problem:<code>".  A reply may replace the detail, name the
 * fields that were wrong (422), and add members of its own.
 */
#ifndef PACIOLI_SERVICE_KIT_PROBLEM_H
#define PACIOLI_SERVICE_KIT_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>

struct json_writer;

struct problem_kind {
    int status;
    const char *code;   /* stable, snake_case */
    const char *title;  /* English, short */
    const char *detail; /* default text */
};

/* The kinds that every service has; a service adds tables of its own. */
extern const struct problem_kind PROBLEM_BAD_REQUEST;        /* 400 malformed HTTP */
extern const struct problem_kind PROBLEM_BAD_JSON;           /* 400 body is not JSON */
extern const struct problem_kind PROBLEM_UNAUTHORIZED;       /* 401 */
extern const struct problem_kind PROBLEM_BAD_AUTHORIZATION;  /* 400 two or malformed credentials */
extern const struct problem_kind PROBLEM_INSUFFICIENT_ROLE;  /* 403 the token lacks a role */
extern const struct problem_kind PROBLEM_NOT_FOUND;          /* 404 no such route */
extern const struct problem_kind PROBLEM_METHOD_NOT_ALLOWED; /* 405 */
extern const struct problem_kind PROBLEM_LENGTH_REQUIRED;    /* 411 */
extern const struct problem_kind PROBLEM_BODY_TOO_LARGE;     /* 413 */
extern const struct problem_kind PROBLEM_MEDIA_TYPE;         /* 415 */
extern const struct problem_kind PROBLEM_VALIDATION;         /* 422 */
extern const struct problem_kind PROBLEM_HEAD_TOO_LARGE;     /* 431 */
extern const struct problem_kind PROBLEM_INTERNAL;           /* 500 */
extern const struct problem_kind PROBLEM_UNAVAILABLE;        /* 503, nothing happened */
extern const struct problem_kind PROBLEM_OVERLOADED;         /* 503, a queue is full */
extern const struct problem_kind PROBLEM_DEADLINE;           /* 503, no answer in time (a read) */

/* One refused field of a 422. */
struct problem_field {
    const char *field;  /* "amount", "operations[3].amount" */
    const char *reason; /* English */
};

struct problem {
    const struct problem_kind *kind;
    const char *detail; /* NULL: the kind's; with fields: made from the first of them */
    const struct problem_field *fields;
    size_t field_count;
    int retry_after_s; /* > 0: Retry-After */
    /* Adds members to the open object; may be NULL. */
    void (*extend)(struct json_writer *writer, const void *context);
    const void *context;
};

/* Writes the object. `request_id` may be NULL. */
void problem_write(struct json_writer *writer, const struct problem *problem,
                   const char *request_id);

#endif
