/*
 * uuid: UUIDs as 16 bytes: their text form, and the making of version 7 (time-ordered) and
 * version 4 (random) ones.
 */
#ifndef PACIOLI_SERVICE_KIT_UUID_H
#define PACIOLI_SERVICE_KIT_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UUID_SIZE        16
#define UUID_TEXT_LENGTH 36

/* Reads the 8-4-4-4-12 form, either case; nothing else. */
bool uuid_parse(const char *text, size_t length, uint8_t uuid[static UUID_SIZE]);
/* Lower case, NUL-terminated. */
void uuid_format(const uint8_t uuid[static UUID_SIZE], char text[static UUID_TEXT_LENGTH + 1]);

/* Version 7 ids that grow within one generator; one generator per thread. Zero-initialise. */
struct uuid_generator {
    uint64_t last_ms;
    uint16_t sequence;
};
void uuid_v7(struct uuid_generator *generator, uint8_t uuid[static UUID_SIZE]);
void uuid_v4(uint8_t uuid[static UUID_SIZE]);

#endif
