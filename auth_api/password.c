/*
 * Design.  bcrypt reads 72 bytes and stops at a NUL; whatever is behind does not count.  So a
 * password of up to 72 bytes is hashed as it is (users of the demo have such hashes), and a longer
 * one through HMAC-SHA-384, whose base64 form is 64 characters without a NUL.  The stored value
 * says which: a plain one is never matched by a long password, however equal its first 72 bytes,
 * and a prehashed one never by a short password, not even by the 64 characters themselves.
 *
 * Both forms are for bcrypt and passwords of ASCII, which NFKC leaves alone.  Every other new one
 * is keyed: an HMAC of its NFKC form, so that a letter counts as the same however it was typed.
 *
 * The HMAC's key is a label of ours, the pepper, and the hash's own method and salt.  So a digest
 * of the same password that leaked elsewhere cannot be tried against our hashes in place of the
 * password (shucking), and no two users share one.
 *
 * libxcrypt takes any two characters for a DES salt and "*0" for a result.  So a stored value is
 * compared with the forms above, byte by byte, before libxcrypt sees it; and a result counts only
 * when it has such a form again.
 *
 * A password that is not of ASCII but has an NFKC form that is could have been stored as either, by
 * the demo or by us, in the first two forms: both are tried, whoever's value it is.
 *
 * A verification always does the same steps.  Without a usable stored value it works on a dummy as
 * the policy wants it, and its answer is masked.  A stored cost c below the policy's cost C is
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
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define BCRYPT_LENGTH        60 /* "$2b$12$", 22 characters of salt, 31 of hash */
#define BCRYPT_PHRASE_MAX    72
#define BCRYPT_SALT_OFFSET   7
#define BCRYPT_SALT_LENGTH   22
#define YESCRYPT_SALT_OFFSET 7 /* behind "$y$j9T$" */
#define YESCRYPT_SALT_MAX    86
#define YESCRYPT_HASH_LENGTH 43
#define PREHASH_MARK         "v1$hmac-sha384"
#define PREHASH_MARK_LEN     (sizeof PREHASH_MARK - 1)
#define PREHASH_LABEL        "pacioli password v1:"
#define KEYED_MARK           "v2$"
#define KEYED_MARK_LEN       (sizeof KEYED_MARK - 1)
#define KEYED_LABEL          "pacioli password v2:"
#define KEY_MAX              (sizeof KEYED_LABEL + PASSWORD_PEPPER_MAX + CRYPTED_SIZE)
#define SHA384_SIZE          48
#define PREHASH_LENGTH       64 /* base64 of 48 bytes, no padding */
#define CRYPTED_SIZE         140
#define NO_PEPPER            "-"

