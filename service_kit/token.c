/*
 * token: a ladder of checks, each with its own result, from the cheapest to the dearest.
 *
 *   shape      at most TOKEN_LENGTH_MAX bytes, three segments of canonical base64url, a signature
 * of 32 or 64 bytes: a token has one spelling
 *   header     "alg", with or without "typ":"JWT" and "kid", and nothing else.  Without kid the key
 * is the shared secret and the algorithm HS256; with it the key is one of token_keys and the
 * algorithm ES256, whatever the token would like.  "crit", "b64", "jwk", "jku", "x5u", "x5c" ask
 * for things that we do not do, and an unknown parameter is refused rather than ignored payload a
 * JSON object, read by our own strict parser: no name twice, no depth, no NUL signature  HS256:
 * libjwt, with a key whose length was asserted, and the algorithm that it says it used; ES256:
 * token_keys.  s may be the larger or the smaller of its two values, so that a token has two good
 * signatures: nothing is remembered by a token's text but that it was good claims     types and
 * ranges of sub, exp, iat, nbf, sid, roles; iss and aud as the policy asks times      exp without
 * leeway; nbf and iat may lie TOKEN_LEEWAY_S ahead
 *
 * libjwt decides about the signature only: it is called with bytes that have passed the first three
 * steps, and no claim is taken from it.  It compares signatures in constant time (Debian's
 * patch for CVE-2024-25189).
 */
#include "service_kit/token.h"

#include <assert.h>
#include <jwt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service_kit/base64url.h"
#include "service_kit/json.h"
#include "service_kit/token_keys.h"
#include "service_kit/uuid.h"

#define HMAC_SIZE         32U
#define HEADER_NODES_MAX  4U /* the object, alg, typ, kid */
#define PAYLOAD_NODES_MAX 128U
#define TIME_MAX_UNIX_S   INT64_C(253402300799) /* the end of the year 9999 */
#define TIME_DIGITS_MAX   12U

struct segment {
    const char *text;
    size_t length;
};

/* Of a payload, what we look at. */
struct times {
    int64_t expires, issued, not_before; /* 0: absent (issued, not_before) */
};

const char *token_result_name(enum token_result result) {
    static const char *const names[] = {
        [TOKEN_VALID] = "valid",
        [TOKEN_MALFORMED] = "malformed",
        [TOKEN_WRONG_ALGORITHM] = "wrong_algorithm",
        [TOKEN_UNKNOWN_KEY] = "unknown_key",
        [TOKEN_BAD_SIGNATURE] = "bad_signature",
        [TOKEN_BAD_CLAIMS] = "bad_claims",
        [TOKEN_EXPIRED] = "expired",
        [TOKEN_NOT_YET] = "not_yet",
        [TOKEN_REVOKED] = "revoked",
    };
    return names[result];
}

/* ---- shape ---- */

/* Three segments that are not empty, and no fourth. */
static bool split(const char *token, size_t length, struct segment segments[static 3]) {
    const char *at = token, *end = token + length;
    for (size_t i = 0; i < 3; i++) {
        const char *dot = memchr(at, '.', (size_t)(end - at));
        if ((dot == NULL) != (i == 2)) {
            return false;
        }
        const char *stop = dot == NULL ? end : dot;
        segments[i] = (struct segment){.text = at, .length = (size_t)(stop - at)};
        if (segments[i].length == 0) {
            return false;
        }
        at = i == 2 ? end : stop + 1;
    }
    return true;
}

/* The JSON object in a segment, or NULL. */
static struct json_document *read_object(struct segment segment, size_t nodes_max) {
    char decoded[TOKEN_LENGTH_MAX];
    size_t length = 0;
    if (!base64url_decode(segment.text, segment.length, decoded, &length)) {
        return NULL;
    }
    struct json_error error;
    struct json_document *document = json_read(decoded, length, nodes_max, &error);
    if (document != NULL && json_root(document)->type != JSON_OBJECT) {
        json_free(document);
        return NULL;
    }
    return document;
}

/* ---- header ---- */

static bool is_text(const struct json_node *node, const char *text) {
    return node->type == JSON_STRING && node->length == strlen(text) &&
           memcmp(node->text, text, node->length) == 0;
}

