/*
 * Design.  bcrypt reads 72 bytes and stops at a NUL; whatever is behind does not count.  So a
 * password of up to 72 bytes is hashed as it is (users of the demo have such hashes), and a longer
 * one through HMAC-SHA-384, whose base64 form is 64 characters without a NUL.  The stored value
 * says which: a plain one is never matched by a long password, however equal its first 72 bytes,
 * and a prehashed one never by a short password, not even by the 64 characters themselves.
 *
 * The HMAC's key is a label of ours and the hash's own salt.  So a digest of the same password that
 * leaked elsewhere cannot be tried against our hashes in place of the password (shucking), and no
 * two users share one.
 *
 * libxcrypt takes any two characters for a DES salt and "*0" for a result.  So a stored value is
 * compared with the forms above, byte by byte, before libxcrypt sees it; and a result counts only
 * when it has a bcrypt hash's length.
 *
 * A verification always does the same steps.  Without a usable stored value it works on a dummy at
 * the configured cost, and its answer is masked.  A stored cost c below the configured cost C is
 * filled up with dummies at c, c+1, … C-1: 2^c + 2^c + … + 2^(C-1) = 2^C.
 */
#include "auth_api/password.h"

#include <assert.h>
#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define BCRYPT_LENGTH      60 /* "$2b$12$", 22 characters of salt, 31 of hash */
#define BCRYPT_PHRASE_MAX  72
#define BCRYPT_SALT_OFFSET 7
#define BCRYPT_SALT_LENGTH 22
#define PREHASH_MARK       "v1$hmac-sha384"
#define PREHASH_MARK_LEN   (sizeof PREHASH_MARK - 1)
#define PREHASH_LABEL      "pacioli password v1:"
#define PREHASH_LABEL_LEN  (sizeof PREHASH_LABEL - 1)
#define SHA384_SIZE        48
#define PREHASH_LENGTH     64 /* base64 of 48 bytes, no padding */

/* A well-formed value for when there is none, at the cost that is put in.  Nobody's hash. */
static const char DUMMY[] = "$2b$00$......................ooooooooooooooooooooooooooooooo";

_Static_assert(sizeof DUMMY == BCRYPT_LENGTH + 1, "a dummy has a hash's length");
_Static_assert(BCRYPT_LENGTH + PREHASH_MARK_LEN < PASSWORD_STORED_SIZE, "stored forms must fit");

/* What libxcrypt hashes: the password or its prehash. */
struct phrase {
    char text[BCRYPT_PHRASE_MAX + 1];
};

const char *password_refusal(const char *password, size_t length) {
    size_t characters = 0;
    for (size_t i = 0; i < length; i++) {
        characters += ((unsigned char)password[i] & 0xC0) != 0x80 ? 1 : 0;
    }
    if (memchr(password, '\0', length) != NULL) {
        return "must not contain NUL";
    }
    if (characters < PASSWORD_CHARACTERS_MIN || characters > PASSWORD_CHARACTERS_MAX ||
        length > PASSWORD_BYTES_MAX) {
        return "must have 8 to 128 characters";
    }
    return NULL;
}

static bool is_bcrypt(const char *text, size_t length) {
    static const char alphabet[] =
        "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    if (length != BCRYPT_LENGTH || memcmp(text, "$2", 2) != 0 || text[3] != '$' || text[6] != '$') {
        return false;
    }
    if (text[2] != 'a' && text[2] != 'b' && text[2] != 'y') {
        return false;
    }
    bool cost_good = (text[4] == '0' && text[5] >= '4' && text[5] <= '9') ||
                     (text[4] == '1' && text[5] >= '0' && text[5] <= '5');
    for (size_t i = BCRYPT_SALT_OFFSET; cost_good && i < BCRYPT_LENGTH; i++) {
        if (memchr(alphabet, text[i], sizeof alphabet - 1) == NULL) {
            return false;
        }
    }
    return cost_good;
}

enum password_form password_stored_form(const char *stored, size_t length) {
    if (is_bcrypt(stored, length)) {
        return PASSWORD_FORM_PLAIN;
    }
    if (length > PREHASH_MARK_LEN && memcmp(stored, PREHASH_MARK, PREHASH_MARK_LEN) == 0 &&
        is_bcrypt(stored + PREHASH_MARK_LEN, length - PREHASH_MARK_LEN) &&
        stored[PREHASH_MARK_LEN + 2] == 'b') {
        return PASSWORD_FORM_PREHASHED;
    }
    return PASSWORD_FORM_UNKNOWN;
}

size_t password_scratch_size(void) {
    return sizeof(struct crypt_data);
}

