/*
 * token: access tokens (JWT), issued and verified behind strict checks of our own: HS256 with a
 * shared secret through libjwt, ES256 with the keys of token_keys.
 *
 * libjwt 1.10 verifies signatures but no claims, picks the algorithm from the token, and puts it
 * on the stack; so everything that decides is checked here, before and after it: shape, size,
 * header, the one algorithm of the key, the types of the claims, times.
 */
#ifndef PACIOLI_SERVICE_KIT_TOKEN_H
#define PACIOLI_SERVICE_KIT_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service_kit/role.h"

#define TOKEN_LENGTH_MAX 4096
#define TOKEN_SECRET_MIN 32
#define TOKEN_LEEWAY_S   30

enum token_result {
    TOKEN_VALID,
    TOKEN_MALFORMED, /* not three segments of base64url, too long, header not ours */
    TOKEN_WRONG_ALGORITHM,
    TOKEN_UNKNOWN_KEY,
    TOKEN_BAD_SIGNATURE,
    TOKEN_BAD_CLAIMS, /* a claim is missing, of the wrong type, or not for us */
    TOKEN_EXPIRED,
    TOKEN_NOT_YET, /* nbf or iat in the future */
    TOKEN_REVOKED, /* by token_revocations, which token_verify does not ask */
};
const char *token_result_name(enum token_result result);

struct token_keys;

/* Claims that may be required; sub and exp always are, iss and aud when the policy names them. */
#define TOKEN_CLAIM_IAT   1U
#define TOKEN_CLAIM_JTI   2U
#define TOKEN_CLAIM_SID   4U
#define TOKEN_CLAIM_ROLES 8U
/* A list such as "iat,jti,sid,roles".  False: another word. */
__attribute__((warn_unused_result)) bool token_claims_parse(const char *text, unsigned *claims);

/* What a verifier asks of a token. Empty text: not asked. */
struct token_policy {
    const char *secret; /* HS256, for tokens that name no key */
    size_t secret_length;
    struct token_keys *keys; /* ES256, for tokens that name one; NULL: none */
    bool only_keys;          /* the secret is not accepted, nor used for issuing */
    unsigned required;       /* TOKEN_CLAIM_...: claims that must be there */
    const char *issuer;      /* iss must equal it; a token without iss passes when "" */
    const char *audience;    /* aud must be or contain it */
};

struct token_claims {
    uint8_t subject[16]; /* sub, a UUID */
    unsigned roles;      /* HTTP_ROLE_...; a token without the claim is a user's */
    bool has_session;
    uint8_t session[16];      /* sid, a UUID */
    int64_t issued_at_unix_s; /* 0: not said */
    int64_t expires_at_unix_s;
};

__attribute__((warn_unused_result)) enum token_result
token_verify(const struct token_policy *policy, const char *token, size_t length,
             int64_t now_unix_s, struct token_claims *claims);
/* What a token says of its bearer. */
struct token_grant {
    const uint8_t *subject; /* 16 bytes */
    unsigned roles;
    const uint8_t *session; /* 16 bytes, or NULL: none */
};
/* Issues a token with sub, roles, iat, exp, jti (and sid, and iss, aud when configured); free() it.
 * NULL: failure. */
__attribute__((warn_unused_result)) char *token_issue(const struct token_policy *policy,
                                                      const struct token_grant *grant,
                                                      int64_t now_unix_s, int64_t lifetime_s);

#endif