/* `*key`: the name of the key, NULL for the secret. */
static enum token_result check_header(const struct token_policy *policy,
                                      const struct json_node *header,
                                      const struct json_node **key) {
    *key = json_member(header, "kid");
    const struct json_node *algorithm = json_member(header, "alg");
    const struct json_node *type = json_member(header, "typ");
    if (header->count !=
            (size_t)(algorithm != NULL) + (size_t)(type != NULL) + (size_t)(*key != NULL) ||
        (*key != NULL && (policy->keys == NULL || (*key)->type != JSON_STRING))) {
        return TOKEN_MALFORMED;
    }
    /* A media type, and those have no case (RFC 7515, 4.1.9). */
    if (type != NULL && (type->type != JSON_STRING || type->length != 3 ||
                         strncasecmp(type->text, "JWT", 3) != 0)) {
        return TOKEN_MALFORMED;
    }
    if (algorithm == NULL || !is_text(algorithm, *key == NULL ? "HS256" : "ES256") ||
        (*key == NULL && policy->only_keys)) {
        return TOKEN_WRONG_ALGORITHM;
    }
    return TOKEN_VALID;
}

/* ---- signature ---- */

static enum token_result check_hmac(const struct token_policy *policy, const char *token,
                                    size_t length) {
    char terminated[TOKEN_LENGTH_MAX + 1]; /* libjwt wants a C string, and copies it to the stack */
    memcpy(terminated, token, length);
    terminated[length] = '\0';
    jwt_t *jwt = NULL;
    const int failed = jwt_decode(&jwt, terminated, (const unsigned char *)policy->secret,
                                  (int)policy->secret_length);
    if (failed != 0) {
        return TOKEN_BAD_SIGNATURE;
    }
    const bool as_expected = jwt_get_alg(jwt) == JWT_ALG_HS256;
    jwt_free(jwt);
    return as_expected ? TOKEN_VALID : TOKEN_WRONG_ALGORITHM;
}

/* The signature of the first two segments, which is the third. */
static enum token_result check_signature(const struct token_policy *policy, const char *token,
                                         size_t length, const struct segment *signature,
                                         const struct json_node *key) {
    char bytes[TOKEN_LENGTH_MAX];
    size_t size = 0;
    if (!base64url_decode(signature->text, signature->length, bytes, &size) ||
        size != (key == NULL ? HMAC_SIZE : TOKEN_KEY_SIGNATURE)) {
        return TOKEN_MALFORMED;
    }
    if (key == NULL) {
        return check_hmac(policy, token, length);
    }
    switch (token_keys_verify(policy->keys, key->text, key->length, token,
                              (size_t)(signature->text - 1 - token), (const uint8_t *)bytes)) {
    case TOKEN_KEY_GOOD:
        return TOKEN_VALID;
    case TOKEN_KEY_UNKNOWN:
        return TOKEN_UNKNOWN_KEY;
    case TOKEN_KEY_BAD:
        break;
    }
    return TOKEN_BAD_SIGNATURE;
}

/* ---- claims ---- */

/* A NumericDate without fraction, exponent or sign. False when it is anything else. */
static bool read_time(const struct json_node *node, int64_t *unix_s) {
    if (node->type != JSON_NUMBER || node->length > TIME_DIGITS_MAX) {
        return false;
    }
    int64_t value = 0;
    for (size_t i = 0; i < node->length; i++) {
        if (node->text[i] < '0' || node->text[i] > '9') {
            return false;
        }
        value = value * 10 + (node->text[i] - '0');
    }
    *unix_s = value;
    return value <= TIME_MAX_UNIX_S;
}

static bool read_optional_time(const struct json_node *payload, const char *name, int64_t *unix_s) {
    const struct json_node *node = json_member(payload, name);
    return node == NULL || read_time(node, unix_s);
}

/* The one spelling of a UUID that we print ourselves. */
static bool read_uuid(const struct json_node *node, uint8_t uuid[static UUID_SIZE]) {
    if (node == NULL || node->type != JSON_STRING || !uuid_parse(node->text, node->length, uuid)) {
        return false;
    }
    char canonical[UUID_TEXT_LENGTH + 1];
    uuid_format(uuid, canonical);
    return memcmp(canonical, node->text, UUID_TEXT_LENGTH) == 0;
}

static bool read_session(const struct json_node *node, struct token_claims *claims) {
    claims->has_session = node != NULL;
    return node == NULL || read_uuid(node, claims->session);
}

static bool is_asked(const char *text) {
    return text != NULL && *text != '\0';
}

static bool is_for_audience(const struct json_node *audience, const char *wanted) {
    if (audience == NULL) {
        return false;
    }
    if (audience->type != JSON_ARRAY) {
        return is_text(audience, wanted);
    }
    bool found = false;
    for (const struct json_node *one = audience->first; one != NULL; one = one->next) {
        if (one->type != JSON_STRING) {
            return false;
        }
        found = found || is_text(one, wanted);
    }
    return found;
}

