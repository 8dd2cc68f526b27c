/*
 * keys: the ES256 keys of the issuer, as files in one folder (KEYS_DIR, 0700).
 *
 *   keys.json   the public keys with their states, replaced as a whole
 *   <kid>.pem   the private key (0600) of one that signs or will sign
 *
 * States: next (published, not used yet) -> active (signs) -> verify (published, signs no more) ->
 * gone.  There is one active and one next key.  The command auth_keys changes them; auth_api looks
 * at keys.json several times a second.
 */
#ifndef PACIOLI_AUTH_API_KEYS_H
#define PACIOLI_AUTH_API_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "service_kit/token_keys.h"

enum keys_state { KEYS_NEXT, KEYS_ACTIVE, KEYS_VERIFY, KEYS_STATE_COUNT };
const char *keys_state_name(enum keys_state state);

struct keys_entry {
    struct token_key key;
    enum keys_state state;
    int64_t since_unix_s; /* when it came into this state */
};

struct keys_ring {
    struct keys_entry entries[TOKEN_KEYS_MAX];
    size_t count;
};

/* Each: false + one line in `error` when it fails. */
__attribute__((warn_unused_result)) bool keys_read(const char *folder, struct keys_ring *ring,
                                                   char *error, size_t error_size);
__attribute__((warn_unused_result)) bool
keys_write(const char *folder, const struct keys_ring *ring, char *error, size_t error_size);
/* A new key with its private part in the folder. */
__attribute__((warn_unused_result)) bool keys_make(const char *folder, struct token_key *key,
                                                   char *error, size_t error_size);
__attribute__((warn_unused_result)) bool keys_private(const char *folder,
                                                      const struct token_key *key,
                                                      char pem[static TOKEN_KEY_PEM_SIZE],
                                                      char *error, size_t error_size);
/* Removes the private part. */
void keys_forget(const char *folder, const struct token_key *key);

/* What auth_keys does, on a ring; keys_write makes it stand.  `dropped` holds the keys whose
 * private part is to be removed after that. */
struct keys_drop {
    struct token_key keys[TOKEN_KEYS_MAX];
    size_t count;
};
/* Makes an active and a next key. */
__attribute__((warn_unused_result)) bool keys_init(const char *folder, struct keys_ring *ring,
                                                   int64_t now_unix_s, char *error,
                                                   size_t error_size);
/* next -> active -> verify, and a new next one; forgets those that have verified for keep_s.
 * Refused when the next one has not been published for min_age_s. */
__attribute__((warn_unused_result)) bool keys_rotate(const char *folder, struct keys_ring *ring,
                                                     int64_t now_unix_s, int64_t min_age_s,
                                                     int64_t keep_s, struct keys_drop *dropped,
                                                     char *error, size_t error_size);
/* Takes one out at once; when it was the active one, the next one takes its place. */
__attribute__((warn_unused_result)) bool keys_withdraw(const char *folder, struct keys_ring *ring,
                                                       const char *name, int64_t now_unix_s,
                                                       struct keys_drop *dropped, char *error,
                                                       size_t error_size);

/* Another value when keys.json may be another one. */
struct keys_stamp {
    struct timespec modified;
    uint64_t inode, size;
};
struct keys_stamp keys_stamp(const char *folder);

#endif
