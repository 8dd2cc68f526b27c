/*
 * json: tables of bodies that are accepted or refused, with the place that the refusal names; the
 * tree that comes out; strict UTF-8 against counts known from the standard; the writer's rules.
 */
#include "service_kit/json.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NODES 1000

enum verdict { ACCEPTED, SYNTAX, REFUSED };

struct body {
    const char *bytes;
    size_t length;
    enum verdict verdict;
    const char *place; /* NULL: not looked at */
};

#define BODY(text, verdict, place)                                                                 \
    { (text), sizeof(text) - 1, (verdict), (place) }

static const struct body bodies[] = {
    /* what JSON is */
    BODY("{}", ACCEPTED, NULL),
    BODY("[]", ACCEPTED, NULL),
    BODY(" \t\r\n{ \"a\" : [ 1 , 2 ] } \n", ACCEPTED, NULL),
    BODY("\"text\"", ACCEPTED, NULL),
    BODY("0", ACCEPTED, NULL),
    BODY("-0", ACCEPTED, NULL),
    BODY("12", ACCEPTED, NULL),
    BODY("1e400", ACCEPTED, NULL),
    BODY("[1E+2,1e-2,0.10,-1.5,123456789012345678901234567890]", ACCEPTED, NULL),
    BODY("true", ACCEPTED, NULL),
    BODY("[false,null]", ACCEPTED, NULL),
    BODY("{\"\":1}", ACCEPTED, NULL),
    BODY("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"]", ACCEPTED, NULL),
    BODY("[\"\\ud83d\\ude00\"]", ACCEPTED, NULL),
    BODY("[\"\\uD83D\\uDE00\"]", ACCEPTED, NULL),
    BODY("[\"\\\\u0000\"]", ACCEPTED, NULL), /* an escaped backslash, then text */
    BODY("[\"\\\\\\\\ud800\"]", ACCEPTED, NULL),
    BODY("[\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f\"]", ACCEPTED, NULL),
    BODY("[\"\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80\"]", ACCEPTED, NULL),
    BODY("{\"a\":{\"x\":1},\"b\":{\"x\":1}}", ACCEPTED, NULL),
    BODY("{\"a\":1,\"A\":2,\"aa\":3}", ACCEPTED, NULL),

    /* grammar */
    BODY("", SYNTAX, "byte 0"),
    BODY("  ", SYNTAX, "byte 2"),
    BODY("{", SYNTAX, "byte 1"),
    BODY("[1,", SYNTAX, "byte 3"),
    BODY("{\"a\"", SYNTAX, "byte 4"),
    BODY("{\"a\":", SYNTAX, "byte 5"),
    BODY("[\"abc", SYNTAX, "byte 5"),
    BODY("[\"abc\\", SYNTAX, NULL),
    BODY("[\"\\u12", SYNTAX, NULL),
    BODY("[1,]", SYNTAX, "byte 4"),
    BODY("[,1]", SYNTAX, "byte 2"),
    BODY("[1,,2]", SYNTAX, "byte 4"),
    BODY("[1 2]", SYNTAX, NULL),
    BODY("[1]]", SYNTAX, "byte 4"),
    BODY("[1}", SYNTAX, "byte 3"),
    BODY("{\"a\":1]", SYNTAX, NULL),
    BODY("{\"a\":1,}", SYNTAX, "byte 8"),
    BODY("{\"a\" 1}", SYNTAX, NULL),
    BODY("{\"a\":1 \"b\":2}", SYNTAX, NULL),
    BODY("{a:1}", SYNTAX, NULL),
    BODY("{1:1}", SYNTAX, NULL),
    BODY("{'a':1}", SYNTAX, NULL),
    BODY("{\"a\":x}", SYNTAX, "byte 6"),
    BODY("{} {}", SYNTAX, NULL),
    BODY("{}x", SYNTAX, NULL),
    BODY("{}\"", SYNTAX, "byte 3"), /* yajl takes half a string behind a value */
    BODY("{} \"x", SYNTAX, "byte 5"),
    BODY("1 \"", SYNTAX, "byte 3"),
    BODY("[1]\"\\", SYNTAX, "byte 5"),
    BODY("[1]\"\\u00", SYNTAX, NULL),
    BODY("{}tru", SYNTAX, NULL),
    BODY("{}-", SYNTAX, NULL),
    BODY("{}[", SYNTAX, NULL),
    BODY("1 2", SYNTAX, NULL),
    BODY("[1] // comment", SYNTAX, NULL),
    BODY("/* comment */[1]", SYNTAX, NULL),
    BODY("\xef\xbb\xbf{}", SYNTAX, "byte 1"), /* byte order mark */
    BODY("[NaN]", SYNTAX, NULL),
    BODY("[Infinity]", SYNTAX, NULL),
    BODY("[-]", SYNTAX, NULL),
    BODY("-", SYNTAX, NULL),
    BODY("[+1]", SYNTAX, NULL),
    BODY("[01]", SYNTAX, NULL),
    BODY("[-01]", SYNTAX, NULL),
    BODY("[1.]", SYNTAX, NULL),
    BODY("[.5]", SYNTAX, NULL),
    BODY("[1e]", SYNTAX, NULL),
    BODY("[1e+]", SYNTAX, NULL),
    BODY("[0x10]", SYNTAX, NULL),
    BODY("[1_000]", SYNTAX, NULL),
    BODY("[True]", SYNTAX, NULL),
    BODY("[nul]", SYNTAX, NULL),
    BODY("truefalse", SYNTAX, NULL),
    BODY("[\"\\x41\"]", SYNTAX, NULL),
    BODY("[\"\\u12g4\"]", SYNTAX, NULL),
    BODY("[\"\\U0041\"]", SYNTAX, NULL),
    BODY("[\"a\nb\"]", SYNTAX, "byte 4"),
    BODY("[\"a\tb\"]", SYNTAX, "byte 4"),
    BODY("[\"a\0b\"]", SYNTAX, "byte 4"),
    BODY("[\"\x1f\"]", SYNTAX, "byte 3"),

    /* what yajl takes and JSON does not have */
    BODY("[\f1]", SYNTAX, "byte 2"),
    BODY("[\v1]", SYNTAX, "byte 2"),
    BODY("[1]\f", SYNTAX, "byte 4"),
    BODY("[1]\0", SYNTAX, "byte 4"),
    BODY("[1,\xc2\xa0"
         "2]",
         SYNTAX, "byte 4"),
    BODY("[\"\xc0\x80\"]", SYNTAX, "byte 3"), /* overlong NUL */
    BODY("[\"\xc0\xaf\"]", SYNTAX, "byte 3"), /* overlong slash */
    BODY("[\"\xe0\x80\xaf\"]", SYNTAX, "byte 3"),
    BODY("[\"\xf0\x80\x80\xaf\"]", SYNTAX, "byte 3"),
    BODY("[\"\xed\xa0\x80\"]", SYNTAX, "byte 3"), /* a surrogate */
    BODY("[\"\xed\xbf\xbf\"]", SYNTAX, "byte 3"),
    BODY("[\"\xf4\x90\x80\x80\"]", SYNTAX, "byte 3"), /* above U+10FFFF */
    BODY("[\"\xf5\x80\x80\x80\"]", SYNTAX, "byte 3"),
    BODY("[\"\x80\"]", SYNTAX, "byte 3"),
    BODY("[\"\xc3\"]", SYNTAX, "byte 3"),
    BODY("[\"\xe2\x82\"]", SYNTAX, "byte 3"),
    BODY("[\"\xff\"]", SYNTAX, "byte 3"),
    BODY("{\"\xc0\x80\":1}", SYNTAX, "byte 3"),

    /* JSON that we refuse, and where */
    BODY("\"\\u0000\"", REFUSED, "body"),
    BODY("{\"name\":\"a\\u0000b\"}", REFUSED, "name"),
    BODY("{\"na\\u0000me\":1}", REFUSED, "?"),
    BODY("{\"a\":[1,{\"b\":\"\\u0000\"}]}", REFUSED, "a[1].b"),
    BODY("[[1],[2,\"\\u0000\"]]", REFUSED, "[1][1]"),
    BODY("{\"operations\":[{},{},{},{\"amount\":\"\\ud800\"}]}", REFUSED, "operations[3].amount"),
    BODY("[\"\\ud800\"]", REFUSED, "[0]"),
    BODY("[\"\\udc00\"]", REFUSED, "[0]"),
    BODY("[\"\\uDFFF\"]", REFUSED, "[0]"),
    BODY("[\"\\ud800\\ud800\\udc00\"]", REFUSED, "[0]"),
    BODY("[\"\\ud800x\\udc00\"]", REFUSED, "[0]"),
    BODY("[\"\\ud800\\udbff\"]", REFUSED, "[0]"),
    BODY("[\"\\udc00\\udc00\"]", REFUSED, "[0]"),
    BODY("[\"\\ud800\\u0041\"]", REFUSED, "[0]"), /* yajl makes one wrong character of it */
    BODY("[\"\\ud800\\n\"]", REFUSED, "[0]"),
    BODY("[\"\\udc00\\ud800\"]", REFUSED, "[0]"),
    BODY("[\"ok\",\"\\udbff\"]", REFUSED, "[1]"),
    BODY("{\"a\":1,\"a\":2}", REFUSED, "a"),
    BODY("{\"amount\":1,\"x\":2,\"\\u0061mount\":3}", REFUSED, "amount"),
    BODY("{\"\":1,\"\":2}", REFUSED, "?"),
    BODY("{\"o\":{\"k\":1,\"k\":1}}", REFUSED, "o.k"),
    BODY("[0,{\"k\":[],\"k\":{}}]", REFUSED, "[1].k"),
    BODY("{\"<script>\":{\"a\":1,\"a\":1}}", REFUSED, "?.a"),
    BODY("{\"a b\":\"\\u0000\"}", REFUSED, "?"),

    /* the first thing that is wrong decides */
    BODY("{\"a\":\"\\u0000\",}", REFUSED, "a"),
    BODY("{\"a\":,\"b\":\"\\u0000\"}", SYNTAX, NULL),
};
#define BODY_COUNT ((int)(sizeof(bodies) / sizeof(bodies[0])))