static const char alphabet[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* Well-formed values for when there is none, at the cost that is put in.  Nobody's hashes. */
static const char BCRYPT_DUMMY[] = "$2b$00$......................ooooooooooooooooooooooooooooooo";
static const char YESCRYPT_DUMMY[] =
    "$y$j.T$......................$ooooooooooooooooooooooooooooooooooooooooooo";

_Static_assert(sizeof BCRYPT_DUMMY == BCRYPT_LENGTH + 1, "a dummy has a hash's length");
_Static_assert(sizeof KEYED_MARK + PASSWORD_PEPPER_NAME_MAX + CRYPTED_SIZE <=
                   PASSWORD_STORED_SIZE + 8,
               "stored forms must fit");

/* What libxcrypt hashes: the password or its prehash. */
struct phrase {
    char text[BCRYPT_PHRASE_MAX + 1];
};

/* A stored value, taken apart. */
struct stored {
    enum password_form form;
    enum password_method method;
    unsigned cost;
    char pepper[PASSWORD_PEPPER_NAME_MAX + 1]; /* keyed: "-" for none */
    char crypted[CRYPTED_SIZE];                /* what libxcrypt made */
};

/* ---- what may be one ---- */

static size_t count_characters(const char *text, size_t length) {
    size_t characters = 0;
    for (size_t i = 0; i < length; i++) {
        characters += ((unsigned char)text[i] & 0xC0) != 0x80 ? 1 : 0;
    }
    return characters;
}

static bool is_ascii(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

/* The NFKC form, to be wiped and freed; NULL: no memory, or text that is no UTF-8. */
static char *normalize(const char *text, size_t length, size_t *normal_length) {
    utf8proc_uint8_t *normal = NULL;
    utf8proc_ssize_t size =
        utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)length, &normal,
                     UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
    if (size < 0) {
        free(normal);
        return NULL;
    }
    *normal_length = (size_t)size;
    return (char *)normal;
}

static bool has_length(size_t characters) {
    return characters >= PASSWORD_CHARACTERS_MIN && characters <= PASSWORD_CHARACTERS_MAX;
}

static bool has_normal_length(const char *password, size_t length) {
    if (is_ascii(password, length)) {
        return has_length(length);
    }
    size_t normal_length = 0;
    char *normal = normalize(password, length, &normal_length);
    bool good = normal != NULL && has_length(count_characters(normal, normal_length));
    if (normal != NULL) {
        explicit_bzero(normal, normal_length);
    }
    free(normal);
    return good;
}

static const char *refusal(const char *password, size_t length, bool old) {
    if (memchr(password, '\0', length) != NULL) {
        return "must not contain NUL";
    }
    bool good =
        length <= PASSWORD_BYTES_MAX && ((old && has_length(count_characters(password, length))) ||
                                         has_normal_length(password, length));
    return good ? NULL : "must have 8 to 128 characters";
}

const char *password_refusal(const char *password, size_t length) {
    return refusal(password, length, false);
}

const char *password_impossible(const char *password, size_t length) {
    return refusal(password, length, true);
}

/* ---- stored values ---- */

static bool is_of_alphabet(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (memchr(alphabet, text[i], sizeof alphabet - 1) == NULL) {
            return false;
        }
    }
    return true;
}

static bool is_bcrypt(const char *text, size_t length, unsigned *cost) {
    if (length != BCRYPT_LENGTH || memcmp(text, "$2", 2) != 0 || text[3] != '$' || text[6] != '$') {
        return false;
    }
    if (text[2] != 'a' && text[2] != 'b' && text[2] != 'y') {
        return false;
    }
    bool good = (text[4] == '0' && text[5] >= '4' && text[5] <= '9') ||
                (text[4] == '1' && text[5] >= '0' && text[5] <= '5');
    *cost = good ? (unsigned)(text[4] - '0') * 10 + (unsigned)(text[5] - '0') : 0;
    return good && is_of_alphabet(text + BCRYPT_SALT_OFFSET, length - BCRYPT_SALT_OFFSET);
}

/* The letter of a yescrypt cost, which is the number of blocks, 2^(cost + 7). */
static char yescrypt_letter(unsigned cost) {
    return alphabet[cost + 6];
}

static bool is_yescrypt(const char *text, size_t length, unsigned *cost) {
    if (length <= YESCRYPT_SALT_OFFSET + YESCRYPT_HASH_LENGTH + 1 || length >= CRYPTED_SIZE ||
        memcmp(text, "$y$j", 4) != 0 || memcmp(text + 5, "T$", 2) != 0) {
        return false;
    }
    *cost = 0;
    for (unsigned one = PASSWORD_YESCRYPT_COST_MIN; one <= PASSWORD_YESCRYPT_COST_MAX; one++) {
        *cost = text[4] == yescrypt_letter(one) ? one : *cost;
    }
    size_t salt_length = length - YESCRYPT_SALT_OFFSET - YESCRYPT_HASH_LENGTH - 1;
    const char *behind = text + YESCRYPT_SALT_OFFSET + salt_length;
    return *cost > 0 && salt_length <= YESCRYPT_SALT_MAX && behind[0] == '$' &&
           is_of_alphabet(text + YESCRYPT_SALT_OFFSET, salt_length) &&
           is_of_alphabet(behind + 1, YESCRYPT_HASH_LENGTH);
}

