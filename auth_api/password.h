/*
 * password: what a user's password may be, how it is stored, and whether it is the right one.
 * Pure: no I/O beyond the operating system's random bytes for salts, no state.
 *
 * Stored forms:
 *   $2b$12$<22 salt><31 hash>                  bcrypt of the password itself, at most 72 bytes long
 *   v1$hmac-sha384$2b$12$<22 salt><31 hash>    bcrypt of base64(HMAC-SHA-384(salt, password)), for
 *                                              every longer one
 *   v2$<pepper>$2b$12$<salt><hash>             the same or yescrypt, of the HMAC of the password's
 *   v2$<pepper>$y$j9T$<salt>$<hash>            NFKC form under a pepper and the salt; `-` instead
 *                                              of a pepper's name: none
 * The plain form is also accepted as `$2a$` and `$2y$`, and with costs from 04 to 15.
 */
#ifndef PACIOLI_AUTH_API_PASSWORD_H
#define PACIOLI_AUTH_API_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#define PASSWORD_CHARACTERS_MIN    8 /* Unicode code points */
#define PASSWORD_CHARACTERS_MAX    128
#define PASSWORD_BYTES_MAX         512 /* of UTF-8: 4 for each */
#define PASSWORD_COST_MIN          4
#define PASSWORD_COST_MAX          15
#define PASSWORD_YESCRYPT_COST_MIN 4   /* 8 MiB */
#define PASSWORD_YESCRYPT_COST_MAX 9   /* 256 MiB */
#define PASSWORD_STORED_SIZE       160 /* the longest stored form and its NUL */
#define PASSWORD_PEPPERS_MAX       8
#define PASSWORD_PEPPER_NAME_MAX   16
#define PASSWORD_PEPPER_MIN        32
#define PASSWORD_PEPPER_MAX        64

enum password_method { PASSWORD_BCRYPT, PASSWORD_YESCRYPT };

struct password_pepper {
    char name[PASSWORD_PEPPER_NAME_MAX + 1]; /* of a-z and 0-9 */
    unsigned char key[PASSWORD_PEPPER_MAX];
    size_t key_length;
};

/* How passwords are stored from now on. */
struct password_policy {
    enum password_method method;
    unsigned cost;
    struct password_pepper peppers[PASSWORD_PEPPERS_MAX]; /* the first is the one of today */
    size_t pepper_count;
};

/* How a stored value says it was made. */
enum password_form {
    PASSWORD_FORM_UNKNOWN,   /* none of ours: never matches anything */
    PASSWORD_FORM_PLAIN,     /* bcrypt of the password */
    PASSWORD_FORM_PREHASHED, /* bcrypt of its HMAC */
    PASSWORD_FORM_KEYED      /* bcrypt or yescrypt of the HMAC of its NFKC form */
};

/* NULL when valid UTF-8 of `length` bytes may be a new password, else the reason, in English.
 * Characters are counted after NFKC. */
const char *password_refusal(const char *password, size_t length);
/* The same for one that may be an old one: counted as it is, or after NFKC. */
const char *password_impossible(const char *password, size_t length);

enum password_form password_stored_form(const char *stored, size_t length);

/* Lines `NAME BASE64` of 32 to 64 bytes, the pepper of today first; false + the reason. */
__attribute__((warn_unused_result)) bool password_read_peppers(const char *text, size_t length,
                                                               struct password_policy *policy,
                                                               const char **reason);

/* Memory that hashing needs, per thread: 32 KiB.  Zeroed before, to be wiped after each use. */
size_t password_scratch_size(void);

/*
 * Both take milliseconds to seconds by cost (bcrypt 12: about 0.2 s): never in an event loop.
 * `password` is one that password_impossible lets pass.
 */

/* Makes a stored value with a new salt.  False: no random bytes, or libxcrypt refused. */
__attribute__((warn_unused_result)) bool password_hash(const char *password, size_t length,
                                                       const struct password_policy *policy,
                                                       void *scratch,
                                                       char stored[static PASSWORD_STORED_SIZE]);

/*
 * Is it the password that `stored` was made from?  `stored` NULL: there is no such user; false.
 * The work is the same for a match, a wrong password, no user and an unknown form: that of one
 * hash as the policy wants it, or at the stored value's own cost when that is higher.  A value of
 * the other method costs its own work and the policy's.
 */
__attribute__((warn_unused_result)) bool password_verify(const char *password, size_t length,
                                                         const char *stored, size_t stored_length,
                                                         const struct password_policy *policy,
                                                         void *scratch);

/* Would `password`, whose stored value this is, be stored otherwise today: by another method, at a
 * higher cost, under another pepper? */
bool password_is_outdated(const char *password, size_t length, const char *stored,
                          size_t stored_length, const struct password_policy *policy);

#endif