START_TEST(body_is_judged) {
    const struct body *body = &bodies[_i];
    /* A copy without a NUL behind it, so that reading on is seen by the sanitizer. */
    char *bytes = malloc(body->length + 1);
    memcpy(bytes, body->bytes, body->length);
    bytes = realloc(bytes, body->length == 0 ? 1 : body->length);
    struct json_error error;
    struct json_document *document = json_read(bytes, body->length, NODES, &error);
    const enum verdict verdict = document != NULL ? ACCEPTED : error.syntax ? SYNTAX : REFUSED;
    ck_assert_msg(verdict == body->verdict, "row %d, %s: verdict %d, place %s, reason %s", _i,
                  body->bytes, (int)verdict, error.place, error.reason);
    if (body->place != NULL) {
        ck_assert_msg(strcmp(error.place, body->place) == 0, "row %d, %s: place %s, not %s", _i,
                      body->bytes, error.place, body->place);
    }
    if (document == NULL) {
        ck_assert_uint_gt(strlen(error.place), 0);
        ck_assert_uint_gt(strlen(error.reason), 0);
    }
    json_free(document);
    free(bytes);
}
END_TEST

START_TEST(every_prefix_is_refused_or_whole) {
    static const char whole[] =
        "{\"a\":[1,-2.5e3,{\"b\":\"x\\n\\ud83d\\ude00\xc3\xa9\"},true,false,null],\"c\":\"\"}";
    for (size_t length = 0; length < sizeof(whole) - 1; length++) {
        char *bytes = malloc(length + 1);
        memcpy(bytes, whole, length);
        bytes = realloc(bytes, length == 0 ? 1 : length);
        struct json_error error;
        ck_assert_ptr_null(json_read(bytes, length, NODES, &error));
        ck_assert_msg(error.syntax || strstr(error.reason, "surrogate") != NULL, "%zu: %s", length,
                      error.reason);
        free(bytes);
    }
    struct json_error error;
    struct json_document *document = json_read(whole, sizeof(whole) - 1, NODES, &error);
    ck_assert_ptr_nonnull(document);
    json_free(document);
}
END_TEST

