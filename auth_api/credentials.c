/*
 * Design.  Both fields are looked at before the answer, so that a client learns of both at once.
 */
#include "auth_api/credentials.h"

#include <string.h>

#include "auth_api/auth.h"
#include "auth_api/blocklist.h"
#include "service_kit/http.h"

#define USERNAME_MIN 3

const char *credentials_name_refusal(const char *text, size_t length) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    for (size_t i = 0; i < length; i++) {
        if (memchr(allowed, text[i], sizeof allowed - 1) == NULL) {
            return "must consist of letters A-Z and a-z, digits, '_', '.' and '-'";
        }
    }
    return length < USERNAME_MIN || length > STORE_USERNAME_MAX ? "must have 3 to 64 characters"
                                                                : NULL;
}

/* The member, when it is a string that its rule lets pass; else adds to the refused fields. */
static const struct json_node *read_field(const struct json_node *body, const char *name,
                                          const char *(*refusal)(const char *text, size_t length),
                                          struct problem_field *refused, size_t *refused_count) {
    const struct json_node *node = json_member(body, name);
    const char *reason = NULL;
    if (node == NULL) {
        reason = "is required";
    } else if (node->type != JSON_STRING) {
        reason = "must be a string";
    } else {
        reason = refusal(node->text, node->length);
    }
    if (reason == NULL) {
        return node;
    }
    refused[(*refused_count)++] = (struct problem_field){name, reason};
    return NULL;
}

const char *credentials_password_refusal(const struct auth *auth, const char *username,
                                         const char *text, size_t length) {
    const char *reason = password_refusal(text, length);
    return reason != NULL ? reason : blocklist_refusal(auth->blocklist, username, text, length);
}

/* One that is common, or made of the name. */
static bool refuse_common(struct http_request *request, const struct json_node *username,
                          const struct json_node *password) {
    const struct auth_thread *thread = http_thread_state(request);
    const char *reason = credentials_password_refusal(thread->auth, username->text, password->text,
                                                      password->length);
    if (reason != NULL) {
        http_reply_field(request, "password", reason);
    }
    return reason != NULL;
}

bool credentials_read(struct http_request *request, enum credentials_kind kind,
                      struct credentials *credentials, struct hashing *hashing) {
    struct problem_field refused[2];
    size_t refused_count = 0;
    const struct json_node *body = http_json(request);
    const struct json_node *username =
        read_field(body, "username", credentials_name_refusal, refused, &refused_count);
    const struct json_node *password = read_field(
        body, "password", kind == CREDENTIALS_NEW ? password_refusal : password_impossible, refused,
        &refused_count);
    if (username == NULL || password == NULL) {
        const struct problem problem = {
            .kind = &PROBLEM_VALIDATION, .fields = refused, .field_count = refused_count};
        http_reply_problem(request, &problem);
        return false;
    }
    if (kind == CREDENTIALS_NEW && refuse_common(request, username, password)) {
        return false;
    }
    memcpy(credentials->username, username->text, username->length);
    credentials->username[username->length] = '\0';
    memcpy(hashing->password, password->text, password->length);
    hashing->password[password->length] = '\0';
    hashing->password_length = password->length;
    return true;
}