static bool is_pepper_name(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (!((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9'))) {
            return false;
        }
    }
    return length > 0 && length <= PASSWORD_PEPPER_NAME_MAX;
}

static bool read_crypted(const char *text, size_t length, struct stored *stored) {
    if (is_bcrypt(text, length, &stored->cost)) {
        stored->method = PASSWORD_BCRYPT;
    } else if (is_yescrypt(text, length, &stored->cost)) {
        stored->method = PASSWORD_YESCRYPT;
    } else {
        return false;
    }
    memcpy(stored->crypted, text, length);
    stored->crypted[length] = '\0';
    return true;
}

static bool read_keyed(const char *text, size_t length, struct stored *stored) {
    if (length <= KEYED_MARK_LEN || memcmp(text, KEYED_MARK, KEYED_MARK_LEN) != 0) {
        return false;
    }
    const char *name = text + KEYED_MARK_LEN, *end = text + length;
    const char *dollar = memchr(name, '$', (size_t)(end - name));
    if (dollar == NULL) {
        return false;
    }
    size_t name_length = (size_t)(dollar - name);
    bool none = name_length == 1 && *name == NO_PEPPER[0];
    if (!none && !is_pepper_name(name, name_length)) {
        return false;
    }
    memcpy(stored->pepper, name, name_length);
    stored->pepper[name_length] = '\0';
    return read_crypted(dollar, (size_t)(end - dollar), stored);
}

static void read_stored(const char *text, size_t length, struct stored *stored) {
    *stored = (struct stored){.form = PASSWORD_FORM_UNKNOWN};
    if (text == NULL || length >= PASSWORD_STORED_SIZE) {
        return;
    }
    if (is_bcrypt(text, length, &stored->cost) && read_crypted(text, length, stored)) {
        stored->form = PASSWORD_FORM_PLAIN;
    } else if (length > PREHASH_MARK_LEN && memcmp(text, PREHASH_MARK, PREHASH_MARK_LEN) == 0 &&
               is_bcrypt(text + PREHASH_MARK_LEN, length - PREHASH_MARK_LEN, &stored->cost) &&
               text[PREHASH_MARK_LEN + 2] == 'b' &&
               read_crypted(text + PREHASH_MARK_LEN, length - PREHASH_MARK_LEN, stored)) {
        stored->form = PASSWORD_FORM_PREHASHED;
    } else if (read_keyed(text, length, stored)) {
        stored->form = PASSWORD_FORM_KEYED;
    }
}

enum password_form password_stored_form(const char *stored, size_t length) {
    struct stored parts;
    read_stored(stored, length, &parts);
    return parts.form;
}

/* ---- peppers ---- */

static const struct password_pepper *find_pepper(const struct password_policy *policy,
                                                 const char *name) {
    for (size_t i = 0; i < policy->pepper_count; i++) {
        if (strcmp(policy->peppers[i].name, name) == 0) {
            return &policy->peppers[i];
        }
    }
    return NULL;
}

/* Base64 with its padding. */
static bool read_key(const char *text, size_t length, struct password_pepper *pepper) {
    unsigned char decoded[PASSWORD_PEPPER_MAX + 3];
    size_t padding = 0;
    while (padding < 2 && padding < length && text[length - 1 - padding] == '=') {
        padding++;
    }
    if (length % 4 != 0 || length / 4 * 3 > sizeof decoded ||
        EVP_DecodeBlock(decoded, (const unsigned char *)text, (int)length) < 0) {
        return false;
    }
    pepper->key_length = length / 4 * 3 - padding;
    bool good =
        pepper->key_length >= PASSWORD_PEPPER_MIN && pepper->key_length <= PASSWORD_PEPPER_MAX;
    if (good) {
        memcpy(pepper->key, decoded, pepper->key_length);
    }
    OPENSSL_cleanse(decoded, sizeof decoded);
    return good;
}

bool password_read_peppers(const char *text, size_t length, struct password_policy *policy,
                           const char **reason) {
    const char *end = text + length;
    policy->pepper_count = 0;
    while (text < end) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        stop = stop == NULL ? end : stop;
        const char *blank = memchr(text, ' ', (size_t)(stop - text));
        if (blank == NULL || !is_pepper_name(text, (size_t)(blank - text))) {
            *reason = "each line must be a name of a-z and 0-9, a blank, and base64";
            return false;
        }
        if (policy->pepper_count == PASSWORD_PEPPERS_MAX) {
            *reason = "there may be 8 peppers at most";
            return false;
        }
        struct password_pepper *pepper = &policy->peppers[policy->pepper_count];
        *pepper = (struct password_pepper){.key_length = 0};
        memcpy(pepper->name, text, (size_t)(blank - text));
        if (find_pepper(policy, pepper->name) != NULL ||
            !read_key(blank + 1, (size_t)(stop - blank) - 1, pepper)) {
            *reason = "a pepper must be base64 of 32 to 64 bytes, and each have another name";
            return false;
        }
        policy->pepper_count++;
        text = stop < end ? stop + 1 : end;
    }
    *reason = "it is empty";
    return policy->pepper_count > 0;
}