static enum password_form form_for(size_t password_length) {
    return password_length > BCRYPT_PHRASE_MAX ? PASSWORD_FORM_PREHASHED : PASSWORD_FORM_PLAIN;
}

/* `setting` begins with a bcrypt prefix and salt. False: no memory for the digest. */
static bool phrase_make(struct phrase *phrase, const char *password, size_t length,
                        const char *setting) {
    memset(phrase, 0, sizeof *phrase);
    if (form_for(length) == PASSWORD_FORM_PLAIN) {
        memcpy(phrase->text, password, length);
        return true;
    }
    char key[PREHASH_LABEL_LEN + BCRYPT_SALT_LENGTH];
    memcpy(key, PREHASH_LABEL, PREHASH_LABEL_LEN);
    memcpy(key + PREHASH_LABEL_LEN, setting + BCRYPT_SALT_OFFSET, BCRYPT_SALT_LENGTH);
    unsigned char digest[SHA384_SIZE];
    unsigned size = 0;
    bool good = HMAC(EVP_sha384(), key, (int)sizeof key, (const unsigned char *)password, length,
                     digest, &size) != NULL &&
                size == sizeof digest;
    if (good) {
        int written = EVP_EncodeBlock((unsigned char *)phrase->text, digest, sizeof digest);
        assert(written == PREHASH_LENGTH);
    }
    explicit_bzero(digest, sizeof digest);
    return good;
}

/* The bcrypt string, in `scratch`; NULL on any failure of libxcrypt. */
static const char *bcrypt(const struct phrase *phrase, const char *setting, void *scratch) {
    const char *result = crypt_rn(phrase->text, setting, scratch, (int)sizeof(struct crypt_data));
    return result != NULL && strlen(result) == BCRYPT_LENGTH && is_bcrypt(result, BCRYPT_LENGTH)
               ? result
               : NULL;
}

bool password_hash(const char *password, size_t length, unsigned cost, void *scratch,
                   char stored[static PASSWORD_STORED_SIZE]) {
    assert(cost >= PASSWORD_COST_MIN && cost <= PASSWORD_COST_MAX);
    assert(password_refusal(password, length) == NULL);
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    struct phrase phrase;
    if (crypt_gensalt_rn("$2b$", cost, NULL, 0, setting, (int)sizeof setting) == NULL ||
        strlen(setting) < BCRYPT_SALT_OFFSET + BCRYPT_SALT_LENGTH ||
        !phrase_make(&phrase, password, length, setting)) {
        return false;
    }
    const char *result = bcrypt(&phrase, setting, scratch);
    if (result != NULL) {
        const char *mark = form_for(length) == PASSWORD_FORM_PREHASHED ? PREHASH_MARK : "";
        snprintf(stored, PASSWORD_STORED_SIZE, "%s%s", mark, result);
    }
    explicit_bzero(&phrase, sizeof phrase);
    return result != NULL;
}

static void dummy_make(char dummy[static BCRYPT_LENGTH + 1], unsigned cost) {
    memcpy(dummy, DUMMY, sizeof DUMMY);
    dummy[4] = (char)('0' + cost / 10);
    dummy[5] = (char)('0' + cost % 10);
}

static unsigned cost_of(const char *setting) {
    return (unsigned)(setting[4] - '0') * 10 + (unsigned)(setting[5] - '0');
}

bool password_verify(const char *password, size_t length, const char *stored, size_t stored_length,
                     unsigned cost, void *scratch) {
    assert(cost >= PASSWORD_COST_MIN && cost <= PASSWORD_COST_MAX);
    assert(password_refusal(password, length) == NULL);
    char setting[BCRYPT_LENGTH + 1], dummy[BCRYPT_LENGTH + 1];
    dummy_make(setting, cost);
    enum password_form form =
        stored == NULL ? PASSWORD_FORM_UNKNOWN : password_stored_form(stored, stored_length);
    if (form != PASSWORD_FORM_UNKNOWN) {
        memcpy(setting, stored + stored_length - BCRYPT_LENGTH, BCRYPT_LENGTH);
    }
    struct phrase phrase;
    bool good = phrase_make(&phrase, password, length, setting);
    const char *result = bcrypt(&phrase, setting, scratch);
    good = good && result != NULL && CRYPTO_memcmp(result, setting, BCRYPT_LENGTH) == 0;
    good = good && form == form_for(length);
    for (unsigned fill = cost_of(setting); fill < cost; fill++) {
        dummy_make(dummy, fill);
        (void)bcrypt(&phrase, dummy, scratch);
    }
    explicit_bzero(&phrase, sizeof phrase);
    return good;
}
