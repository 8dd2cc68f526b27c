/*
 * Design.  A look is one stat; the files are read only when that has changed, which takes less than
 * a millisecond.  A list that cannot be used is told in the log, once, and changes nothing.
 *
 * The order of a change: verifiers know the new set before the first token is signed by it.
 */
#include "auth_api/published.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "auth_api/auth.h"
#include "service_kit/base64url.h"
#include "service_kit/http.h"
#include "service_kit/log.h"
#include "service_kit/rwlock.h"

#define ERROR_MAX     512
#define CACHE_CONTROL "public, max-age=300"

/* ---- loading ---- */

static void set_document(struct published *published, const struct token_key *list, size_t count) {
    size_t length = 0;
    char *jwks = token_keys_write(list, count, &length);
    uint8_t digest[EVP_MAX_MD_SIZE];
    char text[BASE64URL_LENGTH(EVP_MAX_MD_SIZE) + 1];
    unsigned int size = 0;
    if (EVP_Digest(jwks, length, digest, &size, EVP_sha256(), NULL) != 1) {
        abort();
    }
    base64url_encode(digest, size, text);
    pthread_rwlock_wrlock(published->lock);
    char *old = published->jwks;
    published->jwks = jwks;
    published->length = length;
    memcpy(published->version, text, PUBLISHED_VERSION_SIZE - 1);
    pthread_rwlock_unlock(published->lock);
    free(old);
}

static bool load(struct published *published, const char *folder, struct token_keys *keys,
                 char *error, size_t error_size) {
    struct keys_ring ring;
    struct token_key list[TOKEN_KEYS_MAX];
    char pem[TOKEN_KEY_PEM_SIZE] = "";
    const struct token_key *active = NULL;
    if (!keys_read(folder, &ring, error, error_size)) {
        return false;
    }
    for (size_t i = 0; i < ring.count; i++) {
        list[i] = ring.entries[i].key;
        if (ring.entries[i].state == KEYS_ACTIVE) {
            active = &list[i];
        }
    }
    if (active == NULL || !keys_private(folder, active, pem, error, error_size)) {
        return false;
    }
    if (!token_keys_replace(keys, list, ring.count)) {
        explicit_bzero(pem, sizeof pem);
        snprintf(error, error_size, "%s: a key is not of its curve", folder);
        return false;
    }
    set_document(published, list, ring.count);
    token_keys_set_signer(keys, active->name, pem);
    explicit_bzero(pem, sizeof pem);
    log_message(LOG_INFO, "keys_loaded", "active", active->name);
    return true;
}

bool published_start(struct published *published, const char *folder, struct token_keys *keys,
                     char *error, size_t error_size) {
    published->lock = rwlock_create();
    set_document(published, NULL, 0);
    if (folder[0] == '\0') {
        return true;
    }
    published->stamp = keys_stamp(folder);
    return load(published, folder, keys, error, error_size);
}

void published_look(struct published *published, const char *folder, struct token_keys *keys) {
    char error[ERROR_MAX];
    const struct keys_stamp stamp = keys_stamp(folder);
    const struct keys_stamp *seen = &published->stamp;
    if (stamp.modified.tv_sec == seen->modified.tv_sec &&
        stamp.modified.tv_nsec == seen->modified.tv_nsec && stamp.inode == seen->inode &&
        stamp.size == seen->size) {
        return;
    }
    published->stamp = stamp;
    if (!load(published, folder, keys, error, sizeof error)) {
        log_message(LOG_ERROR, "keys_unusable", "problem", error);
    }
}

void published_version(const struct published *published,
                       char version[static PUBLISHED_VERSION_SIZE]) {
    pthread_rwlock_rdlock(published->lock);
    memcpy(version, published->version, PUBLISHED_VERSION_SIZE);
    pthread_rwlock_unlock(published->lock);
}

void published_free(struct published *published) {
    if (published->lock != NULL) {
        rwlock_free(published->lock);
        free(published->jwks);
        *published = (struct published){.lock = NULL};
    }
}

/* ---- GET /.well-known/jwks.json ---- */

void keys_show(struct http_request *request) {
    const struct auth_thread *thread = http_thread_state(request);
    const struct published *published = thread->auth->published;
    pthread_rwlock_rdlock(published->lock);
    http_reply_cached(request, "application/jwk-set+json", CACHE_CONTROL, published->jwks,
                      published->length);
    pthread_rwlock_unlock(published->lock);
}
