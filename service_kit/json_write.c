/*
 * json_write: the writing half of json.h, on yajl's generator.
 *
 * yajl_gen escapes and places the commas; its output goes through its print callback into a buffer
 * of ours, which is where the maximum is held.  It takes a second key for a value and closes an
 * object as an array, so the order of calls is checked here: one bit per level says whether it is
 * an object, and `has_key` whether a value may come.  The first error sticks, so callers check
 * once, at the end.
 */
#include "service_kit/json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>

#include "service_kit/memory.h"

#define DEPTH_MAX    64U /* bits of `objects`, and less than yajl's own limit */
#define INITIAL_SIZE 256U

struct json_writer {
    yajl_gen generator;
    char *bytes;
    size_t length, size, bytes_max;
    uint64_t objects; /* bit n: level n is an object */
    unsigned depth;
    bool has_key, complete, failed;
};

static void on_print(void *context, const char *text, size_t length) {
    struct json_writer *writer = context;
    if (writer->failed || length > writer->bytes_max - writer->length) {
        writer->failed = true;
        return;
    }
    if (length > writer->size - writer->length) {
        size_t size = writer->size;
        while (length > size - writer->length) {
            size = size > writer->bytes_max / 2 ? writer->bytes_max : size * 2;
        }
        char *bytes = memory_allocate(1, size + 1);
        memcpy(bytes, writer->bytes, writer->length);
        explicit_bzero(writer->bytes, writer->length);
        free(writer->bytes);
        writer->bytes = bytes;
        writer->size = size;
    }
    memcpy(writer->bytes + writer->length, text, length);
    writer->length += length;
}

static void *generator_allocate(void *context, size_t size) {
    (void)context;
    return memory_allocate(1, size);
}

static void *generator_resize(void *context, void *old, size_t size) {
    (void)context;
    return memory_resize(old, size);
}

static void generator_free(void *context, void *memory) {
    (void)context;
    free(memory);
}

struct json_writer *json_writer_create(size_t bytes_max) {
    assert(bytes_max > 0 && bytes_max < SIZE_MAX / 2);
    struct json_writer *writer = memory_allocate(1, sizeof(*writer));
    const yajl_alloc_funcs functions = {
        .malloc = generator_allocate, .realloc = generator_resize, .free = generator_free};
    writer->generator = yajl_gen_alloc(&functions);
    assert(writer->generator != NULL);
    yajl_gen_config(writer->generator, yajl_gen_print_callback, on_print, writer);
    writer->bytes_max = bytes_max;
    writer->size = bytes_max < INITIAL_SIZE ? bytes_max : INITIAL_SIZE;
    writer->bytes = memory_allocate(writer->size + 1, 1);
    return writer;
}

void json_writer_free(struct json_writer *writer) {
    if (writer != NULL) {
        yajl_gen_free(writer->generator);
        explicit_bzero(writer->bytes, writer->length); /* an answer may hold a token */
        free(writer->bytes);
        free(writer);
    }
}

static bool in_object(const struct json_writer *writer) {
    return writer->depth > 0 && (writer->objects >> (writer->depth - 1) & 1U) != 0;
}

/* May a value be written here?  Takes the key that waits for it. */
static bool begin_value(struct json_writer *writer) {
    if (writer->complete || (in_object(writer) && !writer->has_key)) {
        writer->failed = true;
    }
    writer->has_key = false;
    return !writer->failed;
}

static void note(struct json_writer *writer, yajl_gen_status status) {
    if (status != yajl_gen_status_ok) {
        writer->failed = true;
    }
}

static void end_value(struct json_writer *writer, yajl_gen_status status) {
    note(writer, status);
    writer->complete = writer->depth == 0;
}

static void begin_container(struct json_writer *writer, bool object) {
    if (writer->depth == DEPTH_MAX) {
        writer->failed = true;
    }
    if (!begin_value(writer)) {
        return;
    }
    note(writer,
         object ? yajl_gen_map_open(writer->generator) : yajl_gen_array_open(writer->generator));
    const uint64_t bit = UINT64_C(1) << writer->depth;
    writer->objects = object ? writer->objects | bit : writer->objects & ~bit;
    writer->depth++;
}

static void end_container(struct json_writer *writer, bool object) {
    if (writer->depth == 0 || in_object(writer) != object || writer->has_key) {
        writer->failed = true;
    }
    if (writer->failed) {
        return;
    }
    writer->depth--;
    end_value(writer, object ? yajl_gen_map_close(writer->generator)
                             : yajl_gen_array_close(writer->generator));
}

void json_write_object_begin(struct json_writer *writer) {
    begin_container(writer, true);
}

void json_write_object_end(struct json_writer *writer) {
    end_container(writer, true);
}

void json_write_array_begin(struct json_writer *writer) {
    begin_container(writer, false);
}

void json_write_array_end(struct json_writer *writer) {
    end_container(writer, false);
}

static yajl_gen_status generate_string(struct json_writer *writer, const char *text,
                                       size_t length) {
    return yajl_gen_string(writer->generator, (const unsigned char *)text, length);
}

void json_write_key(struct json_writer *writer, const char *name) {
    const size_t length = strlen(name);
    if (!in_object(writer) || writer->has_key || !json_utf8_valid(name, length)) {
        writer->failed = true;
    }
    if (!writer->failed) {
        note(writer, generate_string(writer, name, length));
        writer->has_key = true;
    }
}

void json_write_text(struct json_writer *writer, const char *text, size_t length) {
    if (!json_utf8_valid(text, length)) {
        writer->failed = true;
    }
    if (begin_value(writer)) {
        end_value(writer, generate_string(writer, text, length));
    }
}

void json_write_string(struct json_writer *writer, const char *text) {
    if (text == NULL) {
        json_write_null(writer);
    } else {
        json_write_text(writer, text, strlen(text));
    }
}

void json_write_integer(struct json_writer *writer, int64_t value) {
    if (begin_value(writer)) {
        end_value(writer, yajl_gen_integer(writer->generator, value));
    }
}

void json_write_boolean(struct json_writer *writer, bool value) {
    if (begin_value(writer)) {
        end_value(writer, yajl_gen_bool(writer->generator, value));
    }
}

void json_write_null(struct json_writer *writer) {
    if (begin_value(writer)) {
        end_value(writer, yajl_gen_null(writer->generator));
    }
}

void json_write_raw(struct json_writer *writer, const char *json, size_t length) {
    if (length == 0) {
        writer->failed = true;
    }
    if (begin_value(writer)) {
        end_value(writer, yajl_gen_number(writer->generator, json, length));
    }
}

void json_write_member(struct json_writer *writer, const char *name, const char *text) {
    json_write_key(writer, name);
    json_write_string(writer, text);
}

const char *json_writer_finish(struct json_writer *writer, size_t *length) {
    if (writer->failed || !writer->complete) {
        return NULL;
    }
    writer->bytes[writer->length] = '\0';
    *length = writer->length;
    return writer->bytes;
}
