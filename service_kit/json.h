/*
 * json: the strict JSON edge, on yajl's SAX parser and generator.
 *
 * Reading makes a small tree of nodes in a bounded arena.  Refused, with the place named: depth
 * over the limit, too many nodes, duplicate keys, NUL in strings, invalid or overlong UTF-8, lone
 * surrogates, a form feed as white space, trailing bytes.  Numbers keep their text and are never
 * converted to a double.
 *
 * Writing goes to a growing buffer with a mandatory maximum; the first error sticks.
 */
#ifndef PACIOLI_SERVICE_KIT_JSON_H
#define PACIOLI_SERVICE_KIT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 16

enum json_type { JSON_NULL, JSON_BOOLEAN, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_node {
    enum json_type type;
    bool boolean;
    const char *text; /* STRING: decoded, NUL-terminated too; NUMBER: as written */
    size_t length;
    const char *key; /* member of an object: its name, else NULL */
    size_t key_length;
    const struct json_node *first; /* ARRAY, OBJECT: first child */
    const struct json_node *next;  /* next sibling */
    size_t count;                  /* ARRAY, OBJECT: number of children */
};

struct json_document; /* owns the nodes and texts */

struct json_error {
    bool syntax;      /* true: not JSON (400); false: JSON that we refuse (422) */
    char place[128];  /* "amount", "operations[3].amount", or "byte 17" */
    char reason[160]; /* English, free of the client's bytes */
};

/* Parses all of it. `nodes_max` bounds the nodes. NULL and *error on refusal. */
struct json_document *json_read(const char *bytes, size_t length, size_t nodes_max,
                                struct json_error *error);
const struct json_node *json_root(const struct json_document *document);
void json_free(struct json_document *document); /* NULL is fine */
/* The member of that name, or NULL. */
const struct json_node *json_member(const struct json_node *object, const char *name);

/* Strict UTF-8 (no overlong forms, no surrogates, at most U+10FFFF). */
bool json_utf8_valid(const char *bytes, size_t length);

struct json_writer; /* one value */
struct json_writer *json_writer_create(size_t bytes_max);
void json_writer_free(struct json_writer *writer);
void json_write_object_begin(struct json_writer *writer);
void json_write_object_end(struct json_writer *writer);
void json_write_array_begin(struct json_writer *writer);
void json_write_array_end(struct json_writer *writer);
void json_write_key(struct json_writer *writer, const char *name);
void json_write_text(struct json_writer *writer, const char *text, size_t length);
void json_write_string(struct json_writer *writer, const char *text); /* NULL: null */
void json_write_integer(struct json_writer *writer, int64_t value);
void json_write_boolean(struct json_writer *writer, bool value);
void json_write_null(struct json_writer *writer);
/* Ready-made, trusted JSON (from our own database column of type jsonb). */
void json_write_raw(struct json_writer *writer, const char *json, size_t length);
/* key + string in one */
void json_write_member(struct json_writer *writer, const char *name, const char *text);
/* The text, valid until the writer is freed; NULL when anything failed (too large, wrong order). */
const char *json_writer_finish(struct json_writer *writer, size_t *length);

#endif
