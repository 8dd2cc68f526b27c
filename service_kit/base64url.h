/*
 * base64url: RFC 4648's alphabet for URLs, without padding, in its one canonical spelling.
 */
#ifndef PACIOLI_SERVICE_KIT_BASE64URL_H
#define PACIOLI_SERVICE_KIT_BASE64URL_H

#include <stdbool.h>
#include <stddef.h>

/* Characters of `size` bytes, without the NUL. */
#define BASE64URL_LENGTH(size) (((size)*4 + 2) / 3)

/*
 * Decodes into `out`, which holds length * 3 / 4 bytes.  False for a character that is not of the
 * alphabet, an impossible length, and for bits behind the last byte that are not zero: with those,
 * one value would have several spellings.
 */
__attribute__((warn_unused_result)) bool base64url_decode(const char *text, size_t length,
                                                          void *out, size_t *out_length);
/* Writes BASE64URL_LENGTH(size) characters and a NUL. */
void base64url_encode(const void *bytes, size_t size, char *text);

#endif