/* Roles of a newer issuer that are not known here give no right here. */
static bool read_roles(const struct json_node *node, unsigned *roles) {
    *roles = node == NULL ? HTTP_ROLE_USER : 0;
    if (node == NULL) {
        return true;
    }
    for (const struct json_node *one = node->first; one != NULL; one = one->next) {
        if (one->type != JSON_STRING) {
            return false;
        }
        *roles |= role_parse(one->text, one->length);
    }
    return node->type == JSON_ARRAY;
}

/* Their names in the order of the bits TOKEN_CLAIM_... */
static const char *const claim_names[] = {"iat", "jti", "sid", "roles"};
#define CLAIM_COUNT (sizeof claim_names / sizeof *claim_names)

bool token_claims_parse(const char *text, unsigned *claims) {
    *claims = 0;
    while (*text != '\0') {
        size_t length = strcspn(text, ","), i = 0;
        while (i < CLAIM_COUNT &&
               (strlen(claim_names[i]) != length || memcmp(claim_names[i], text, length) != 0)) {
            i++;
        }
        if (i == CLAIM_COUNT || (text[length] == ',' && text[length + 1] == '\0')) {
            return false;
        }
        *claims |= 1U << i;
        text += length + (text[length] == ',');
    }
    return true;
}

static bool has_required(const struct token_policy *policy, const struct json_node *payload) {
    for (size_t i = 0; i < CLAIM_COUNT; i++) {
        if ((policy->required & 1U << i) != 0 && json_member(payload, claim_names[i]) == NULL) {
            return false;
        }
    }
    const struct json_node *id = json_member(payload, "jti");
    return id == NULL || id->type == JSON_STRING;
}

static bool read_claims(const struct token_policy *policy, const struct json_node *payload,
                        struct token_claims *claims, struct times *times) {
    const struct json_node *expires = json_member(payload, "exp");
    if (expires == NULL || !read_time(expires, &times->expires) ||
        !read_optional_time(payload, "iat", &times->issued) ||
        !read_optional_time(payload, "nbf", &times->not_before) ||
        !read_uuid(json_member(payload, "sub"), claims->subject) ||
        !read_session(json_member(payload, "sid"), claims) ||
        !read_roles(json_member(payload, "roles"), &claims->roles) ||
        !has_required(policy, payload)) {
        return false;
    }
    claims->issued_at_unix_s = times->issued;
    claims->expires_at_unix_s = times->expires;
    if (is_asked(policy->issuer)) {
        const struct json_node *issuer = json_member(payload, "iss");
        if (issuer == NULL || !is_text(issuer, policy->issuer)) {
            return false;
        }
    }
    return !is_asked(policy->audience) ||
           is_for_audience(json_member(payload, "aud"), policy->audience);
}

static enum token_result check_payload(const struct token_policy *policy,
                                       const struct json_node *payload, int64_t now_unix_s,
                                       struct token_claims *claims) {
    struct times times = {.expires = 0};
    if (!read_claims(policy, payload, claims, &times)) {
        return TOKEN_BAD_CLAIMS;
    }
    if (times.expires <= now_unix_s) {
        return TOKEN_EXPIRED;
    }
    if (times.issued > now_unix_s + TOKEN_LEEWAY_S ||
        times.not_before > now_unix_s + TOKEN_LEEWAY_S) {
        return TOKEN_NOT_YET;
    }
    return TOKEN_VALID;
}

/* ---- the calls ---- */

static void assert_policy(const struct token_policy *policy) {
    assert(policy->secret != NULL);
    assert(policy->secret_length >= TOKEN_SECRET_MIN && policy->secret_length <= INT32_MAX);
    assert(policy->keys != NULL || !policy->only_keys);
}

static bool is_now_sane(int64_t now_unix_s) {
    return now_unix_s >= 0 && now_unix_s <= TIME_MAX_UNIX_S;
}

static enum token_result verify_segments(const struct token_policy *policy, const char *token,
                                         size_t length, const struct segment segments[static 3],
                                         int64_t now_unix_s, struct token_claims *claims) {
    struct json_document *header = read_object(segments[0], HEADER_NODES_MAX);
    struct json_document *payload =
        header == NULL ? NULL : read_object(segments[1], PAYLOAD_NODES_MAX);
    const struct json_node *key = NULL;
    enum token_result result =
        header == NULL ? TOKEN_MALFORMED : check_header(policy, json_root(header), &key);
    if (result == TOKEN_VALID && payload == NULL) {
        result = TOKEN_MALFORMED;
    }
    if (result == TOKEN_VALID) {
        result = check_signature(policy, token, length, &segments[2], key);
    }
    if (result == TOKEN_VALID) {
        result = check_payload(policy, json_root(payload), now_unix_s, claims);
    }
    json_free(payload);
    json_free(header);
    return result;
}

