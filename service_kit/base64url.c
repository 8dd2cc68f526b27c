/*
 * Design.  Bits are collected from the left; the decoder refuses what an encoder does not write.
 */
#include "service_kit/base64url.h"

#include <stdint.h>

static int digit_of(char c) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool base64url_decode(const char *text, size_t length, void *out, size_t *out_length) {
    if (length % 4 == 1) {
        return false;
    }
    unsigned char *bytes = out;
    uint32_t bits = 0;
    unsigned held = 0;
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        const int digit = digit_of(text[i]);
        if (digit < 0) {
            return false;
        }
        bits = (bits << 6 | (uint32_t)digit) & 0xfffU;
        held += 6;
        if (held >= 8) {
            held -= 8;
            bytes[count++] = (unsigned char)(bits >> held & 0xffU);
        }
    }
    *out_length = count;
    return (bits & ((1U << held) - 1)) == 0;
}

void base64url_encode(const void *bytes, size_t size, char *text) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *from = bytes;
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < size; i++) {
        bits = (bits << 8 | from[i]) & 0xffffU;
        held += 8;
        while (held >= 6) {
            held -= 6;
            *text++ = digits[bits >> held & 0x3fU];
        }
    }
    if (held > 0) {
        *text++ = digits[bits << (6 - held) & 0x3fU];
    }
    *text = '\0';
}