/* ---- hashing ---- */

size_t password_scratch_size(void) {
    return sizeof(struct crypt_data);
}

/* The part of a setting that tells two hashes of one password apart: method, cost and salt. */
static size_t salt_end(const char *setting) {
    if (setting[1] == '2') {
        return BCRYPT_SALT_OFFSET + BCRYPT_SALT_LENGTH;
    }
    const char *dollar = strchr(setting + YESCRYPT_SALT_OFFSET, '$');
    return dollar == NULL ? strlen(setting) : (size_t)(dollar - setting);
}

static size_t append(char *key, size_t at, const void *bytes, size_t length) {
    assert(at + length <= KEY_MAX);
    memcpy(key + at, bytes, length);
    return at + length;
}

static bool keyed_digest(struct phrase *phrase, const char *key, size_t key_length,
                         const char *text, size_t length) {
    unsigned char digest[SHA384_SIZE];
    unsigned size = 0;
    bool good = HMAC(EVP_sha384(), key, (int)key_length, (const unsigned char *)text, length,
                     digest, &size) != NULL &&
                size == sizeof digest;
    if (good) {
        int written = EVP_EncodeBlock((unsigned char *)phrase->text, digest, sizeof digest);
        assert(written == PREHASH_LENGTH);
    }
    explicit_bzero(digest, sizeof digest);
    return good;
}

/* The ASCII that a password becomes by NFKC, to be wiped and freed; NULL: it is ASCII, or does not.
 */
static char *ascii_form(const char *password, size_t length, size_t *normal_length) {
    if (is_ascii(password, length)) {
        return NULL;
    }
    char *normal = normalize(password, length, normal_length);
    if (normal == NULL || is_ascii(normal, *normal_length)) {
        return normal;
    }
    explicit_bzero(normal, *normal_length);
    free(normal);
    return NULL;
}

/* `setting` begins with a prefix and a salt; `pepper` may be NULL.  False: no memory. */
static bool phrase_make(struct phrase *phrase, enum password_form form, const char *password,
                        size_t length, const char *setting, const struct password_pepper *pepper) {
    char key[KEY_MAX];
    size_t at = 0;
    memset(phrase, 0, sizeof *phrase);
    if (form == PASSWORD_FORM_PLAIN) {
        memcpy(phrase->text, password, length < BCRYPT_PHRASE_MAX ? length : BCRYPT_PHRASE_MAX);
        return true;
    }
    if (form == PASSWORD_FORM_PREHASHED) {
        at = append(key, at, PREHASH_LABEL, sizeof PREHASH_LABEL - 1);
        at = append(key, at, setting + BCRYPT_SALT_OFFSET, BCRYPT_SALT_LENGTH);
        return keyed_digest(phrase, key, at, password, length);
    }
    size_t normal_length = 0;
    char *normal = normalize(password, length, &normal_length);
    if (normal == NULL) {
        return false;
    }
    at = append(key, at, KEYED_LABEL, sizeof KEYED_LABEL - 1);
    if (pepper != NULL) {
        at = append(key, at, pepper->key, pepper->key_length);
    }
    at = append(key, at, setting, salt_end(setting));
    bool good = keyed_digest(phrase, key, at, normal, normal_length);
    explicit_bzero(normal, normal_length);
    free(normal);
    explicit_bzero(key, sizeof key);
    return good;
}