START_TEST(tree_is_as_written) {
    static const char text[] =
        "{\"s\":\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\","
        "\"n\":-0.10e+5,\"t\":true,\"f\":false,\"z\":null,\"e\":\"\",\"l\":[1,[],{}]}";
    struct json_error error;
    struct json_document *document = json_read(text, sizeof(text) - 1, NODES, &error);
    ck_assert_ptr_nonnull(document);
    const struct json_node *root = json_root(document);
    ck_assert_int_eq(root->type, JSON_OBJECT);
    ck_assert_uint_eq(root->count, 7);
    ck_assert_ptr_null(root->key);
    ck_assert_ptr_null(root->next);

    const struct json_node *s = json_member(root, "s");
    ck_assert_int_eq(s->type, JSON_STRING);
    ck_assert_str_eq(s->text, "a\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\x98\x80");
    ck_assert_uint_eq(s->length, strlen(s->text));
    ck_assert_str_eq(s->key, "s");
    const struct json_node *n = json_member(root, "n");
    ck_assert_int_eq(n->type, JSON_NUMBER);
    ck_assert_str_eq(n->text, "-0.10e+5");
    ck_assert_int_eq(json_member(root, "t")->type, JSON_BOOLEAN);
    ck_assert(json_member(root, "t")->boolean);
    ck_assert(!json_member(root, "f")->boolean);
    ck_assert_int_eq(json_member(root, "z")->type, JSON_NULL);
    ck_assert_uint_eq(json_member(root, "e")->length, 0);
    ck_assert_str_eq(json_member(root, "e")->text, "");

    const struct json_node *l = json_member(root, "l");
    ck_assert_uint_eq(l->count, 3);
    ck_assert_str_eq(l->first->text, "1");
    ck_assert_ptr_null(l->first->key);
    ck_assert_int_eq(l->first->next->type, JSON_ARRAY);
    ck_assert_ptr_null(l->first->next->first);
    ck_assert_int_eq(l->first->next->next->type, JSON_OBJECT);
    ck_assert_ptr_null(l->first->next->next->next);
    ck_assert_ptr_null(json_member(root, "missing"));
    ck_assert_ptr_null(json_member(root, "S"));
    ck_assert_ptr_null(json_member(root, ""));
    json_free(document);
}
END_TEST