enum token_result token_verify(const struct token_policy *policy, const char *token, size_t length,
                               int64_t now_unix_s, struct token_claims *claims) {
    assert_policy(policy);
    assert(is_now_sane(now_unix_s));
    *claims = (struct token_claims){.expires_at_unix_s = 0};

    struct segment segments[3];
    if (length > TOKEN_LENGTH_MAX || !split(token, length, segments)) {
        return TOKEN_MALFORMED;
    }
    enum token_result result = verify_segments(policy, token, length, segments, now_unix_s, claims);
    if (result != TOKEN_VALID) {
        *claims = (struct token_claims){.expires_at_unix_s = 0};
    }
    return result;
}

/* ---- issuing ---- */

static bool add_roles(jwt_t *jwt, unsigned roles) {
    char text[sizeof "{\"roles\":[]}" + 3 * ROLE_COUNT + ROLES_TEXT_SIZE];
    size_t at = (size_t)snprintf(text, sizeof text, "{\"roles\":[");
    const char *comma = "";
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if ((roles & 1U << i) != 0) {
            at += (size_t)snprintf(text + at, sizeof text - at, "%s\"%s\"", comma, role_name(i));
            comma = ",";
        }
    }
    snprintf(text + at, sizeof text - at, "]}");
    return jwt_add_grants_json(jwt, text) == 0;
}

static bool add_session(jwt_t *jwt, const uint8_t *session) {
    if (session == NULL) {
        return true;
    }
    char text[UUID_TEXT_LENGTH + 1];
    uuid_format(session, text);
    return jwt_add_grant(jwt, "sid", text) == 0;
}

static bool add_claims(jwt_t *jwt, const struct token_policy *policy,
                       const struct token_grant *grant, int64_t now_unix_s,
                       int64_t expires_unix_s) {
    char subject_text[UUID_TEXT_LENGTH + 1], token_id[UUID_TEXT_LENGTH + 1];
    uuid_format(grant->subject, subject_text);
    uint8_t random[UUID_SIZE]; /* tells tokens of one user and second apart */
    uuid_v4(random);
    uuid_format(random, token_id);
    return jwt_add_grant(jwt, "sub", subject_text) == 0 && add_roles(jwt, grant->roles) &&
           add_session(jwt, grant->session) && jwt_add_grant_int(jwt, "iat", now_unix_s) == 0 &&
           jwt_add_grant_int(jwt, "exp", expires_unix_s) == 0 &&
           jwt_add_grant(jwt, "jti", token_id) == 0 &&
           (!is_asked(policy->issuer) || jwt_add_grant(jwt, "iss", policy->issuer) == 0) &&
           (!is_asked(policy->audience) || jwt_add_grant(jwt, "aud", policy->audience) == 0);
}

/* The key that it will be signed with, and its name. */
static bool set_key(jwt_t *jwt, const struct token_policy *policy) {
    if (!policy->only_keys) {
        return jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)policy->secret,
                           (int)policy->secret_length) == 0;
    }
    char name[TOKEN_KEY_NAME_LENGTH + 1], pem[TOKEN_KEY_PEM_SIZE];
    const bool good =
        token_keys_signer(policy->keys, name, pem) &&
        jwt_set_alg(jwt, JWT_ALG_ES256, (const unsigned char *)pem, (int)strlen(pem)) == 0 &&
        jwt_add_header(jwt, "kid", name) == 0;
    explicit_bzero(pem, sizeof pem);
    return good;
}

char *token_issue(const struct token_policy *policy, const struct token_grant *grant,
                  int64_t now_unix_s, int64_t lifetime_s) {
    assert_policy(policy);
    assert(is_now_sane(now_unix_s));
    assert(lifetime_s > 0 && lifetime_s <= TIME_MAX_UNIX_S - now_unix_s);
    jwt_t *jwt = NULL;
    if (jwt_new(&jwt) != 0) {
        return NULL;
    }
    char *token = NULL;
    if (set_key(jwt, policy) &&
        add_claims(jwt, policy, grant, now_unix_s, now_unix_s + lifetime_s)) {
        token = jwt_encode_str(jwt);
    }
    jwt_free(jwt);
    if (token != NULL && strlen(token) > TOKEN_LENGTH_MAX) {
        free(token); /* a configured issuer or audience of absurd length */
        return NULL;
    }
    return token;
}