/* What libxcrypt makes, in `scratch`; NULL on any failure, or when it is none of our forms. */
static const char *crypt_phrase(const struct phrase *phrase, const char *setting, void *scratch) {
    const char *result = crypt_rn(phrase->text, setting, scratch, (int)sizeof(struct crypt_data));
    struct stored made;
    return result != NULL && read_crypted(result, strlen(result), &made) ? result : NULL;
}

/* How a password is stored under the policy. */
static enum password_form form_of_today(const char *password, size_t length,
                                        const struct password_policy *policy) {
    if (policy->method != PASSWORD_BCRYPT || policy->pepper_count > 0 ||
        !is_ascii(password, length)) {
        return PASSWORD_FORM_KEYED;
    }
    return length > BCRYPT_PHRASE_MAX ? PASSWORD_FORM_PREHASHED : PASSWORD_FORM_PLAIN;
}

static void assert_policy(const struct password_policy *policy) {
    static const struct {
        unsigned least, most;
    } costs[] = {
        [PASSWORD_BCRYPT] = {PASSWORD_COST_MIN, PASSWORD_COST_MAX},
        [PASSWORD_YESCRYPT] = {PASSWORD_YESCRYPT_COST_MIN, PASSWORD_YESCRYPT_COST_MAX},
    };
    assert(policy->cost >= costs[policy->method].least);
    assert(policy->cost <= costs[policy->method].most);
}

bool password_hash(const char *password, size_t length, const struct password_policy *policy,
                   void *scratch, char stored[static PASSWORD_STORED_SIZE]) {
    assert_policy(policy);
    assert(password_impossible(password, length) == NULL);
    const struct password_pepper *pepper = policy->pepper_count > 0 ? &policy->peppers[0] : NULL;
    enum password_form form = form_of_today(password, length, policy);
    char setting[CRYPT_GENSALT_OUTPUT_SIZE], mark[KEYED_MARK_LEN + PASSWORD_PEPPER_NAME_MAX + 16];
    struct phrase phrase;
    if (crypt_gensalt_rn(policy->method == PASSWORD_BCRYPT ? "$2b$" : "$y$", policy->cost, NULL, 0,
                         setting, (int)sizeof setting) == NULL ||
        !phrase_make(&phrase, form, password, length, setting, pepper)) {
        return false;
    }
    const char *result = crypt_phrase(&phrase, setting, scratch);
    explicit_bzero(&phrase, sizeof phrase);
    if (result == NULL) {
        return false;
    }
    snprintf(mark, sizeof mark, "%s%s",
             form == PASSWORD_FORM_PLAIN       ? ""
             : form == PASSWORD_FORM_PREHASHED ? PREHASH_MARK
                                               : KEYED_MARK,
             form != PASSWORD_FORM_KEYED ? ""
             : pepper == NULL            ? NO_PEPPER
                                         : pepper->name);
    int written = snprintf(stored, PASSWORD_STORED_SIZE, "%s%s", mark, result);
    return written > 0 && written < PASSWORD_STORED_SIZE;
}

