/*
 * Design.  A numeric travels as digits to base 10,000, most significant first, with a weight (the
 * exponent of the first digit), a sign and a display scale; trailing zero digits are left out.
 * Arrays of dimension one are a header and then length-prefixed elements.  Text arrays would cost
 * the server a sixth of its time for parsing, so none is sent.
 */
#include "ledger_core/journal/wire.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include "service_kit/memory.h"

#define BASE               10000
#define DIGITS_MAX         10 /* 38 decimal digits */
#define SIGN_POSITIVE      0x0000
#define SIGN_NEGATIVE      0x4000
#define ARRAY_HEADER       20
#define ARRAY_COUNT_OFFSET 12

static void put16(uint8_t *out, uint16_t value) {
    value = htobe16(value);
    memcpy(out, &value, sizeof(value));
}

static uint16_t get16(const uint8_t *bytes) {
    uint16_t value;
    memcpy(&value, bytes, sizeof(value));
    return be16toh(value);
}

void wire_int32_put(uint8_t out[static 4], int32_t value) {
    uint32_t big = htobe32((uint32_t)value);
    memcpy(out, &big, sizeof(big));
}

void wire_int64_put(uint8_t out[static 8], int64_t value) {
    uint64_t big = htobe64((uint64_t)value);
    memcpy(out, &big, sizeof(big));
}

bool wire_int32_get(const void *bytes, int length, int32_t *value) {
    uint32_t big;
    if (length != (int)sizeof(big))
        return false;
    memcpy(&big, bytes, sizeof(big));
    *value = (int32_t)be32toh(big);
    return true;
}

bool wire_int64_get(const void *bytes, int length, int64_t *value) {
    uint64_t big;
    if (length != (int)sizeof(big))
        return false;
    memcpy(&big, bytes, sizeof(big));
    *value = (int64_t)be64toh(big);
    return true;
}

size_t wire_numeric_put(uint8_t *out, money_minor minor) {
    assert(minor >= -MONEY_MINOR_MAX && minor <= MONEY_MINOR_MAX);
    uint16_t digits[DIGITS_MAX]; /* least significant first */
    int count = 0;
    bool negative = minor < 0;
    for (money_minor rest = negative ? -minor : minor; rest != 0; rest /= BASE)
        digits[count++] = (uint16_t)(rest % BASE);
    int weight = count - 1;
    int zeros = 0;
    while (zeros < count && digits[zeros] == 0)
        zeros++;
    put16(out, (uint16_t)(count - zeros));
    put16(out + 2, (uint16_t)(count == 0 ? 0 : weight));
    put16(out + 4, negative ? SIGN_NEGATIVE : SIGN_POSITIVE);
    put16(out + 6, 0);
    uint8_t *at = out + 8;
    for (int i = count - 1; i >= zeros; i--, at += 2)
        put16(at, digits[i]);
    return (size_t)(at - out);
}

bool wire_numeric_get(const void *bytes, int length, money_minor *minor) {
    const uint8_t *at = bytes;
    if (length < 8)
        return false;
    int count = get16(at);
    int weight = (int16_t)get16(at + 2);
    uint16_t sign = get16(at + 4);
    if (length != 8 + 2 * count || (sign != SIGN_POSITIVE && sign != SIGN_NEGATIVE))
        return false; /* NaN and the infinities have signs of their own */
    if (count == 0) {
        *minor = 0;
        return true;
    }
    if (weight < count - 1 || weight >= DIGITS_MAX)
        return false; /* a fraction, or larger than we store */
    money_minor value = 0;
    for (int i = 0; i <= weight; i++) {
        uint16_t digit = i < count ? get16(at + 8 + 2 * i) : 0;
        if (digit >= BASE || __builtin_mul_overflow(value, (money_minor)BASE, &value) ||
            __builtin_add_overflow(value, (money_minor)digit, &value))
            return false;
    }
    if (value > MONEY_MINOR_MAX)
        return false;
    *minor = sign == SIGN_NEGATIVE ? -value : value;
    return true;
}

/* ---- arrays ---- */

static uint8_t *array_room(struct wire_array *array, size_t length) {
    if (array->length + length > array->capacity) {
        size_t capacity = array->capacity == 0 ? 1024 : array->capacity;
        while (capacity < array->length + length)
            capacity *= 2;
        array->bytes = memory_resize(array->bytes, capacity);
        array->capacity = capacity;
    }
    uint8_t *at = array->bytes + array->length;
    array->length += length;
    return at;
}

void wire_array_begin(struct wire_array *array, enum wire_element element) {
    array->length = 0;
    array->count = 0;
    uint8_t *header = array_room(array, ARRAY_HEADER);
    wire_int32_put(header, 1);     /* dimensions */
    wire_int32_put(header + 4, 0); /* no NULLs */
    wire_int32_put(header + 8, (int32_t)element);
    wire_int32_put(header + ARRAY_COUNT_OFFSET, 0);
    wire_int32_put(header + 16, 1); /* lower bound */
}

static uint8_t *array_element(struct wire_array *array, size_t length) {
    uint8_t *at = array_room(array, 4 + length);
    wire_int32_put(at, (int32_t)length);
    array->count++;
    return at + 4;
}

void wire_array_bytes(struct wire_array *array, const void *bytes, size_t length) {
    memcpy(array_element(array, length), bytes, length);
}

void wire_array_uuid(struct wire_array *array, const struct ledger_uuid *uuid) {
    wire_array_bytes(array, uuid->bytes, sizeof(uuid->bytes));
}

void wire_array_int64(struct wire_array *array, int64_t value) {
    wire_int64_put(array_element(array, 8), value);
}

void wire_array_numeric(struct wire_array *array, money_minor minor) {
    uint8_t bytes[WIRE_NUMERIC_MAX];
    size_t length = wire_numeric_put(bytes, minor);
    wire_array_bytes(array, bytes, length);
}

void wire_array_end(struct wire_array *array) {
    wire_int32_put(array->bytes + ARRAY_COUNT_OFFSET, array->count);
    if (array->count == 0) { /* an empty array has no dimension */
        wire_int32_put(array->bytes, 0);
        array->length = 12;
    }
}

void wire_array_free(struct wire_array *array) {
    free(array->bytes);
    *array = (struct wire_array){0};
}

bool wire_reader_begin(struct wire_reader *reader, enum wire_element element, const void *bytes,
                       int length) {
    int32_t dimensions, oid;
    const uint8_t *at = bytes;
    if (length < ARRAY_HEADER || !wire_int32_get(at, 4, &dimensions) || dimensions != 1 ||
        !wire_int32_get(at + 8, 4, &oid) || oid != (int32_t)element ||
        !wire_int32_get(at + ARRAY_COUNT_OFFSET, 4, &reader->left) || reader->left < 0)
        return false;
    reader->at = at + ARRAY_HEADER;
    reader->length = length - ARRAY_HEADER;
    return true;
}

bool wire_reader_next(struct wire_reader *reader, void *out, size_t size) {
    int32_t length;
    if (reader->left <= 0 || reader->length < 4 + (int)size ||
        !wire_int32_get(reader->at, 4, &length) || length != (int32_t)size)
        return false;
    memcpy(out, reader->at + 4, size);
    reader->at += 4 + size;
    reader->length -= 4 + (int)size;
    reader->left--;
    return true;
}
