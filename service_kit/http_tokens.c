/*
 * Design.  A direct-mapped table.  The place of a token is taken from its last characters: they
 * belong to the signature, made with the issuer's secret or private key, and so are as good as a
 * keyed hash of the token.  Only tokens that were verified are kept, so nobody without the secret
 * can choose what stands where.  A hit needs the same bytes from first to last, compared in
 * constant time, and ends with the token's own `exp`, without leeway, and with the set of keys that
 * it was verified with; everything else goes through token_verify.
 */
#include "service_kit/http_tokens.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "service_kit/memory.h"
#include "service_kit/token_keys.h"

#define ENTRIES          1024 /* a power of two */
#define KEPT_LENGTH_MAX  1024 /* longer tokens are verified each time */
#define PLACE_CHARACTERS 8

struct entry {
    uint16_t length;     /* 0: empty */
    uint64_t generation; /* of the keys that it was verified with */
    struct token_claims claims;
    char token[KEPT_LENGTH_MAX];
};

struct http_tokens {
    struct token_policy policy;
    struct entry *entries[ENTRIES]; /* allocated when first used */
};

struct http_tokens *http_tokens_create(const struct token_policy *policy) {
    struct http_tokens *tokens = memory_allocate(1, sizeof(*tokens));
    tokens->policy = *policy;
    return tokens;
}

void http_tokens_free(struct http_tokens *tokens) {
    for (size_t i = 0; i < ENTRIES; i++)
        if (tokens->entries[i] != NULL) {
            OPENSSL_cleanse(tokens->entries[i], sizeof(struct entry));
            free(tokens->entries[i]);
        }
    free(tokens);
}

static struct entry **place_of(struct http_tokens *tokens, const char *token, size_t length) {
    uint64_t last;
    memcpy(&last, token + length - PLACE_CHARACTERS, sizeof(last));
    /* Characters of base64url: the multiplication spreads their six bits each. */
    return &tokens->entries[(last * UINT64_C(0x9e3779b97f4a7c15)) >> 54];
}
_Static_assert(ENTRIES == 1 << (64 - 54), "the place is the product's upper ten bits");

enum token_result http_tokens_verify(struct http_tokens *tokens, const char *token, size_t length,
                                     int64_t now_unix_s, struct token_claims *claims) {
    if (length < PLACE_CHARACTERS || length > KEPT_LENGTH_MAX)
        return token_verify(&tokens->policy, token, length, now_unix_s, claims);

    uint64_t generation =
        tokens->policy.keys != NULL ? token_keys_generation(tokens->policy.keys) : 0;
    struct entry **place = place_of(tokens, token, length);
    struct entry *entry = *place;
    if (entry != NULL && entry->length == length && entry->generation == generation &&
        CRYPTO_memcmp(entry->token, token, length) == 0 &&
        now_unix_s < entry->claims.expires_at_unix_s) {
        *claims = entry->claims;
        return TOKEN_VALID;
    }
    enum token_result result = token_verify(&tokens->policy, token, length, now_unix_s, claims);
    if (result != TOKEN_VALID)
        return result;
    if (entry == NULL) {
        entry = memory_allocate(1, sizeof(*entry));
        *place = entry;
    }
    entry->length = (uint16_t)length;
    entry->generation = generation;
    entry->claims = *claims;
    memcpy(entry->token, token, length);
    return TOKEN_VALID;
}
