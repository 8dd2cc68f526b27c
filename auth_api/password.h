/*
 * password: what a user's password may be, how it is stored, and whether it is the right one.
 * Pure: no I/O beyond the operating system's random bytes for salts, no state.
 *
 * Stored forms:
 *   $2b$12$<22 salt><31 hash>                  bcrypt of the password itself, at most 72 bytes long
 *   v1$hmac-sha384$2b$12$<22 salt><31 hash>    bcrypt of base64(HMAC-SHA-384(salt, password)), for
 *                                              every longer one
 * The plain form is also accepted as `$2a$` and `$2y$`, and with costs from 04 to 15.
 */
#ifndef PACIOLI_AUTH_API_PASSWORD_H
#define PACIOLI_AUTH_API_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#define PASSWORD_CHARACTERS_MIN 8 /* Unicode code points */
#define PASSWORD_CHARACTERS_MAX 128
#define PASSWORD_BYTES_MAX      512 /* of UTF-8: 4 for each */
#define PASSWORD_COST_MIN       4
#define PASSWORD_COST_MAX       15
#define PASSWORD_STORED_SIZE    80 /* the longest stored form and its NUL */

/* How a stored value says it was made. */
enum password_form {
    PASSWORD_FORM_UNKNOWN,  /* none of ours: never matches anything */
    PASSWORD_FORM_PLAIN,    /* bcrypt of the password */
    PASSWORD_FORM_PREHASHED /* bcrypt of its HMAC */
};

/* NULL when valid UTF-8 of `length` bytes may be a password, else the reason, in English. */
const char *password_refusal(const char *password, size_t length);

enum password_form password_stored_form(const char *stored, size_t length);

/* Memory that hashing needs, per thread: 32 KiB.  Zeroed before, to be wiped after each use. */
size_t password_scratch_size(void);

/*
 * Both take milliseconds to seconds by cost (12: about 0.2 s): never in an event loop.  `password`
 * is one that password_refusal lets pass.
 */

/* Makes a stored value with a new salt.  False: no random bytes, or libxcrypt refused. */
__attribute__((warn_unused_result)) bool password_hash(const char *password, size_t length,
                                                       unsigned cost, void *scratch,
                                                       char stored[static PASSWORD_STORED_SIZE]);

/*
 * Is it the password that `stored` was made from?  `stored` NULL: there is no such user; false.
 * The work is the same for a match, a wrong password, no user and an unknown form: that of one
 * hash at `cost`, or at the stored value's own cost when that is higher.
 */
__attribute__((warn_unused_result)) bool password_verify(const char *password, size_t length,
                                                         const char *stored, size_t stored_length,
                                                         unsigned cost, void *scratch);

#endif
