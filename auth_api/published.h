/*
 * published: the keys that auth_api signs with and publishes, loaded from KEYS_DIR and loaded again
 * when keys.json changes.
 */
#ifndef PACIOLI_AUTH_API_PUBLISHED_H
#define PACIOLI_AUTH_API_PUBLISHED_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "auth_api/keys.h"

#define PUBLISHED_VERSION_SIZE 17

/* Shared by the threads: the JWK Set as it is answered. */
struct published {
    pthread_rwlock_t *lock;
    char *jwks;
    size_t length;
    char version[PUBLISHED_VERSION_SIZE]; /* another one when the set is another one */
    struct keys_stamp stamp;              /* of what was loaded; the watching thread's own */
};

/* Loads what there is, before the threads start; an empty folder name: no keys. */
__attribute__((warn_unused_result)) bool published_start(struct published *published,
                                                         const char *folder,
                                                         struct token_keys *keys, char *error,
                                                         size_t error_size);
/* Looks whether keys.json has changed; one thread does this. */
void published_look(struct published *published, const char *folder, struct token_keys *keys);
void published_version(const struct published *published,
                       char version[static PUBLISHED_VERSION_SIZE]);
void published_free(struct published *published);

#endif
