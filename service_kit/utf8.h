/*
 * utf8: one strict UTF-8 sequence.  Refuses overlong forms, surrogates and anything above U+10FFFF,
 * which are the three things that yajl lets through and PostgreSQL does not.
 */
#ifndef PACIOLI_SERVICE_KIT_UTF8_H
#define PACIOLI_SERVICE_KIT_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The length in bytes of the sequence at `bytes`, 0 when it is not one; its code point. */
static inline size_t utf8_sequence(const char *bytes, size_t available, uint32_t *code_point) {
    if (available == 0) {
        return 0;
    }
    const unsigned char first = (unsigned char)bytes[0];
    if (first < 0x80) {
        *code_point = first;
        return 1;
    }
    const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || available < length) {
        return 0;
    }
    uint32_t value = first & (0xffU >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        const unsigned char next = (unsigned char)bytes[i];
        if ((next & 0xc0U) != 0x80) {
            return 0;
        }
        value = (value << 6) | (next & 0x3fU);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) {
        return 0;
    }
    *code_point = value;
    return length;
}

#endif
