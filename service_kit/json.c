/*
 * json: what yajl lets through and we do not is found in two places.
 *
 * A scan over the raw bytes finds what is lost once yajl has decoded a string: NUL and lone
 * surrogates written as \u escapes.  It remembers the first, and the callback of the string that
 * holds it refuses it there, where its place in the document is known.  The scan also refuses white
 * space that JSON does not have (yajl takes form feed and vertical tab), UTF-8 that is not strict,
 * and a string without an end (yajl overlooks one that stands behind a complete document).
 *
 * yajl's SAX callbacks then build the tree: nodes in an arena, the open containers on a stack of
 * JSON_DEPTH_MAX frames, so nothing recurses and the depth is refused at the bracket that exceeds
 * it.  Members are compared when their object closes: in pairs in a small one, sorted in a large
 * one, so that no body makes us compare n^2 names.
 *
 * Not JSON (json_error.syntax): grammar, encoding, depth.  JSON that we refuse: duplicate names,
 * NUL, lone surrogates, too many values.  A place is made of names only as far as they are plain;
 * any other name is shown as "?", so that a place never carries a client's bytes into a log or
 * answer.
 */
#include "service_kit/json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "service_kit/memory.h"
#include "service_kit/utf8.h"

#define CHUNK_SIZE     4096U
#define PAIRWISE_MAX   16U /* members that are compared each with each */
#define SHOWN_NAME_MAX 40U

struct chunk {
    struct chunk *next;
    size_t size, used;
    _Alignas(max_align_t) char bytes[];
};

struct json_document {
    struct chunk *chunks; /* the one being filled first */
    struct json_node *root;
};

struct frame {
    struct json_node *container;
    struct json_node *last; /* its newest child */
    const char *key;        /* of the member being read */
    size_t key_length;
};

struct builder {
    struct json_document *document;
    struct json_error *error;
    yajl_handle parser;
    size_t nodes, nodes_max;
    struct frame frames[JSON_DEPTH_MAX];
    size_t depth;
    size_t refuse_from; /* a string that ends behind this byte is refused; SIZE_MAX: none */
    const char *refuse_reason;
};

/* ---- errors ---- */

static int refuse_syntax(struct json_error *error, size_t byte, const char *reason) {
    error->syntax = true;
    (void)snprintf(error->place, sizeof(error->place), "byte %zu", byte);
    (void)snprintf(error->reason, sizeof(error->reason), "%s", reason);
    return 0;
}

static bool is_plain_name(const char *name, size_t length) {
    if (length == 0 || length > SHOWN_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        const char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-')) {
            return false;
        }
    }
    return true;
}

/* Appends to a place; what does not fit is left out whole. */
static void place_add(struct json_error *error, size_t *used, const char *part, size_t length) {
    if (*used + length < sizeof(error->place)) {
        memcpy(error->place + *used, part, length);
        *used += length;
        error->place[*used] = '\0';
    }
}

/* The value that is being read, as "operations[3].amount"; "body" at the top. */
static int refuse_here(struct builder *builder, const char *reason) {
    struct json_error *error = builder->error;
    size_t used = 0;
    error->syntax = false;
    error->place[0] = '\0';
    for (size_t i = 0; i < builder->depth; i++) {
        const struct frame *frame = &builder->frames[i];
        if (frame->container->type == JSON_ARRAY) {
            /* An open container is counted in its array already, a value to come is not. */
            const size_t number = frame->container->count - (i + 1 < builder->depth ? 1 : 0);
            char index[24];
            const int length = snprintf(index, sizeof(index), "[%zu]", number);
            place_add(error, &used, index, (size_t)length);
        } else {
            const bool plain = is_plain_name(frame->key, frame->key_length);
            place_add(error, &used, ".", used == 0 ? 0 : 1);
            place_add(error, &used, plain ? frame->key : "?", plain ? frame->key_length : 1);
        }
    }
    if (used == 0) {
        place_add(error, &used, "body", 4);
    }
    (void)snprintf(error->reason, sizeof(error->reason), "%s", reason);
    return 0;
}

/* ---- the arena ---- */

