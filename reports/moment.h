/*
 * moment: times as they are asked for: a day ("2026-11-24") or an RFC 3339 time with its zone.
 */
#ifndef PACIOLI_REPORTS_MOMENT_H
#define PACIOLI_REPORTS_MOMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOMENT_TEXT_SIZE 32 /* "2026-11-24T12:00:00.000000Z" */

enum moment_edge {
    MOMENT_START, /* a day means its first moment */
    MOMENT_END,   /* a day means the first moment of the next day: everything before it counts */
};

/*
 * Reads it and writes it as UTC with microseconds.  False: neither form, or no such time.  Years
 * 1970 to 9998; fractions of up to six digits; a leap second does not exist here.
 */
__attribute__((warn_unused_result)) bool moment_parse(const char *text, size_t length,
                                                      enum moment_edge edge,
                                                      char out[static MOMENT_TEXT_SIZE]);
/* The same, as microseconds since 1970-01-01 UTC. */
__attribute__((warn_unused_result)) bool moment_parse_us(const char *text, size_t length,
                                                         enum moment_edge edge, int64_t *us);

#endif
