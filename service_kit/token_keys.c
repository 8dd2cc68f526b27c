/*
 * Design.  A lock for readers and writers around a small array: a verification holds it as a reader
 * for some 100 us, a replacement as a writer for the exchange of two arrays.  What is read
 * from a JWK Set is trusted as far as its source is; that a name is the thumbprint of its key, and
 * a point is on the curve, is checked here.
 */
#include "service_kit/token_keys.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service_kit/base64url.h"
#include "service_kit/json.h"
#include "service_kit/memory.h"
#include "service_kit/rwlock.h"

#define COORDINATE_SIZE 32U
#define COORDINATE_TEXT (BASE64URL_LENGTH(COORDINATE_SIZE) + 1)
#define JWKS_NODES_MAX  512U
#define JWKS_BYTES_MAX  8192U
#define UNCOMPRESSED    0x04U
#define DER_SIGNATURE   80U

struct entry {
    struct token_key key;
    EVP_PKEY *public_key;
};

struct token_keys {
    pthread_rwlock_t *lock; /* behind a pointer: readers hold a const set */
    struct entry entries[TOKEN_KEYS_MAX];
    size_t count;
    _Atomic uint64_t generation;
    _Atomic bool unknown; /* a key was asked for that is not here */
    char signer_name[TOKEN_KEY_NAME_LENGTH + 1];
    char signer_pem[TOKEN_KEY_PEM_SIZE]; /* "": none */
};

/* ---- one key ---- */

static void write_coordinates(const struct token_key *key, char x[static COORDINATE_TEXT],
                              char y[static COORDINATE_TEXT]) {
    base64url_encode(key->point, COORDINATE_SIZE, x);
    base64url_encode(key->point + COORDINATE_SIZE, COORDINATE_SIZE, y);
}

void token_key_name(struct token_key *key) {
    char x[COORDINATE_TEXT], y[COORDINATE_TEXT], text[256];
    write_coordinates(key, x, y);
    const int length = snprintf(
        text, sizeof text, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", x, y);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (EVP_Digest(text, (size_t)length, digest, &size, EVP_sha256(), NULL) != 1) {
        abort();
    }
    base64url_encode(digest, size, key->name);
}

/* NULL: the point is not of the curve. */
static EVP_PKEY *public_key_of(const struct token_key *key) {
    uint8_t octets[1 + TOKEN_KEY_POINT_SIZE] = {UNCOMPRESSED};
    memcpy(octets + 1, key->point, sizeof key->point);
    char group[] = "P-256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, octets, sizeof octets),
        OSSL_PARAM_construct_end()};
    EVP_PKEY *public_key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &public_key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        public_key = NULL;
    }
    EVP_PKEY_CTX_free(context);
    return public_key;
}

/* ---- the set ---- */

struct token_keys *token_keys_create(void) {
    struct token_keys *keys = memory_allocate(1, sizeof *keys);
    keys->lock = rwlock_create();
    return keys;
}

static void free_entries(struct entry *entries, size_t count) {
    for (size_t i = 0; i < count; i++) {
        EVP_PKEY_free(entries[i].public_key);
    }
}

void token_keys_free(struct token_keys *keys) {
    if (keys == NULL) {
        return;
    }
    free_entries(keys->entries, keys->count);
    rwlock_free(keys->lock);
    OPENSSL_cleanse(keys, sizeof *keys);
    free(keys);
}

static bool is_same(const struct token_keys *keys, const struct token_key *list, size_t count) {
    bool same = keys->count == count;
    for (size_t i = 0; same && i < count; i++) {
        same = memcmp(&keys->entries[i].key, &list[i], sizeof list[i]) == 0;
    }
    return same;
}