static void *arena_allocate(struct json_document *document, size_t size) {
    size = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
    struct chunk *chunk = document->chunks;
    if (chunk == NULL || chunk->size - chunk->used < size) {
        const size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
        chunk = memory_allocate(1, sizeof(*chunk) + room);
        chunk->size = room;
        chunk->next = document->chunks;
        document->chunks = chunk;
    }
    void *memory = chunk->bytes + chunk->used;
    chunk->used += size;
    return memory;
}

static const char *keep_text(struct json_document *document, const void *text, size_t length) {
    char *copy = arena_allocate(document, length + 1);
    if (length > 0) {
        memcpy(copy, text, length);
    }
    copy[length] = '\0';
    return copy;
}

/* ---- the scan ---- */

struct scan {
    const char *bytes;
    size_t length;
    size_t at;
    struct builder *builder;
};

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits at `at`; -1 when they are not there, which yajl will say. */
static int32_t read_hex(const struct scan *scan, size_t at) {
    if (scan->length - at < 4) {
        return -1;
    }
    int32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        const int digit = hex_digit(scan->bytes[at + i]);
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

static void remember_refusal(struct scan *scan, const char *reason) {
    if (scan->builder->refuse_from == SIZE_MAX) {
        scan->builder->refuse_from = scan->at;
        scan->builder->refuse_reason = reason;
    }
}

/* Stands on a backslash within a string; leaves behind the escape. */
static void scan_escape(struct scan *scan) {
    if (scan->length - scan->at < 2 || scan->bytes[scan->at + 1] != 'u') {
        scan->at += scan->length - scan->at < 2 ? 1 : 2;
        return;
    }
    const int32_t unit = read_hex(scan, scan->at + 2);
    if (unit < 0) {
        scan->at += 2;
        return;
    }
    size_t escaped = 6;
    if (unit == 0) {
        remember_refusal(scan, "must not hold the character NUL");
    } else if (unit >= 0xd800 && unit <= 0xdfff) {
        const char *next = scan->bytes + scan->at + 6;
        const bool follows = scan->length - scan->at >= 12 && next[0] == '\\' && next[1] == 'u';
        const int32_t low = follows ? read_hex(scan, scan->at + 8) : -1;
        if (unit <= 0xdbff && low >= 0xdc00 && low <= 0xdfff) {
            escaped = 12;
        } else {
            remember_refusal(scan, "must not hold half of a surrogate pair");
        }
    }
    scan->at += escaped;
}

/* Stands behind an opening quote; leaves behind the closing one. */
static bool scan_string(struct scan *scan, struct json_error *error) {
    while (scan->at < scan->length) {
        const unsigned char byte = (unsigned char)scan->bytes[scan->at];
        if (byte == '"') {
            scan->at++;
            return true;
        }
        if (byte == '\\') {
            scan_escape(scan);
        } else if (byte < 0x20) {
            return refuse_syntax(error, scan->at + 1, "a control character within a string");
        } else if (byte < 0x80) {
            scan->at++;
        } else {
            uint32_t code_point = 0;
            const size_t taken =
                utf8_sequence(scan->bytes + scan->at, scan->length - scan->at, &code_point);
            if (taken == 0) {
                return refuse_syntax(error, scan->at + 1, "not valid UTF-8");
            }
            scan->at += taken;
        }
    }
    /* yajl misses this one behind a complete value: {}"x */
    return refuse_syntax(error, scan->length, "not valid JSON: it ends too early");
}

static bool scan_document(struct scan *scan, struct json_error *error) {
    while (scan->at < scan->length) {
        const unsigned char byte = (unsigned char)scan->bytes[scan->at++];
        if (byte == '"') {
            if (!scan_string(scan, error)) {
                return false;
            }
        } else if (byte >= 0x7f || (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r')) {
            return refuse_syntax(error, scan->at, "a character that JSON does not have there");
        }
    }
    return true;
}

/* ---- building ---- */

/* Makes the node of a value and hangs it into the open container. NULL: refused. */
static struct json_node *add_node(struct builder *builder, enum json_type type) {
    if (builder->nodes == builder->nodes_max) {
        (void)refuse_here(builder, "too many values in the document");
        return NULL;
    }
    builder->nodes++;
    struct json_node *node = arena_allocate(builder->document, sizeof(*node));
    node->type = type;
    if (builder->depth == 0) {
        builder->document->root = node;
        return node;
    }
    struct frame *frame = &builder->frames[builder->depth - 1];
    node->key = frame->key;
    node->key_length = frame->key_length;
    if (frame->last == NULL) {
        frame->container->first = node;
    } else {
        frame->last->next = node;
    }
    frame->last = node;
    frame->container->count++;
    return node;
}

static int on_null(void *context) {
    return add_node(context, JSON_NULL) != NULL;
}

static int on_boolean(void *context, int value) {
    struct json_node *node = add_node(context, JSON_BOOLEAN);
    if (node == NULL) {
        return 0;
    }
    node->boolean = value != 0;
    return 1;
}

static int on_number(void *context, const char *text, size_t length) {
    struct builder *builder = context;
    struct json_node *node = add_node(builder, JSON_NUMBER);
    if (node == NULL) {
        return 0;
    }
    node->text = keep_text(builder->document, text, length);
    node->length = length;
    return 1;
}

/* Does the string that yajl has just read hold what the scan found? */
static bool is_refused(const struct builder *builder) {
    return builder->refuse_from < yajl_get_bytes_consumed(builder->parser);
}

static int on_string(void *context, const unsigned char *text, size_t length) {
    struct builder *builder = context;
    if (is_refused(builder)) {
        return refuse_here(builder, builder->refuse_reason);
    }
    struct json_node *node = add_node(builder, JSON_STRING);
    if (node == NULL) {
        return 0;
    }
    node->text = keep_text(builder->document, text, length);
    node->length = length;
    return 1;
}

static int on_key(void *context, const unsigned char *text, size_t length) {
    struct builder *builder = context;
    struct frame *frame = &builder->frames[builder->depth - 1];
    frame->key = keep_text(builder->document, text, length);
    frame->key_length = length;
    return is_refused(builder) ? refuse_here(builder, builder->refuse_reason) : 1;
}

static int open_container(struct builder *builder, enum json_type type) {
    if (builder->depth == JSON_DEPTH_MAX) {
        char reason[64];
        (void)snprintf(reason, sizeof(reason), "nested more than %d levels deep", JSON_DEPTH_MAX);
        return refuse_syntax(builder->error, yajl_get_bytes_consumed(builder->parser), reason);
    }
    struct json_node *node = add_node(builder, type);
    if (node == NULL) {
        return 0;
    }
    builder->frames[builder->depth++] = (struct frame){.container = node};
    return 1;
}

static int on_object_begin(void *context) {
    return open_container(context, JSON_OBJECT);
}

static int on_array_begin(void *context) {
    return open_container(context, JSON_ARRAY);
}

static int on_array_end(void *context) {
    struct builder *builder = context;
    builder->depth--;
    return 1;
}

static int compare_names(const struct json_node *a, const struct json_node *b) {
    if (a->key_length != b->key_length) {
        return a->key_length < b->key_length ? -1 : 1;
    }
    return memcmp(a->key, b->key, a->key_length);
}

static int compare_members(const void *a, const void *b) {
    return compare_names(*(const struct json_node *const *)a, *(const struct json_node *const *)b);
}

/* A member whose name another member has too, or NULL. */
static const struct json_node *find_duplicate(const struct json_node *object) {
    if (object->count <= PAIRWISE_MAX) {
        for (const struct json_node *a = object->first; a != NULL; a = a->next) {
            for (const struct json_node *b = a->next; b != NULL; b = b->next) {
                if (compare_names(a, b) == 0) {
                    return b;
                }
            }
        }
        return NULL;
    }
    const struct json_node **members = memory_allocate(object->count, sizeof(const void *));
    size_t count = 0;
    for (const struct json_node *member = object->first; member != NULL; member = member->next) {
        members[count++] = member;
    }
    qsort(members, count, sizeof(const void *), compare_members);
    const struct json_node *duplicate = NULL;
    for (size_t i = 1; i < count && duplicate == NULL; i++) {
        if (compare_names(members[i - 1], members[i]) == 0) {
            duplicate = members[i];
        }
    }
    free(members);
    return duplicate;
}

static int on_object_end(void *context) {
    struct builder *builder = context;
    struct frame *frame = &builder->frames[builder->depth - 1];
    const struct json_node *duplicate = find_duplicate(frame->container);
    if (duplicate != NULL) {
        frame->key = duplicate->key;
        frame->key_length = duplicate->key_length;
        return refuse_here(builder, "is given twice");
    }
    builder->depth--;
    return 1;
}

/* ---- the parser ---- */

static void *parser_allocate(void *context, size_t size) {
    (void)context;
    return memory_allocate(1, size);
}

static void *parser_resize(void *context, void *old, size_t size) {
    (void)context;
    return memory_resize(old, size);
}

static void parser_free(void *context, void *memory) {
    (void)context;
    free(memory);
}

static bool parse(struct builder *builder, const char *bytes, size_t length) {
    static const yajl_callbacks callbacks = {
        .yajl_null = on_null,
        .yajl_boolean = on_boolean,
        .yajl_number = on_number,
        .yajl_string = on_string,
        .yajl_start_map = on_object_begin,
        .yajl_map_key = on_key,
        .yajl_end_map = on_object_end,
        .yajl_start_array = on_array_begin,
        .yajl_end_array = on_array_end,
    };
    yajl_alloc_funcs functions = {
        .malloc = parser_allocate, .realloc = parser_resize, .free = parser_free};
    builder->parser = yajl_alloc(&callbacks, &functions, builder);
    assert(builder->parser != NULL);

    yajl_status status = yajl_parse(builder->parser, (const unsigned char *)bytes, length);
    if (status == yajl_status_error) {
        (void)refuse_syntax(builder->error, yajl_get_bytes_consumed(builder->parser),
                            "not valid JSON");
    } else if (status == yajl_status_ok) {
        /* The only call that notices an end that came too early; a number may still arrive. */
        status = yajl_complete_parse(builder->parser);
        if (status == yajl_status_error) {
            (void)refuse_syntax(builder->error, length, "not valid JSON: it ends too early");
        }
    }
    yajl_free(builder->parser);
    builder->parser = NULL;
    return status == yajl_status_ok;
}

struct json_document *json_read(const char *bytes, size_t length, size_t nodes_max,
                                struct json_error *error) {
    assert(nodes_max > 0);
    *error = (struct json_error){.syntax = false};
    struct json_document *document = memory_allocate(1, sizeof(*document));
    struct builder builder = {
        .document = document, .error = error, .nodes_max = nodes_max, .refuse_from = SIZE_MAX};
    struct scan scan = {.bytes = bytes, .length = length, .builder = &builder};
    if (!scan_document(&scan, error) || !parse(&builder, bytes, length)) {
        json_free(document);
        return NULL;
    }
    assert(document->root != NULL && builder.depth == 0);
    return document;
}

const struct json_node *json_root(const struct json_document *document) {
    return document->root;
}

void json_free(struct json_document *document) {
    if (document == NULL) {
        return;
    }
    struct chunk *chunk = document->chunks;
    while (chunk != NULL) {
        struct chunk *next = chunk->next;
        explicit_bzero(chunk->bytes, chunk->used); /* a body may hold a password */
        free(chunk);
        chunk = next;
    }
    free(document);
}

const struct json_node *json_member(const struct json_node *object, const char *name) {
    assert(object->type == JSON_OBJECT);
    const size_t length = strlen(name);
    const struct json_node *member = object->first;
    while (member != NULL &&
           !(member->key_length == length && memcmp(member->key, name, length) == 0)) {
        member = member->next;
    }
    return member;
}

bool json_utf8_valid(const char *bytes, size_t length) {
    size_t at = 0;
    while (at < length) {
        uint32_t code_point = 0;
        const size_t taken = utf8_sequence(bytes + at, length - at, &code_point);
        if (taken == 0) {
            return false;
        }
        at += taken;
    }
    return true;
}
