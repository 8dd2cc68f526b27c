/*
 * http_edge: what is refused in a request's head, and how its values are read.  The heads stand in
 * buffers of exactly their size, so that a sanitizer sees a byte too many being read.
 */
#include "service_kit/http_edge.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define HOST         "Host: x\r\n"

static const struct {
    const char *head;
    enum http_fault fault;
} heads[] = {
    {"GET / HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_NONE},
    {"\r\nGET / HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_NONE},
    {"GET / HTTP/1.0\r\n\r\n", HTTP_FAULT_NONE},
    {"GET / HTTP/1.1\r\nhost: [::1]:80\r\n\r\n", HTTP_FAULT_NONE},
    {"GET /?a=/b?c HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_NONE},
    {"GET / HTTP/1.1\r\n" HOST "X:\r\nY: a\tb \xc3\xa4\t \r\n\r\n", HTTP_FAULT_NONE},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", HTTP_FAULT_NONE},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 005\r\n\r\nabcde", HTTP_FAULT_NONE},
    /* the request line */
    {"", HTTP_FAULT_REQUEST_LINE},
    {"\r\n", HTTP_FAULT_REQUEST_LINE},
    {"GET / HTTP/1.1", HTTP_FAULT_REQUEST_LINE},
    {"GET / HTTP/1.1\r\n", HTTP_FAULT_REQUEST_LINE},
    {"GET / HTTP/1.1\r\n" HOST, HTTP_FAULT_REQUEST_LINE},
    {"\r\n\r\n", HTTP_FAULT_REQUEST_LINE},
    {"GET\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE},
    {"GET /\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE},
    {"GET  HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE},
    {"GET  / HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE},
    {"GET /  HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE},
    {"GET / b HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE},
    {"GET\t/\tHTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE},
    {" GET / HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE},
    {"GET / HTTP/1.1 \r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE},
    {"GET / HTTP/1.32\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE},
    {"GET / HTTP/2.0\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE},
    {"GET / http/1.1\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE},
    {"GET / HTTP/1.x\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE},
    {"G(T / HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE},
    {"GET /\x7f HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE},
    {"GET /\x01 HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE},
    {"GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE},
    {"GET /#a HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE},
    {"GET /?a#b HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_REQUEST_LINE},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP_FAULT_REQUEST_LINE},
    /* the target */
    {"GET http://x/ HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_TARGET},
    {"CONNECT x:80 HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_TARGET},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_TARGET},
    {"GET a HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_TARGET},
    {"GET ?a HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_TARGET},
    {"GET http://x/ HTTP/1.1\r\n\r\n", HTTP_FAULT_HOST},
    /* line ends */
    {"GET / HTTP/1.1\n" HOST "\r\n", HTTP_FAULT_BARE_LF},
    {"\nGET / HTTP/1.1\r\n" HOST "\r\n", HTTP_FAULT_BARE_LF},
    {"GET / HTTP/1.1\r\nHost: x\n\r\n", HTTP_FAULT_BARE_LF},
    {"GET / HTTP/1.1\r\n" HOST "\n", HTTP_FAULT_BARE_LF},
    {"GET / HTTP/1.1\r\n" HOST "\nGET / HTTP/1.1\r\n\r\n", HTTP_FAULT_BARE_LF},
    {"GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n", HTTP_FAULT_HEADER},
    {"GET / HTTP/1.1\r\n" HOST "X: a\r\r\n\r\n", HTTP_FAULT_HEADER},
    /* header lines */
    {"GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n", HTTP_FAULT_FOLDED},
    {"GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n", HTTP_FAULT_FOLDED},
    {"GET / HTTP/1.1\r\n Host: x\r\n\r\n", HTTP_FAULT_FOLDED},
    {"GET / HTTP/1.1\r\n" HOST " \r\n\r\n", HTTP_FAULT_FOLDED},
    {"GET / HTTP/1.1\r\n" HOST "X\r\n\r\n", HTTP_FAULT_HEADER},
    {"GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n", HTTP_FAULT_HEADER},
    {"GET / HTTP/1.1\r\n" HOST "X : a\r\n\r\n", HTTP_FAULT_HEADER},
    {"GET / HTTP/1.1\r\n" HOST "X Y: a\r\n\r\n", HTTP_FAULT_HEADER},
    {"GET / HTTP/1.1\r\n" HOST "X(: a\r\n\r\n", HTTP_FAULT_HEADER},
    {"GET / HTTP/1.1\r\n" HOST "X\xc3\xa4: a\r\n\r\n", HTTP_FAULT_HEADER},
    {"GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n", HTTP_FAULT_HEADER},
    {"GET / HTTP/1.1\r\n" HOST "X: a\x7f\r\n\r\n", HTTP_FAULT_HEADER},
    /* Host */
    {"GET / HTTP/1.1\r\n\r\n", HTTP_FAULT_HOST},
    {"GET / HTTP/1.1\r\nHos: x\r\n\r\n", HTTP_FAULT_HOST},
    {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", HTTP_FAULT_HOST},
    {"GET / HTTP/1.0\r\n" HOST "hOST: y\r\n\r\n", HTTP_FAULT_HOST},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", HTTP_FAULT_HOST},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", HTTP_FAULT_HOST},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", HTTP_FAULT_HOST},
    {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", HTTP_FAULT_HOST},
    {"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", HTTP_FAULT_HOST},
    /* lengths */
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
     HTTP_FAULT_LENGTH},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\ncontent-length: 5\r\n\r\n",
     HTTP_FAULT_LENGTH},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5, 5\r\n\r\n", HTTP_FAULT_LENGTH},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\n", HTTP_FAULT_LENGTH},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: -5\r\n\r\n", HTTP_FAULT_LENGTH},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 0x5\r\n\r\n", HTTP_FAULT_LENGTH},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", HTTP_FAULT_LENGTH},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
     HTTP_FAULT_LENGTH_AND_CODING},
    {"POST / HTTP/1.1\r\n" HOST "transfer-encoding: identity\r\nContent-Length: 5\r\n\r\n",
     HTTP_FAULT_LENGTH_AND_CODING},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", HTTP_FAULT_CODING},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: a\r\nTransfer-Encoding: b\r\n\r\n",
     HTTP_FAULT_CODING},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n", HTTP_FAULT_CODING},
    /* others that may stand once */
    {"GET / HTTP/1.1\r\n" HOST "Authorization: Bearer a\r\nauthorization: Bearer a\r\n\r\n",
     HTTP_FAULT_AUTHORIZATION},
    {"GET / HTTP/1.1\r\n" HOST "Idempotency-Key: a\r\nIdempotency-Key: a\r\n\r\n",
     HTTP_FAULT_REPEATED},
    {"GET / HTTP/1.1\r\n" HOST "Content-Type: a\r\nX: y\r\nContent-Type: a\r\n\r\n",
     HTTP_FAULT_REPEATED},
    {"GET / HTTP/1.1\r\n" HOST "Accept: a\r\nAccept: b\r\n\r\n", HTTP_FAULT_NONE},
    {"GET / HTTP/1.1\r\n" HOST "X-Request-Id: a\r\nX-Request-Id: b\r\n\r\n", HTTP_FAULT_NONE},
};

static enum http_fault read_exactly(const char *text, size_t length, struct http_head *head) {
    char *bytes = malloc(length > 0 ? length : 1);
    memcpy(bytes, text, length);
    enum http_fault fault = http_edge_read(bytes, length, head);
    free(bytes);
    return fault;
}

START_TEST(head) {
    struct http_head read;
    enum http_fault fault = read_exactly(heads[_i].head, strlen(heads[_i].head), &read);
    ck_assert_msg(fault == heads[_i].fault, "%s: fault %d", heads[_i].head, fault);
}
END_TEST

/* Cut anywhere, a good head is no good head, and nothing behind the cut is read. */
START_TEST(every_prefix) {
    static const char good[] = "POST /a?b HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\n";
    struct http_head read;
    for (size_t length = 0; length < sizeof(good) - 1; length++)
        ck_assert_msg(read_exactly(good, length, &read) != HTTP_FAULT_NONE, "%zu", length);
    ck_assert_int_eq(read_exactly(good, sizeof(good) - 1, &read), HTTP_FAULT_NONE);
}
END_TEST

START_TEST(nul_bytes) {
    static const char in_path[] = "GET /a\0b HTTP/1.1\r\n" HOST "\r\n";
    static const char in_name[] = "GET / HTTP/1.1\r\n" HOST "X\0Y: a\r\n\r\n";
    static const char in_value[] = "GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n";
    struct http_head read;
    ck_assert_int_eq(read_exactly(in_path, sizeof(in_path) - 1, &read), HTTP_FAULT_REQUEST_LINE);
    ck_assert_int_eq(read_exactly(in_name, sizeof(in_name) - 1, &read), HTTP_FAULT_HEADER);
    ck_assert_int_eq(read_exactly(in_value, sizeof(in_value) - 1, &read), HTTP_FAULT_HEADER);
}
END_TEST

static bool is_text(const char *bytes, size_t offset, size_t length, const char *text) {
    return strlen(text) == length && memcmp(bytes + offset, text, length) == 0;
}

START_TEST(spans) {
    static const char bytes[] =
        "\r\nPUT /a/b?c=d&e HTTP/1.1\r\nHOST:  x \r\nauthorization: Bearer t\r\n"
        "Content-Length: 4\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    struct http_head read;
    ck_assert_int_eq(http_edge_read(bytes, sizeof(bytes) - 1, &read), HTTP_FAULT_NONE);
    ck_assert_uint_eq(read.length, (size_t)(strstr(bytes, "GET /") - bytes));
    ck_assert(is_text(bytes, read.method, read.method_length, "PUT"));
    ck_assert(is_text(bytes, read.path, read.path_length, "/a/b"));
    ck_assert(read.has_query);
    ck_assert(is_text(bytes, read.query, read.query_length, "c=d&e"));
    ck_assert_int_eq(read.minor_version, 1);
    ck_assert_int_eq(read.line_count, 3);
    ck_assert(http_edge_name_is(bytes, &read.lines[0], "host"));
    ck_assert(!http_edge_name_is(bytes, &read.lines[0], "hos"));
    ck_assert(!http_edge_name_is(bytes, &read.lines[0], "hosts"));
    ck_assert(is_text(bytes, read.lines[0].value, read.lines[0].value_length, "x"));
    ck_assert_int_eq(read.known_count[HTTP_KNOWN_AUTHORIZATION], 1);
    ck_assert_int_eq(read.known_line[HTTP_KNOWN_AUTHORIZATION], 1);
    ck_assert_int_eq(read.known_count[HTTP_KNOWN_CONTENT_TYPE], 0);
    ck_assert_int_eq(http_edge_read("GET /? HTTP/1.0\r\n\r\n", 19, &read), HTTP_FAULT_NONE);
    ck_assert(read.has_query && read.query_length == 0);
}
END_TEST

static size_t padded_head(char *bytes, size_t length) {
    static const char start[] = "GET / HTTP/1.1\r\n" HOST "X: ";
    memset(bytes, 'a', length);
    memcpy(bytes, start, sizeof(start) - 1);
    memcpy(bytes + length - 4, "\r\n\r\n", 4);
    return length;
}

START_TEST(sizes) {
    static char bytes[HTTP_HEAD_MAX_BYTES + 2];
    struct http_head read;
    ck_assert_int_eq(read_exactly(bytes, padded_head(bytes, HTTP_HEAD_MAX_BYTES), &read),
                     HTTP_FAULT_NONE);
    ck_assert_int_eq(read_exactly(bytes, padded_head(bytes, HTTP_HEAD_MAX_BYTES + 1), &read),
                     HTTP_FAULT_TOO_LARGE);
    memset(bytes, 'a', sizeof(bytes));
    ck_assert_int_eq(read_exactly(bytes, sizeof(bytes), &read), HTTP_FAULT_TOO_LARGE);
}
END_TEST

START_TEST(line_limit) {
    static char bytes[HTTP_HEAD_MAX_BYTES];
    for (size_t lines = HTTP_HEADER_LINES_MAX; lines <= HTTP_HEADER_LINES_MAX + 1; lines++) {
        size_t length = (size_t)snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\n" HOST);
        for (size_t i = 1; i < lines; i++)
            length += (size_t)snprintf(bytes + length, sizeof(bytes) - length, "X%zu: y\r\n", i);
        length += (size_t)snprintf(bytes + length, sizeof(bytes) - length, "\r\n");
        struct http_head read;
        ck_assert_int_eq(read_exactly(bytes, length, &read),
                         lines <= HTTP_HEADER_LINES_MAX ? HTTP_FAULT_NONE : HTTP_FAULT_TOO_LARGE);
    }
}
END_TEST

START_TEST(faults_have_answers) {
    for (enum http_fault fault = HTTP_FAULT_NONE + 1; fault < HTTP_FAULT_COUNT; fault++) {
        const struct problem_kind *kind = http_fault_kind(fault);
        int status = fault == HTTP_FAULT_CODING ? 411 : fault == HTTP_FAULT_TOO_LARGE ? 431 : 400;
        ck_assert_int_eq(kind->status, status);
        /* Only a head whose end is certain may be followed by another request. */
        ck_assert(http_fault_closes(fault) ==
                  !(fault == HTTP_FAULT_REPEATED || fault == HTTP_FAULT_AUTHORIZATION));
    }
}
END_TEST

/* ---- values ---- */

static struct http_text text_of(const char *text) {
    return (struct http_text){text, strlen(text)};
}

static const struct {
    const char *value;
    enum http_credentials credentials;
    const char *token;
} credentials[] = {
    {"Bearer abc", HTTP_CREDENTIALS_TOKEN, "abc"},
    {"bearer abc", HTTP_CREDENTIALS_TOKEN, "abc"},
    {"BEARER a.b-c_d~e+f/g==", HTTP_CREDENTIALS_TOKEN, "a.b-c_d~e+f/g=="},
    {"Bearer", HTTP_CREDENTIALS_MALFORMED, NULL},
    {"Bearer ", HTTP_CREDENTIALS_MALFORMED, NULL},
    {"Bearer  abc", HTTP_CREDENTIALS_MALFORMED, NULL},
    {"Bearer abc ", HTTP_CREDENTIALS_MALFORMED, NULL},
    {"Bearer a b", HTTP_CREDENTIALS_MALFORMED, NULL},
    {"Bearer a,b", HTTP_CREDENTIALS_MALFORMED, NULL},
    {"Bearer \"abc\"", HTTP_CREDENTIALS_MALFORMED, NULL},
    {"Bearer ==", HTTP_CREDENTIALS_MALFORMED, NULL},
    {"Bearer a=b", HTTP_CREDENTIALS_MALFORMED, NULL},
    {"Bearer a\xc3\xa4", HTTP_CREDENTIALS_MALFORMED, NULL},
    {"", HTTP_CREDENTIALS_MALFORMED, NULL},
    {" Bearer a", HTTP_CREDENTIALS_MALFORMED, NULL},
    {"Basic YTpi", HTTP_CREDENTIALS_NONE, NULL},
    {"Bearer\tabc", HTTP_CREDENTIALS_NONE, NULL},
    {"Bearerabc", HTTP_CREDENTIALS_NONE, NULL},
    {"Beare abc", HTTP_CREDENTIALS_NONE, NULL},
};

START_TEST(bearer) {
    struct http_text token = {NULL, 0};
    enum http_credentials found = http_edge_bearer(text_of(credentials[_i].value), &token);
    ck_assert_msg(found == credentials[_i].credentials, "%s: %d", credentials[_i].value, found);
    if (found == HTTP_CREDENTIALS_TOKEN)
        ck_assert(is_text(token.base, 0, token.length, credentials[_i].token));
}
END_TEST

START_TEST(media_type) {
    static const char *const good[] = {
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        "application/json; charset=UTF-8",
        "application/json ; charset=\"utf-8\"",
        "application/json;",
    };
    static const char *const bad[] = {
        "",
        "text/plain",
        "application/jsonx",
        "application/jso",
        "application/json, text/plain",
        "application/json; charset=latin1",
        "application/json; charset=utf-8; charset=utf-8",
        "application/json; charset=utf-16",
        "application/json; boundary=x",
        "application/problem+json",
        "application/x-www-form-urlencoded",
    };
    for (size_t i = 0; i < COUNT(good); i++)
        ck_assert_msg(http_edge_is_json(text_of(good[i])), "%s", good[i]);
    for (size_t i = 0; i < COUNT(bad); i++)
        ck_assert_msg(!http_edge_is_json(text_of(bad[i])), "%s", bad[i]);
    ck_assert(!http_edge_is_json((struct http_text){NULL, 0}));
}
END_TEST

START_TEST(request_id) {
    char longest[HTTP_REQUEST_ID_MAX + 2];
    memset(longest, 'a', sizeof(longest));
    ck_assert(http_edge_request_id_valid(text_of("a")));
    ck_assert(http_edge_request_id_valid(text_of("AZaz09._-")));
    ck_assert(http_edge_request_id_valid((struct http_text){longest, HTTP_REQUEST_ID_MAX}));
    ck_assert(!http_edge_request_id_valid((struct http_text){longest, HTTP_REQUEST_ID_MAX + 1}));
    static const char *const bad[] = {"", " ", "a b", "a\"", "a\r", "a/b", "\xc3\xa4", "a@", "a["};
    for (size_t i = 0; i < COUNT(bad); i++)
        ck_assert_msg(!http_edge_request_id_valid(text_of(bad[i])), "%s", bad[i]);
}
END_TEST

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

START_TEST(trace_id) {
    static const char *const good[] = {
        "00-" TRACE "-" PARENT "-01",
        "00-" TRACE "-" PARENT "-00",
        "01-" TRACE "-" PARENT "-01",
        "cc-" TRACE "-" PARENT "-01-what-comes-later",
    };
    static const char *const bad[] = {
        "",
        "00-" TRACE "-" PARENT,
        "00-" TRACE "-" PARENT "-0",
        "00-" TRACE "-" PARENT "-01-",
        "00-" TRACE "-" PARENT "-0g",
        "ff-" TRACE "-" PARENT "-01",
        "0g-" TRACE "-" PARENT "-01",
        "cc-" TRACE "-" PARENT "-01.later",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" TRACE "-0000000000000000-01",
        "00_" TRACE "-" PARENT "-01",
        "00-" TRACE "_" PARENT "-01",
        "00-" TRACE "-" PARENT "_01",
    };
    struct http_text id = {NULL, 0};
    for (size_t i = 0; i < COUNT(good); i++) {
        ck_assert_msg(http_edge_trace_id(text_of(good[i]), &id), "%s", good[i]);
        ck_assert(is_text(id.base, 0, id.length, TRACE));
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        ck_assert_msg(!http_edge_trace_id(text_of(bad[i]), &id), "%s", bad[i]);
}
END_TEST

static const struct {
    const char *query;
    enum http_found found;
    const char *value; /* of "limit" */
} queries[] = {
    {"limit=10", HTTP_FOUND_ONE, "10"},
    {"limit=", HTTP_FOUND_ONE, ""},
    {"limit", HTTP_FOUND_ONE, ""},
    {"a=b&limit=10&c=d", HTTP_FOUND_ONE, "10"},
    {"&&limit=1&", HTTP_FOUND_ONE, "1"},
    {"limit=a=b", HTTP_FOUND_ONE, "a=b"},
    {"limit=%31%30", HTTP_FOUND_ONE, "10"},
    {"l%69mit=10", HTTP_FOUND_ONE, "10"},
    {"limit=a+b%2Bc%26d", HTTP_FOUND_ONE, "a b+c&d"},
    {"", HTTP_FOUND_NONE, NULL},
    {"&", HTTP_FOUND_NONE, NULL},
    {"limits=1", HTTP_FOUND_NONE, NULL},
    {"limi=1", HTTP_FOUND_NONE, NULL},
    {"LIMIT=1", HTTP_FOUND_NONE, NULL},
    {"a=limit=1", HTTP_FOUND_NONE, NULL},
    {"%zz=1&limit", HTTP_FOUND_ONE, ""},
    {"limit=1&limit=1", HTTP_FOUND_TWICE, NULL},
    {"limit=1&x&l%69mit=2", HTTP_FOUND_TWICE, NULL},
    {"limit=%", HTTP_FOUND_BAD, NULL},
    {"limit=%1", HTTP_FOUND_BAD, NULL},
    {"limit=%1&a=b", HTTP_FOUND_BAD, NULL},
    {"limit=%zz", HTTP_FOUND_BAD, NULL},
    {"limit=1%00", HTTP_FOUND_BAD, NULL},
};

START_TEST(query) {
    const char *text = queries[_i].query;
    size_t length = 0, size = strlen(text);
    char *in = malloc(size > 0 ? size : 1), *out = malloc(size > 0 ? size : 1);
    memcpy(in, text, size);
    enum http_found found = http_edge_query((struct http_text){in, size}, "limit", out, &length);
    ck_assert_msg(found == queries[_i].found, "%s: %d", text, found);
    if (found == HTTP_FOUND_ONE)
        ck_assert_msg(is_text(out, 0, length, queries[_i].value), "%s", text);
    free(in);
    free(out);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("http_edge");
    TCase *tests = tcase_create("http_edge");
    tcase_add_loop_test(tests, head, 0, COUNT(heads));
    tcase_add_test(tests, every_prefix);
    tcase_add_test(tests, nul_bytes);
    tcase_add_test(tests, spans);
    tcase_add_test(tests, sizes);
    tcase_add_test(tests, line_limit);
    tcase_add_test(tests, faults_have_answers);
    tcase_add_loop_test(tests, bearer, 0, COUNT(credentials));
    tcase_add_test(tests, media_type);
    tcase_add_test(tests, request_id);
    tcase_add_test(tests, trace_id);
    tcase_add_loop_test(tests, query, 0, COUNT(queries));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
