/*
 * wire: PostgreSQL's binary formats for what the journal sends and reads: numeric(38,0) as
 * 128-bit integers, and one-dimensional arrays.
 */
#ifndef PACIOLI_JOURNAL_WIRE_H
#define PACIOLI_JOURNAL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger_core/engine/money.h"
#include "ledger_core/engine/posting.h"

/* Bytes of a row's address in its table (ctid). */
#define WIRE_TID_SIZE 6

/* Bytes of the longest numeric that we send: 8 of header and 10 digits to base 10,000. */
#define WIRE_NUMERIC_MAX 28

/* A timestamptz is microseconds since 2000-01-01 UTC; from 1970-01-01 to there; "-infinity". */
#define WIRE_EPOCH_US       946684800000000LL
#define WIRE_MINUS_INFINITY INT64_MIN

/* Writes the binary form into `out` of WIRE_NUMERIC_MAX bytes; returns its length. */
size_t wire_numeric_put(uint8_t *out, money_minor minor);
/* Reads it; false for NaN, infinity, a fraction, or a value beyond MONEY_MINOR_MAX. */
__attribute__((warn_unused_result)) bool wire_numeric_get(const void *bytes, int length,
                                                          money_minor *minor);

void wire_int64_put(uint8_t out[static 8], int64_t value);
__attribute__((warn_unused_result)) bool wire_int64_get(const void *bytes, int length,
                                                        int64_t *value);
__attribute__((warn_unused_result)) bool wire_int32_get(const void *bytes, int length,
                                                        int32_t *value);
void wire_int32_put(uint8_t out[static 4], int32_t value);

/* An array parameter; its memory is kept from one use to the next. Zero-initialise. */
struct wire_array {
    uint8_t *bytes;
    size_t length, capacity;
    int32_t count;
};

enum wire_element {
    WIRE_BYTEA = 17,
    WIRE_INT8 = 20,
    WIRE_TEXT = 25,
    WIRE_TID = 27,
    WIRE_TIMESTAMPTZ = 1184,
    WIRE_NUMERIC = 1700,
    WIRE_UUID = 2950,
}; /* the elements' OIDs */

void wire_array_begin(struct wire_array *array, enum wire_element element);
void wire_array_bytes(struct wire_array *array, const void *bytes, size_t length);
void wire_array_uuid(struct wire_array *array, const struct ledger_uuid *uuid);
void wire_array_int64(struct wire_array *array, int64_t value);
void wire_array_numeric(struct wire_array *array, money_minor minor);
/* Completes it; bytes and length are the parameter. */
void wire_array_end(struct wire_array *array);
void wire_array_free(struct wire_array *array);

/* Reads an array of one dimension without NULLs, element by element. */
struct wire_reader {
    const uint8_t *at;
    int length;   /* bytes */
    int32_t left; /* elements */
};
/* False: not such an array. */
__attribute__((warn_unused_result)) bool wire_reader_begin(struct wire_reader *reader,
                                                           enum wire_element element,
                                                           const void *bytes, int length);
/* The next element, which must have `size` bytes. */
__attribute__((warn_unused_result)) bool wire_reader_next(struct wire_reader *reader, void *out,
                                                          size_t size);

#endif