START_TEST(a_number_alone_arrives) {
    struct json_error error;
    struct json_document *document = json_read("9223372036854775808", 19, 1, &error);
    ck_assert_ptr_nonnull(document);
    ck_assert_str_eq(json_root(document)->text, "9223372036854775808");
    json_free(document);
}
END_TEST

static char *nested(size_t depth, const char *open, const char *close, size_t *length) {
    const size_t width = strlen(open);
    char *text = malloc(depth * (width + 1) + 2);
    size_t at = 0;
    for (size_t i = 0; i < depth; i++) {
        memcpy(text + at, open, width);
        at += width;
    }
    text[at++] = '1';
    for (size_t i = 0; i < depth; i++) {
        text[at++] = close[0];
    }
    *length = at;
    return text;
}

START_TEST(depth_is_limited) {
    static const char *const kinds[][2] = {{"[", "]"}, {"{\"a\":", "}"}};
    for (size_t kind = 0; kind < 2; kind++) {
        for (size_t depth = 1; depth <= JSON_DEPTH_MAX + 3; depth++) {
            size_t length = 0;
            char *text = nested(depth, kinds[kind][0], kinds[kind][1], &length);
            struct json_error error;
            struct json_document *document = json_read(text, length, NODES, &error);
            ck_assert_int_eq(document != NULL, depth <= JSON_DEPTH_MAX);
            if (document == NULL) {
                char place[32];
                (void)snprintf(place, sizeof(place), "byte %zu",
                               JSON_DEPTH_MAX * strlen(kinds[kind][0]) + 1);
                ck_assert(error.syntax);
                ck_assert_str_eq(error.place, place);
            }
            json_free(document);
            free(text);
        }
    }
}
END_TEST