static void dummy_make(char dummy[static CRYPTED_SIZE], enum password_method method,
                       unsigned cost) {
    if (method == PASSWORD_BCRYPT) {
        memcpy(dummy, BCRYPT_DUMMY, sizeof BCRYPT_DUMMY);
        dummy[4] = (char)('0' + cost / 10);
        dummy[5] = (char)('0' + cost % 10);
    } else {
        memcpy(dummy, YESCRYPT_DUMMY, sizeof YESCRYPT_DUMMY);
        dummy[4] = yescrypt_letter(cost);
    }
}

/* Work of the policy's method from cost `from` on, so that all of it is that of the policy. */
static void fill_up(const struct phrase *phrase, const struct password_policy *policy,
                    const struct stored *stored, void *scratch) {
    char dummy[CRYPTED_SIZE];
    if (stored->method != policy->method) {
        dummy_make(dummy, policy->method, policy->cost);
        (void)crypt_phrase(phrase, dummy, scratch);
        return;
    }
    for (unsigned cost = stored->cost; cost < policy->cost; cost++) {
        dummy_make(dummy, policy->method, cost);
        (void)crypt_phrase(phrase, dummy, scratch);
    }
}

/* Is what libxcrypt makes of the password the stored value? */
static bool matches(const struct stored *parts, const char *password, size_t length,
                    const struct password_pepper *pepper, void *scratch, struct phrase *phrase) {
    bool good = phrase_make(phrase, parts->form, password, length, parts->crypted, pepper);
    const char *result = crypt_phrase(phrase, parts->crypted, scratch);
    good = good && result != NULL && strlen(result) == strlen(parts->crypted) &&
           CRYPTO_memcmp(result, parts->crypted, strlen(result)) == 0;
    /* bcrypt sees no more than 72 bytes, and the mark of a prehash says that there were more. */
    good = good && (parts->form != PASSWORD_FORM_PLAIN || length <= BCRYPT_PHRASE_MAX);
    return good && (parts->form != PASSWORD_FORM_PREHASHED || length > BCRYPT_PHRASE_MAX);
}

bool password_verify(const char *password, size_t length, const char *stored, size_t stored_length,
                     const struct password_policy *policy, void *scratch) {
    assert_policy(policy);
    assert(password_impossible(password, length) == NULL);
    struct stored parts;
    read_stored(stored, stored_length, &parts);
    const struct password_pepper *pepper = NULL;
    bool usable = parts.form != PASSWORD_FORM_UNKNOWN;
    if (parts.form == PASSWORD_FORM_KEYED && strcmp(parts.pepper, NO_PEPPER) != 0) {
        pepper = find_pepper(policy, parts.pepper);
        usable = pepper != NULL;
    }
    if (!usable) {
        parts = (struct stored){.form = form_of_today(password, length, policy),
                                .method = policy->method,
                                .cost = policy->cost};
        dummy_make(parts.crypted, policy->method, policy->cost);
    }
    struct phrase phrase;
    bool good = matches(&parts, password, length, pepper, scratch, &phrase);
    size_t normal_length = 0;
    char *normal = ascii_form(password, length, &normal_length);
    if (normal != NULL && (parts.form != PASSWORD_FORM_KEYED || !usable)) {
        bool other = matches(&parts, normal, normal_length, pepper, scratch, &phrase);
        good = good || other;
    }
    if (normal != NULL) {
        explicit_bzero(normal, normal_length);
    }
    free(normal);
    good = good && usable;
    fill_up(&phrase, policy, &parts, scratch);
    explicit_bzero(&phrase, sizeof phrase);
    return good;
}

bool password_is_outdated(const char *password, size_t length, const char *stored,
                          size_t stored_length, const struct password_policy *policy) {
    struct stored parts;
    read_stored(stored, stored_length, &parts);
    const char *pepper = policy->pepper_count > 0 ? policy->peppers[0].name : NO_PEPPER;
    return parts.form != form_of_today(password, length, policy) ||
           parts.method != policy->method || parts.cost < policy->cost ||
           (parts.form == PASSWORD_FORM_KEYED && strcmp(parts.pepper, pepper) != 0);
}
