/*
 * blocklist: passwords that everybody tries first.  Asked when a password is made, never when
 * somebody logs in.
 */
#ifndef PACIOLI_AUTH_API_BLOCKLIST_H
#define PACIOLI_AUTH_API_BLOCKLIST_H

#include <stdbool.h>
#include <stddef.h>

struct blocklist;

/*
 * Reads a file of sorted lines, as the build makes it (cmake/common_passwords.py); "" is the one
 * that belongs to the program, "none" an empty list.  NULL: one line in `error`.
 */
struct blocklist *blocklist_load(const char *path, char *error, size_t error_size);
void blocklist_free(struct blocklist *list); /* NULL is fine */
size_t blocklist_count(const struct blocklist *list);
/* NULL when the password may be, else the reason, in English. Letters count without their case. */
const char *blocklist_refusal(const struct blocklist *list, const char *username,
                              const char *password, size_t length);

#endif