START_TEST(nodes_are_limited) {
    static const char text[] = "{\"a\":[1,2],\"b\":\"x\"}";
    for (size_t nodes = 1; nodes <= 6; nodes++) {
        struct json_error error;
        struct json_document *document = json_read(text, sizeof(text) - 1, nodes, &error);
        ck_assert_int_eq(document != NULL, nodes >= 5);
        if (document == NULL) {
            static const char *const places[] = {"a", "a[0]", "a[1]", "b"};
            ck_assert(!error.syntax);
            ck_assert_str_eq(error.place, places[nodes - 1]);
        }
        json_free(document);
    }
}
END_TEST

/* An object of `count` members; member `twice` repeats the name of member 0 (0: none does). */
static char *object_of(size_t count, size_t twice, size_t *length) {
    char *text = malloc(count * 24 + 3);
    size_t at = 0;
    text[at++] = '{';
    for (size_t i = 0; i < count; i++) {
        const size_t name = i == twice ? 0 : i;
        at += (size_t)snprintf(text + at, 24, "%s\"m%zu\":%zu", i == 0 ? "" : ",", name, i);
    }
    text[at++] = '}';
    *length = at;
    return text;
}

START_TEST(duplicates_are_found_in_objects_of_every_size) {
    for (size_t count = 2; count <= 64; count++) {
        for (size_t twice = 0; twice < count; twice++) {
            size_t length = 0;
            char *text = object_of(count, twice, &length);
            struct json_error error;
            struct json_document *document = json_read(text, length, NODES, &error);
            ck_assert_msg((document == NULL) == (twice != 0), "%zu members, %zu twice", count,
                          twice);
            if (document == NULL) {
                ck_assert_str_eq(error.place, "m0");
                ck_assert_str_eq(error.reason, "is given twice");
            }
            json_free(document);
            free(text);
        }
    }
}
END_TEST

START_TEST(places_stay_bounded_and_plain) {
    char text[2048];
    size_t at = 0;
    for (int i = 0; i < 12; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at,
                               "{\"a_name_of_thirty_characters_%02d\":", i);
    }
    at += (size_t)snprintf(text + at, sizeof(text) - at, "\"\\u0000\"");
    for (int i = 0; i < 12; i++) {
        text[at++] = '}';
    }
    struct json_error error;
    ck_assert_ptr_null(json_read(text, at, NODES, &error));
    ck_assert_uint_lt(strlen(error.place), sizeof(error.place));
    ck_assert_int_eq(strncmp(error.place, "a_name_of_thirty_characters_00.a_name", 37), 0);

    /* A name that is too long to be shown, or holds what could break out of a log or a page. */
    static const char *const names[] = {
        "0123456789012345678901234567890123456789x",
        "a.b",
        "a[0]",
        "a\\nb",
        "<b>",
        "\xc3\xa9",
        "a\\\"",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const int length = snprintf(text, sizeof(text), "{\"%s\":\"\\u0000\"}", names[i]);
        ck_assert_ptr_null(json_read(text, (size_t)length, NODES, &error));
        ck_assert_str_eq(error.place, "?");
    }
}
END_TEST

