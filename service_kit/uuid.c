/*
 * Design.  Random bytes come from the kernel, a few hundred at a time into a buffer of the thread,
 * because one getrandom per id would be a system call per row.  The ids name things and are no
 * secrets.
 *
 * Version 7 puts milliseconds first, then a 12-bit sequence that starts at a random value in its
 * lower half and grows within one millisecond.  When it is used up, or the wall clock steps back,
 * the generator goes on from the millisecond it has, so that its ids always grow.
 */
#include "service_kit/uuid.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define RANDOM_POOL_SIZE 256 /* what getrandom hands out without ever being interrupted */
#define SEQUENCE_MAX     0x0fff
#define SEQUENCE_START   0x07ff

static void random_bytes(uint8_t *bytes, size_t count) {
    static _Thread_local uint8_t pool[RANDOM_POOL_SIZE];
    static _Thread_local size_t left;
    if (left < count) {
        if (getrandom(pool, sizeof(pool), 0) != (ssize_t)sizeof(pool))
            abort(); /* no id can be made: going on would make colliding ones */
        left = sizeof(pool);
    }
    left -= count;
    memcpy(bytes, pool + left, count);
}

static int hex_value(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

static bool is_dash_position(size_t position) {
    return position == 8 || position == 13 || position == 18 || position == 23;
}

bool uuid_parse(const char *text, size_t length, uint8_t uuid[static UUID_SIZE]) {
    if (length != UUID_TEXT_LENGTH)
        return false;
    size_t count = 0;
    for (size_t at = 0; at < UUID_TEXT_LENGTH;) {
        if (is_dash_position(at)) {
            if (text[at++] != '-')
                return false;
            continue;
        }
        int high = hex_value(text[at]);
        int low = hex_value(text[at + 1]);
        if (high < 0 || low < 0)
            return false;
        uuid[count++] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    return true;
}

void uuid_format(const uint8_t uuid[static UUID_SIZE], char text[static UUID_TEXT_LENGTH + 1]) {
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;
    for (size_t i = 0; i < UUID_SIZE; i++) {
        if (is_dash_position(at))
            text[at++] = '-';
        text[at++] = digits[uuid[i] >> 4];
        text[at++] = digits[uuid[i] & 0x0f];
    }
    text[at] = '\0';
}

static void set_variant(uint8_t uuid[static UUID_SIZE], uint8_t version) {
    uuid[6] = (uint8_t)((uuid[6] & 0x0f) | version << 4);
    uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

void uuid_v7(struct uuid_generator *generator, uint8_t uuid[static UUID_SIZE]) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    random_bytes(uuid + 6, UUID_SIZE - 6);

    bool restart = now_ms > generator->last_ms;
    if (restart) {
        generator->last_ms = now_ms;
    } else if (generator->sequence == SEQUENCE_MAX) {
        generator->last_ms++;
        restart = true;
    }
    if (restart)
        generator->sequence = (uint16_t)((uuid[6] << 8 | uuid[7]) & SEQUENCE_START);
    else
        generator->sequence++;

    for (size_t i = 0; i < 6; i++)
        uuid[i] = (uint8_t)(generator->last_ms >> (8 * (5 - i)));
    uuid[6] = (uint8_t)(generator->sequence >> 8);
    uuid[7] = (uint8_t)generator->sequence;
    set_variant(uuid, 7);
}

void uuid_v4(uint8_t uuid[static UUID_SIZE]) {
    random_bytes(uuid, UUID_SIZE);
    set_variant(uuid, 4);
}