bool token_keys_replace(struct token_keys *keys, const struct token_key *list, size_t count) {
    assert(count <= TOKEN_KEYS_MAX);
    struct entry made[TOKEN_KEYS_MAX], old[TOKEN_KEYS_MAX];
    for (size_t i = 0; i < count; i++) {
        struct token_key named = list[i];
        token_key_name(&named);
        made[i].key = list[i];
        made[i].public_key = public_key_of(&list[i]);
        if (made[i].public_key == NULL || strcmp(named.name, list[i].name) != 0) {
            free_entries(made, made[i].public_key == NULL ? i : i + 1);
            return false;
        }
    }
    pthread_rwlock_wrlock(keys->lock);
    if (!is_same(keys, list, count)) {
        atomic_fetch_add(&keys->generation, 1);
    }
    const size_t old_count = keys->count;
    memcpy(old, keys->entries, sizeof old);
    memcpy(keys->entries, made, count * sizeof *made);
    keys->count = count;
    pthread_rwlock_unlock(keys->lock);
    free_entries(old, old_count);
    return true;
}

void token_keys_set_signer(struct token_keys *keys, const char *name, const char *pem) {
    pthread_rwlock_wrlock(keys->lock);
    OPENSSL_cleanse(keys->signer_pem, sizeof keys->signer_pem);
    if (name != NULL) {
        assert(strlen(name) == TOKEN_KEY_NAME_LENGTH && strlen(pem) < TOKEN_KEY_PEM_SIZE);
        memcpy(keys->signer_name, name, TOKEN_KEY_NAME_LENGTH);
        memcpy(keys->signer_pem, pem, strlen(pem));
    }
    pthread_rwlock_unlock(keys->lock);
}

bool token_keys_signer(const struct token_keys *keys, char name[static TOKEN_KEY_NAME_LENGTH + 1],
                       char pem[static TOKEN_KEY_PEM_SIZE]) {
    pthread_rwlock_rdlock(keys->lock);
    memcpy(name, keys->signer_name, sizeof keys->signer_name);
    memcpy(pem, keys->signer_pem, sizeof keys->signer_pem);
    pthread_rwlock_unlock(keys->lock);
    return pem[0] != '\0';
}

uint64_t token_keys_generation(const struct token_keys *keys) {
    return atomic_load(&keys->generation);
}

/* ---- verifying ---- */

/* r and s as OpenSSL takes them: DER; 0 when they cannot be. */
static size_t der_of(const uint8_t signature[static TOKEN_KEY_SIGNATURE],
                     uint8_t der[static DER_SIGNATURE]) {
    BIGNUM *r = BN_bin2bn(signature, (int)COORDINATE_SIZE, NULL);
    BIGNUM *s = BN_bin2bn(signature + COORDINATE_SIZE, (int)COORDINATE_SIZE, NULL);
    ECDSA_SIG *pair = ECDSA_SIG_new();
    if (r == NULL || s == NULL || pair == NULL || ECDSA_SIG_set0(pair, r, s) != 1) {
        abort();
    }
    uint8_t *end = der;
    const int length = i2d_ECDSA_SIG(pair, &end);
    ECDSA_SIG_free(pair);
    assert(length <= (int)DER_SIGNATURE);
    return length < 0 ? 0 : (size_t)length;
}

static bool is_signed(EVP_PKEY *public_key, const char *text, size_t length,
                      const uint8_t signature[static TOKEN_KEY_SIGNATURE]) {
    uint8_t der[DER_SIGNATURE];
    const size_t der_length = der_of(signature, der);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const bool good =
        context != NULL &&
        EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, public_key) == 1 &&
        EVP_DigestVerify(context, der, der_length, (const unsigned char *)text, length) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

enum token_key_result token_keys_verify(struct token_keys *keys, const char *name,
                                        size_t name_length, const char *text, size_t length,
                                        const uint8_t signature[static TOKEN_KEY_SIGNATURE]) {
    enum token_key_result result = TOKEN_KEY_UNKNOWN;
    if (name_length != TOKEN_KEY_NAME_LENGTH) {
        return result;
    }
    pthread_rwlock_rdlock(keys->lock);
    for (size_t i = 0; i < keys->count; i++) {
        const struct entry *entry = &keys->entries[i];
        if (memcmp(entry->key.name, name, TOKEN_KEY_NAME_LENGTH) == 0) {
            result = is_signed(entry->public_key, text, length, signature) ? TOKEN_KEY_GOOD
                                                                           : TOKEN_KEY_BAD;
            break;
        }
    }
    pthread_rwlock_unlock(keys->lock);
    if (result == TOKEN_KEY_UNKNOWN) {
        atomic_store(&keys->unknown, true);
    }
    return result;
}