/* Of this process: others may want the cores, too. */
static int64_t cpu_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The shortest of several runs: caches are shared. */
static int64_t read_time_us(const char *text, size_t length, size_t nodes_max, bool accepted) {
    int64_t best = INT64_MAX;
    for (int run = 0; run < 10; run++) {
        struct json_error error;
        const int64_t start = cpu_us();
        struct json_document *document = json_read(text, length, nodes_max, &error);
        const int64_t took = cpu_us() - start;
        ck_assert_int_eq(document != NULL, accepted);
        json_free(document);
        best = took < best ? took : best;
    }
    return best;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWER 20
#else
#define SLOWER 1
#endif

START_TEST(large_bodies_are_read_in_time) {
    /* 64 KiB of small members. */
    size_t length = 0;
    char *text = object_of(4200, 0, &length);
    ck_assert_uint_gt(length, 50000);
    ck_assert_int_lt(read_time_us(text, length, 5000, true), 3000 * SLOWER);
    free(text);

    /* 64 KiB in one string. */
    text = malloc(65536);
    memset(text, 'x', 65536);
    text[0] = text[65535] = '"';
    ck_assert_int_lt(read_time_us(text, 65536, 1, true), 1000 * SLOWER);
    free(text);

    /* A million brackets. */
    text = nested(1000000, "[", "]", &length);
    ck_assert_int_lt(read_time_us(text, length, NODES, false), 5000 * SLOWER);
    free(text);

    /* 60,000 members: with a comparison of each with each this would take seconds. */
    text = object_of(60000, 59999, &length);
    ck_assert_int_lt(read_time_us(text, length, 100000, false), 100000 * SLOWER);
    free(text);
}
END_TEST

/* ---- UTF-8 ---- */

static size_t encode(uint32_t code_point, char out[4]) {
    if (code_point < 0x80) {
        out[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        out[0] = (char)(0xc0 | code_point >> 6);
        out[1] = (char)(0x80 | (code_point & 0x3f));
        return 2;
    }
    if (code_point < 0x10000) {
        out[0] = (char)(0xe0 | code_point >> 12);
        out[1] = (char)(0x80 | (code_point >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code_point & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code_point >> 18);
    out[1] = (char)(0x80 | (code_point >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code_point >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code_point & 0x3f));
    return 4;
}

START_TEST(utf8_takes_every_code_point) {
    for (uint32_t code_point = 0; code_point <= 0x110fff; code_point++) {
        char bytes[4];
        const size_t length = encode(code_point, bytes);
        const bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
        const bool expected = !surrogate && code_point <= 0x10ffff;
        bool as_expected = json_utf8_valid(bytes, length) == expected;
        for (size_t cut = 1; cut < length; cut++) {
            as_expected = as_expected && !json_utf8_valid(bytes, cut);
        }
        if (!as_expected) { /* Check writes to a pipe for each assertion, passed ones too */
            ck_abort_msg("U+%04" PRIX32, code_point);
        }
    }
}
END_TEST

START_TEST(utf8_takes_nothing_else) {
    /* Of all strings of three bytes: three ASCII, or ASCII and one of 1,920, or one of 61,440. */
    uint32_t valid = 0;
    for (uint32_t i = 0; i < 1U << 24; i++) {
        const char bytes[] = {(char)(i >> 16), (char)(i >> 8), (char)i};
        valid += json_utf8_valid(bytes, sizeof(bytes));
    }
    ck_assert_uint_eq(valid, 128U * 128 * 128 + 2 * 128 * 1920 + 61440);
    /* Of those of four that begin with F0…FF: the 1,048,576 beyond U+FFFF. */
    valid = 0;
    for (uint32_t first = 0xf0; first <= 0xff; first++) {
        for (uint32_t i = 0; i < 96U * 96 * 96; i++) {
            const char bytes[] = {(char)first, (char)(0x70 + i / 9216), (char)(0x70 + i / 96 % 96),
                                  (char)(0x70 + i % 96)};
            valid += json_utf8_valid(bytes, sizeof(bytes));
        }
    }
    ck_assert_uint_eq(valid, 1048576);
}
END_TEST

/* ---- the writer ---- */

static void expect_text(struct json_writer *writer, const char *expected) {
    size_t length = 0;
    const char *text = json_writer_finish(writer, &length);
    ck_assert_ptr_nonnull(text);
    ck_assert_str_eq(text, expected);
    ck_assert_uint_eq(length, strlen(expected));
    json_writer_free(writer);
}

static void expect_failure(struct json_writer *writer) {
    size_t length = 0;
    ck_assert_ptr_null(json_writer_finish(writer, &length));
    json_writer_free(writer);
}

START_TEST(writer_writes) {
    struct json_writer *w = json_writer_create(4096);
    json_write_object_begin(w);
    json_write_member(w, "text", "q\" b\\ n\n e\x1b u\xc3\xa9 /");
    json_write_member(w, "none", NULL);
    json_write_key(w, "least");
    json_write_integer(w, INT64_MIN);
    json_write_key(w, "most");
    json_write_integer(w, INT64_MAX);
    json_write_key(w, "list");
    json_write_array_begin(w);
    json_write_boolean(w, true);
    json_write_boolean(w, false);
    json_write_null(w);
    json_write_raw(w, "{\"a\": 1}", 8);
    json_write_raw(w, "[]", 2);
    json_write_text(w, "cut here", 3);
    json_write_object_begin(w);
    json_write_object_end(w);
    json_write_array_begin(w); /* where an object was before */
    json_write_integer(w, 1);
    json_write_array_end(w);
    json_write_array_end(w);
    json_write_key(w, "raw");
    json_write_raw(w, "{}", 2);
    json_write_member(w, "after", "");
    json_write_object_end(w);
    expect_text(
        w, "{\"text\":\"q\\\" b\\\\ n\\n e\\u001B u\xc3\xa9 /\",\"none\":null,"
           "\"least\":-9223372036854775808,\"most\":9223372036854775807,"
           "\"list\":[true,false,null,{\"a\": 1},[],\"cut\",{},[1]],\"raw\":{},\"after\":\"\"}");
}
END_TEST

START_TEST(writer_writes_scalars) {
    struct json_writer *w = json_writer_create(100);
    json_write_raw(w, "12.50", 5);
    expect_text(w, "12.50");
    w = json_writer_create(100);
    json_write_string(w, NULL);
    expect_text(w, "null");
}
END_TEST

static void value_without_key(struct json_writer *w) {
    json_write_object_begin(w);
    json_write_integer(w, 1);
    json_write_object_end(w);
}
static void text_without_key(struct json_writer *w) { /* yajl would take it for the key */
    json_write_object_begin(w);
    json_write_string(w, "a");
    json_write_string(w, "b");
    json_write_object_end(w);
}
static void two_keys(struct json_writer *w) {
    json_write_object_begin(w);
    json_write_key(w, "a");
    json_write_key(w, "b");
    json_write_object_end(w);
}
static void two_keys_and_text(struct json_writer *w) { /* the second would pass as a value */
    json_write_object_begin(w);
    json_write_key(w, "a");
    json_write_key(w, "b");
    json_write_string(w, "c");
    json_write_object_end(w);
}
static void key_without_value(struct json_writer *w) {
    json_write_object_begin(w);
    json_write_key(w, "a");
    json_write_object_end(w);
}
static void key_in_array(struct json_writer *w) {
    json_write_array_begin(w);
    json_write_key(w, "a");
    json_write_array_end(w);
}
static void key_at_top(struct json_writer *w) {
    json_write_key(w, "a");
}
static void object_closed_as_array(struct json_writer *w) {
    json_write_object_begin(w);
    json_write_array_end(w);
}
static void array_closed_as_object(struct json_writer *w) {
    json_write_array_begin(w);
    json_write_object_end(w);
}
static void closed_too_often(struct json_writer *w) {
    json_write_array_begin(w);
    json_write_array_end(w);
    json_write_array_end(w);
}
static void never_closed(struct json_writer *w) {
    json_write_array_begin(w);
}
static void nothing(struct json_writer *w) {
    (void)w;
}
static void two_values(struct json_writer *w) {
    json_write_integer(w, 1);
    json_write_integer(w, 2);
}
static void bad_utf8(struct json_writer *w) {
    json_write_text(w, "\xc0\x80", 2);
}
static void bad_utf8_key(struct json_writer *w) {
    json_write_object_begin(w);
    json_write_member(w, "\xed\xa0\x80", "a");
    json_write_object_end(w);
}
static void empty_raw(struct json_writer *w) {
    json_write_array_begin(w);
    json_write_raw(w, "", 0);
    json_write_array_end(w);
}
static void too_deep(struct json_writer *w) {
    for (int i = 0; i < 200; i++) {
        json_write_array_begin(w);
    }
    for (int i = 0; i < 200; i++) {
        json_write_array_end(w);
    }
}
static void error_then_fine(struct json_writer *w) {
    json_write_array_end(w);
    json_write_integer(w, 1);
}

static void (*const misuses[])(struct json_writer *) = {
    value_without_key,
    text_without_key,
    two_keys,
    two_keys_and_text,
    key_without_value,
    key_in_array,
    key_at_top,
    never_closed,
    object_closed_as_array,
    array_closed_as_object,
    closed_too_often,
    nothing,
    two_values,
    bad_utf8,
    bad_utf8_key,
    empty_raw,
    too_deep,
    error_then_fine,
};
#define MISUSE_COUNT ((int)(sizeof(misuses) / sizeof(misuses[0])))

START_TEST(writer_refuses_misuse) {
    struct json_writer *writer = json_writer_create(4096);
    misuses[_i](writer);
    expect_failure(writer);
}
END_TEST

START_TEST(writer_is_bounded) {
    static const char expected[] = "[\"0123456789\",1234567]";
    for (size_t bytes_max = 1; bytes_max < 40; bytes_max++) {
        struct json_writer *writer = json_writer_create(bytes_max);
        json_write_array_begin(writer);
        json_write_string(writer, "0123456789");
        json_write_integer(writer, 1234567);
        json_write_array_end(writer);
        if (bytes_max < sizeof(expected) - 1) {
            expect_failure(writer);
        } else {
            expect_text(writer, expected);
        }
    }
    /* Growth, and what was written can be read. */
    struct json_writer *writer = json_writer_create(100000);
    json_write_array_begin(writer);
    for (int i = 0; i < 5000; i++) {
        json_write_integer(writer, i);
    }
    json_write_array_end(writer);
    size_t length = 0;
    const char *text = json_writer_finish(writer, &length);
    struct json_error error;
    struct json_document *document = json_read(text, length, 5001, &error);
    ck_assert_ptr_nonnull(document);
    ck_assert_uint_eq(json_root(document)->count, 5000);
    json_free(document);
    json_writer_free(writer);
    json_writer_free(NULL);
    json_free(NULL);
}
END_TEST

START_TEST(what_is_written_is_read_back) {
    char text[2 * 0x180 + 1];
    size_t length = 0;
    for (uint32_t code_point = 1; code_point < 0x180; code_point++) {
        length += encode(code_point, text + length);
    }
    struct json_writer *writer = json_writer_create(8192);
    json_write_text(writer, text, length);
    size_t written = 0;
    const char *json = json_writer_finish(writer, &written);
    struct json_error error;
    struct json_document *document = json_read(json, written, 1, &error);
    ck_assert_ptr_nonnull(document);
    ck_assert_uint_eq(json_root(document)->length, length);
    ck_assert_mem_eq(json_root(document)->text, text, length);
    json_free(document);
    json_writer_free(writer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("json");
    TCase *reading = tcase_create("reading");
    tcase_set_timeout(reading, 60);
    tcase_add_loop_test(reading, body_is_judged, 0, BODY_COUNT);
    tcase_add_test(reading, every_prefix_is_refused_or_whole);
    tcase_add_test(reading, tree_is_as_written);
    tcase_add_test(reading, a_number_alone_arrives);
    tcase_add_test(reading, depth_is_limited);
    tcase_add_test(reading, nodes_are_limited);
    tcase_add_test(reading, duplicates_are_found_in_objects_of_every_size);
    tcase_add_test(reading, places_stay_bounded_and_plain);
    tcase_add_test(reading, large_bodies_are_read_in_time);
    tcase_add_test(reading, utf8_takes_every_code_point);
    tcase_add_test(reading, utf8_takes_nothing_else);
    suite_add_tcase(suite, reading);
    TCase *writing = tcase_create("writing");
    tcase_add_test(writing, writer_writes);
    tcase_add_test(writing, writer_writes_scalars);
    tcase_add_loop_test(writing, writer_refuses_misuse, 0, MISUSE_COUNT);
    tcase_add_test(writing, writer_is_bounded);
    tcase_add_test(writing, what_is_written_is_read_back);
    suite_add_tcase(suite, writing);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
