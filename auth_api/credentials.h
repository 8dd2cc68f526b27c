/*
 * credentials: the two members of a registration and of a login, read and checked.
 */
#ifndef PACIOLI_AUTH_API_CREDENTIALS_H
#define PACIOLI_AUTH_API_CREDENTIALS_H

#include <stdbool.h>

#include "auth_api/hashing.h"
#include "auth_api/store.h"

struct auth;
struct http_request;

/* A password that somebody has, or a new one, which has to keep today's rules. */
enum credentials_kind { CREDENTIALS_OLD, CREDENTIALS_NEW };

struct credentials {
    char username[STORE_USERNAME_MAX + 1];
};

/* Why a text cannot be a name, in English, or NULL. */
const char *credentials_name_refusal(const char *text, size_t length);

/* Why a text cannot be a new password of that user, in English, or NULL. */
const char *credentials_password_refusal(const struct auth *auth, const char *username,
                                         const char *text, size_t length);

/*
 * Reads `username`, and `password` into the hashing (its only copy of ours).  False: the request
 * was answered with 422, naming every wrong field.  Other members are ignored, as the demo did.
 */
__attribute__((warn_unused_result)) bool credentials_read(struct http_request *request,
                                                          enum credentials_kind kind,
                                                          struct credentials *credentials,
                                                          struct hashing *hashing);

#endif
