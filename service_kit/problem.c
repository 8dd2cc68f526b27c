/*
 * Design.  A table of kinds and one writer.  Two answers for the same reason have the same bytes
 * (an unknown user and a wrong password must not be told apart), so the request's id stands in the
 * body of our own faults (5xx) alone; every answer has it in X-Request-Id.
 */
#include "service_kit/problem.h"

#include <stdio.h>

#include "service_kit/json.h"

#define TYPE_PREFIX "urn:pacioli:problem:"
#define TEXT_MAX    512

const struct problem_kind PROBLEM_BAD_REQUEST = {400, "bad_request", "Malformed request",
                                                 "The request is not well-formed HTTP."};
const struct problem_kind PROBLEM_BAD_JSON = {400, "bad_json", "Malformed JSON",
                                              "The body is not well-formed JSON."};
const struct problem_kind PROBLEM_UNAUTHORIZED = {401, "unauthorized", "Not authenticated",
                                                  "A valid access token is required."};
const struct problem_kind PROBLEM_BAD_AUTHORIZATION = {
    400, "bad_authorization", "Malformed credentials",
    "One Authorization header of the form 'Bearer <token>' is required."};
const struct problem_kind PROBLEM_INSUFFICIENT_ROLE = {
    403, "insufficient_role", "Not allowed",
    "The access token has none of the roles that this call is for."};
const struct problem_kind PROBLEM_NOT_FOUND = {404, "not_found", "Not found",
                                               "There is nothing at this path."};
const struct problem_kind PROBLEM_METHOD_NOT_ALLOWED = {
    405, "method_not_allowed", "Method not allowed",
    "This path does not take this method; the Allow header names those that it takes."};
const struct problem_kind PROBLEM_LENGTH_REQUIRED = {
    411, "length_required", "Length required",
    "A body must come with Content-Length; Transfer-Encoding is not accepted."};
const struct problem_kind PROBLEM_BODY_TOO_LARGE = {413, "body_too_large", "Body too large",
                                                    "The body is larger than is accepted here."};
const struct problem_kind PROBLEM_MEDIA_TYPE = {
    415, "unsupported_media_type", "Unsupported media type",
    "The body must be application/json in UTF-8, named so in Content-Type."};
const struct problem_kind PROBLEM_VALIDATION = {422, "validation", "Validation failed",
                                                "The request was refused."};
const struct problem_kind PROBLEM_HEAD_TOO_LARGE = {
    431, "head_too_large", "Request header too large",
    "The request line and header fields are larger than is accepted."};
const struct problem_kind PROBLEM_INTERNAL = {500, "internal", "Internal error",
                                              "The service failed to answer this request."};
const struct problem_kind PROBLEM_UNAVAILABLE = {503, "unavailable", "Service unavailable",
                                                 "Nothing was done; try again later."};
const struct problem_kind PROBLEM_OVERLOADED = {
    503, "overloaded", "Service overloaded",
    "Too many requests are waiting; nothing was done, try again later."};
const struct problem_kind PROBLEM_DEADLINE = {503, "deadline", "No answer in time",
                                              "The service had no answer in time; try again."};

static void write_fields(struct json_writer *writer, const struct problem *problem) {
    json_write_key(writer, "errors");
    json_write_array_begin(writer);
    for (size_t i = 0; i < problem->field_count; i++) {
        json_write_object_begin(writer);
        json_write_member(writer, "field", problem->fields[i].field);
        json_write_member(writer, "reason", problem->fields[i].reason);
        json_write_object_end(writer);
    }
    json_write_array_end(writer);
}

void problem_write(struct json_writer *writer, const struct problem *problem,
                   const char *request_id) {
    const struct problem_kind *kind = problem->kind;
    char type[sizeof(TYPE_PREFIX) + 64];
    (void)snprintf(type, sizeof(type), TYPE_PREFIX "%s", kind->code);

    char text[TEXT_MAX];
    const char *detail = problem->detail != NULL ? problem->detail : kind->detail;
    if (problem->detail == NULL && problem->field_count > 0) {
        (void)snprintf(text, sizeof(text), "%s: %s", problem->fields[0].field,
                       problem->fields[0].reason);
        detail = text;
    }

    json_write_object_begin(writer);
    json_write_member(writer, "type", type);
    json_write_member(writer, "title", kind->title);
    json_write_key(writer, "status");
    json_write_integer(writer, kind->status);
    json_write_member(writer, "detail", detail);
    if (problem->field_count > 0)
        write_fields(writer, problem);
    if (problem->extend != NULL)
        problem->extend(writer, problem->context);
    if (kind->status >= 500 && request_id != NULL)
        json_write_member(writer, "request_id", request_id);
    json_write_object_end(writer);
}