bool token_keys_take_unknown(struct token_keys *keys) {
    return atomic_exchange(&keys->unknown, false);
}

/* ---- JWK Sets ---- */

static bool is_member(const struct json_node *jwk, const char *name, const char *value) {
    const struct json_node *node = json_member(jwk, name);
    return node != NULL && node->type == JSON_STRING && node->length == strlen(value) &&
           memcmp(node->text, value, node->length) == 0;
}

static bool read_coordinate(const struct json_node *node, uint8_t *out) {
    uint8_t decoded[COORDINATE_SIZE + 1];
    size_t size = 0;
    if (node == NULL || node->type != JSON_STRING || node->length != COORDINATE_TEXT - 1 ||
        !base64url_decode(node->text, node->length, decoded, &size) || size != COORDINATE_SIZE) {
        return false;
    }
    memcpy(out, decoded, COORDINATE_SIZE);
    return true;
}

static bool read_key(const struct json_node *jwk, struct token_key *key) {
    if (jwk->type != JSON_OBJECT || !is_member(jwk, "kty", "EC") ||
        !is_member(jwk, "crv", "P-256") || !is_member(jwk, "alg", "ES256") ||
        !is_member(jwk, "use", "sig") || !read_coordinate(json_member(jwk, "x"), key->point) ||
        !read_coordinate(json_member(jwk, "y"), key->point + COORDINATE_SIZE)) {
        return false;
    }
    token_key_name(key);
    return is_member(jwk, "kid", key->name);
}

bool token_keys_read(const char *json, size_t length, struct token_key list[static TOKEN_KEYS_MAX],
                     size_t *count) {
    struct json_error error;
    struct json_document *document = json_read(json, length, JWKS_NODES_MAX, &error);
    const struct json_node *set = document != NULL ? json_root(document) : NULL;
    const struct json_node *keys =
        set != NULL && set->type == JSON_OBJECT ? json_member(set, "keys") : NULL;
    bool good = keys != NULL && keys->type == JSON_ARRAY;
    *count = 0;
    for (const struct json_node *jwk = good ? keys->first : NULL; jwk != NULL; jwk = jwk->next) {
        struct token_key key = {.name = ""};
        if (!read_key(jwk, &key)) {
            continue;
        }
        if (*count == TOKEN_KEYS_MAX) {
            good = false;
            break;
        }
        list[(*count)++] = key;
    }
    json_free(document);
    return good;
}

void token_key_write(struct json_writer *writer, const struct token_key *key) {
    char x[COORDINATE_TEXT], y[COORDINATE_TEXT];
    write_coordinates(key, x, y);
    json_write_member(writer, "kty", "EC");
    json_write_member(writer, "crv", "P-256");
    json_write_member(writer, "use", "sig");
    json_write_member(writer, "alg", "ES256");
    json_write_member(writer, "kid", key->name);
    json_write_member(writer, "x", x);
    json_write_member(writer, "y", y);
}

char *token_keys_write(const struct token_key *list, size_t count, size_t *length) {
    struct json_writer *writer = json_writer_create(JWKS_BYTES_MAX);
    json_write_object_begin(writer);
    json_write_key(writer, "keys");
    json_write_array_begin(writer);
    for (size_t i = 0; i < count; i++) {
        json_write_object_begin(writer);
        token_key_write(writer, &list[i]);
        json_write_object_end(writer);
    }
    json_write_array_end(writer);
    json_write_object_end(writer);
    const char *text = json_writer_finish(writer, length);
    assert(text != NULL);
    char *copy = memory_allocate(1, *length + 1);
    memcpy(copy, text, *length);
    json_writer_free(writer);
    return copy;
}
