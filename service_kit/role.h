/*
 * role: what a caller may be, as bits of a set and as words in a token and in a database.
 *
 *   user      has accounts of his own
 *   operator  system accounts, freezing, reversals
 *   auditor   reads all reports, exports and audit trails
 *   admin     users, roles, keys
 */
#ifndef PACIOLI_SERVICE_KIT_ROLE_H
#define PACIOLI_SERVICE_KIT_ROLE_H

#include <stdbool.h>
#include <stddef.h>

#define HTTP_ROLE_USER     1U
#define HTTP_ROLE_OPERATOR 2U
#define HTTP_ROLE_AUDITOR  4U
#define HTTP_ROLE_ADMIN    8U
#define ROLE_COUNT         4U
#define ROLES_TEXT_SIZE    32U /* all of them, separated, and a NUL */

/* The name of the role with bit 1 << index, index < ROLE_COUNT. */
const char *role_name(size_t index);
/* The bit of a role's name; 0: no such role. */
unsigned role_parse(const char *text, size_t length);
/* The names of a set, in the order above. */
void roles_format(unsigned roles, char separator, char text[static ROLES_TEXT_SIZE]);
/* A list of names with one separator between them; "" is the empty set.  False: another word. */
__attribute__((warn_unused_result)) bool roles_parse(const char *text, size_t length,
                                                     char separator, unsigned *roles);

#endif
