/*
 * uuid: text form of UUIDs and the making of version 7 (time-ordered) ones.
 */
#ifndef PACIOLI_JOURNAL_UUID_H
#define PACIOLI_JOURNAL_UUID_H

#include <stdbool.h>
#include <stddef.h>

#include "ledger_core/engine/posting.h"

#define UUID_TEXT_LENGTH 36

/* Reads the 8-4-4-4-12 form, either case; nothing else. */
bool uuid_parse(const char *text, size_t length, struct ledger_uuid *uuid);
/* Lower case, NUL-terminated. */
void uuid_format(const struct ledger_uuid *uuid, char text[static UUID_TEXT_LENGTH + 1]);
bool uuid_equal(const struct ledger_uuid *a, const struct ledger_uuid *b);

/* Makes version 7 ids that grow within one generator; one generator per thread. */
struct uuid_generator {
    uint64_t last_ms;
    uint16_t sequence;
};
void uuid_v7(struct uuid_generator *generator, struct ledger_uuid *uuid);

#endif
