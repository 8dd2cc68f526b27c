/*
 * http_tokens: access tokens that this thread has verified before.
 *
 * Verifying costs about as much as everything else that the edge does for a request, and a client
 * sends the same token again and again.
 */
#ifndef PACIOLI_SERVICE_KIT_HTTP_TOKENS_H
#define PACIOLI_SERVICE_KIT_HTTP_TOKENS_H

#include <stddef.h>
#include <stdint.h>

#include "service_kit/token.h"

struct http_tokens;

struct http_tokens *http_tokens_create(const struct token_policy *policy);
void http_tokens_free(struct http_tokens *tokens);
/* As token_verify. */
__attribute__((warn_unused_result)) enum token_result
http_tokens_verify(struct http_tokens *tokens, const char *token, size_t length, int64_t now_unix_s,
                   struct token_claims *claims);

#endif
