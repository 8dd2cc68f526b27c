/*
 * token_keys: the ES256 keys that access tokens are verified with, and the one that they are signed
 * with.  One set a process, shared by its threads and replaced as a whole while they run.
 *
 * A key's name (kid) is its thumbprint by RFC 7638, and its algorithm belongs to it: a token only
 * says which key it claims to be signed by.
 */
#ifndef PACIOLI_SERVICE_KIT_TOKEN_KEYS_H
#define PACIOLI_SERVICE_KIT_TOKEN_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_KEYS_MAX        16
#define TOKEN_KEY_NAME_LENGTH 43
#define TOKEN_KEY_POINT_SIZE  64 /* x and y, 32 bytes each */
#define TOKEN_KEY_SIGNATURE   64 /* r and s, 32 bytes each */
#define TOKEN_KEY_PEM_SIZE    512

struct token_key {
    char name[TOKEN_KEY_NAME_LENGTH + 1];
    uint8_t point[TOKEN_KEY_POINT_SIZE];
};

/* Fills the key's name from its point. */
void token_key_name(struct token_key *key);

struct token_keys;

struct token_keys *token_keys_create(void);
void token_keys_free(struct token_keys *keys);

/* Any thread, all below.  False: a point is not of the curve, or its name not its own; then nothing
 * has changed. */
__attribute__((warn_unused_result)) bool
token_keys_replace(struct token_keys *keys, const struct token_key *list, size_t count);
/* The private key (PKCS #8, PEM) that tokens are signed with, and its name; NULL: none. */
void token_keys_set_signer(struct token_keys *keys, const char *name, const char *pem);
/* Copies of both; false: there is none. */
__attribute__((warn_unused_result)) bool
token_keys_signer(const struct token_keys *keys, char name[static TOKEN_KEY_NAME_LENGTH + 1],
                  char pem[static TOKEN_KEY_PEM_SIZE]);
/* Another number after each replacement: what was verified before may not be good any more. */
uint64_t token_keys_generation(const struct token_keys *keys);

enum token_key_result { TOKEN_KEY_GOOD, TOKEN_KEY_BAD, TOKEN_KEY_UNKNOWN };
enum token_key_result token_keys_verify(struct token_keys *keys, const char *name,
                                        size_t name_length, const char *text, size_t length,
                                        const uint8_t signature[static TOKEN_KEY_SIGNATURE]);

/* Was a key asked for that is not here, since the last time? */
bool token_keys_take_unknown(struct token_keys *keys);

/* A JWK Set (RFC 7517): what was published, read and written.  Keys of other types, curves and uses
 * are left out; false: it is no JWK Set, or has too many keys. */
__attribute__((warn_unused_result)) bool
token_keys_read(const char *json, size_t length, struct token_key list[static TOKEN_KEYS_MAX],
                size_t *count);
/* The members of one key into an open object. */
struct json_writer;
void token_key_write(struct json_writer *writer, const struct token_key *key);
/* free() it. */
char *token_keys_write(const struct token_key *list, size_t count, size_t *length);

#endif
