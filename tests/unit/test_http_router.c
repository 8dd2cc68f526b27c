/* http_router: which route a method and a raw path lead to, as a table. */
#include "service_kit/http_router.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const struct http_route table[] = {
    {.method = HTTP_GET, .pattern = "/"},
    {.method = HTTP_POST, .pattern = "/users/"},
    {.method = HTTP_GET, .pattern = "/accounts/{id}"},
    {.method = HTTP_GET, .pattern = "/accounts/latest"},
    {.method = HTTP_GET, .pattern = "/accounts"},
    {.method = HTTP_POST, .pattern = "/accounts"},
    {.method = HTTP_GET, .pattern = "/accounts/{id}/entries/{seq}"},
    {.method = HTTP_DELETE, .pattern = "/accounts/{id}/entries/{seq}"},
    {.method = HTTP_PUT, .pattern = "/accounts/{id}/{what}/last"},
};
#define ROUTES (sizeof(table) / sizeof(table[0]))

static struct http_router *make_router(void) {
    const struct http_route *routes[ROUTES];
    for (size_t i = 0; i < ROUTES; i++)
        routes[i] = &table[i];
    return http_router_create(routes, ROUTES);
}

/* Parameters as "name=value;…". */
static const struct {
    const char *method, *path;
    enum http_matching matching;
    int route; /* its place in the table */
    const char *allow, *parameters;
} cases[] = {
    {"GET", "/", HTTP_MATCHED, 0, "GET, HEAD", ""},
    {"HEAD", "/", HTTP_MATCHED, 0, "GET, HEAD", ""},
    {"POST", "/", HTTP_NO_METHOD, -1, "GET, HEAD", ""},
    {"POST", "/users/", HTTP_MATCHED, 1, "POST", ""},
    {"HEAD", "/users/", HTTP_NO_METHOD, -1, "POST", ""},
    {"GET", "/users/", HTTP_NO_METHOD, -1, "POST", ""},
    {"POST", "/users", HTTP_NO_PATH, -1, NULL, ""},
    {"POST", "/users//", HTTP_NO_PATH, -1, NULL, ""},
    {"POST", "//users/", HTTP_NO_PATH, -1, NULL, ""},
    {"POST", "/Users/", HTTP_NO_PATH, -1, NULL, ""},
    {"POST", "/%75sers/", HTTP_MATCHED, 1, "POST", ""},
    {"POST", "/users%2f", HTTP_NO_PATH, -1, NULL, ""},
    {"POST", "/users%2F", HTTP_NO_PATH, -1, NULL, ""},
    {"post", "/users/", HTTP_NO_METHOD, -1, "POST", ""},
    {"TRACE", "/users/", HTTP_NO_METHOD, -1, "POST", ""},
    {"TRACE", "/nowhere", HTTP_NO_PATH, -1, NULL, ""},
    {"GET", "/accounts", HTTP_MATCHED, 4, "GET, HEAD, POST", ""},
    {"POST", "/accounts", HTTP_MATCHED, 5, "GET, HEAD, POST", ""},
    {"PATCH", "/accounts", HTTP_NO_METHOD, -1, "GET, HEAD, POST", ""},
    {"GET", "/accounts/", HTTP_NO_PATH, -1, NULL, ""},
    {"GET", "/accounts/7", HTTP_MATCHED, 2, "GET, HEAD", "id=7;"},
    {"GET", "/accounts/latest", HTTP_MATCHED, 3, "GET, HEAD", ""},
    {"GET", "/accounts/lates%74", HTTP_MATCHED, 3, "GET, HEAD", ""},
    {"GET", "/accounts/latest/", HTTP_NO_PATH, -1, NULL, ""},
    {"GET", "/accounts/a%20b%C3%A4+", HTTP_MATCHED, 2, "GET, HEAD", "id=a b\xc3\xa4+;"},
    {"GET", "/accounts/%25", HTTP_MATCHED, 2, "GET, HEAD", "id=%;"},
    {"GET", "/accounts/%2525", HTTP_MATCHED, 2, "GET, HEAD", "id=%25;"},
    {"GET", "/accounts/a%2Fb", HTTP_NO_PATH, -1, NULL, ""},
    {"GET", "/accounts/.", HTTP_NO_PATH, -1, NULL, ""},
    {"GET", "/accounts/..", HTTP_NO_PATH, -1, NULL, ""},
    {"GET", "/accounts/%2e%2E", HTTP_NO_PATH, -1, NULL, ""},
    {"GET", "/x/../accounts", HTTP_NO_PATH, -1, NULL, ""},
    {"GET", "/accounts/...", HTTP_MATCHED, 2, "GET, HEAD", "id=...;"},
    {"GET", "/accounts/.a", HTTP_MATCHED, 2, "GET, HEAD", "id=.a;"},
    {"GET", "/accounts/%", HTTP_BAD_PATH, -1, NULL, ""},
    {"GET", "/accounts/%4", HTTP_BAD_PATH, -1, NULL, ""},
    {"GET", "/accounts/%4/", HTTP_BAD_PATH, -1, NULL, ""},
    {"GET", "/accounts/%g0", HTTP_BAD_PATH, -1, NULL, ""},
    {"GET", "/accounts/a%00b", HTTP_BAD_PATH, -1, NULL, ""},
    {"GET", "/nowhere/%zz", HTTP_BAD_PATH, -1, NULL, ""},
    {"GET", "/accounts/1/entries/2", HTTP_MATCHED, 6, "GET, HEAD, DELETE", "id=1;seq=2;"},
    {"DELETE", "/accounts/1/entries/2", HTTP_MATCHED, 7, "GET, HEAD, DELETE", "id=1;seq=2;"},
    /* A literal on the left wins, even where the other pattern would take the method. */
    {"PUT", "/accounts/1/entries/last", HTTP_NO_METHOD, -1, "GET, HEAD, DELETE", "id=1;seq=last;"},
    {"PUT", "/accounts/1/holds/last", HTTP_MATCHED, 8, "PUT", "id=1;what=holds;"},
    {"GET", "/accounts/1/entries/", HTTP_NO_PATH, -1, NULL, ""},
    {"GET", "/accounts//entries/2", HTTP_NO_PATH, -1, NULL, ""},
    {"GET", "/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", HTTP_NO_PATH, -1, NULL, ""},
};

static struct http_text text_of(const char *text) {
    return (struct http_text){text, strlen(text)};
}

static void write_parameters(const struct http_match *match, char *out) {
    for (size_t i = 0; i < match->parameter_count; i++) {
        const struct http_parameter *parameter = &match->parameters[i];
        memcpy(out, parameter->name.base, parameter->name.length);
        out += parameter->name.length;
        *out++ = '=';
        memcpy(out, parameter->value.base, parameter->value.length);
        out += parameter->value.length;
        *out++ = ';';
    }
    *out = '\0';
}

START_TEST(finds) {
    struct http_router *router = make_router();
    const char *path = cases[_i].path;
    /* Exactly as large as promised, so that a sanitizer sees a byte too many. */
    char *buffer = malloc(strlen(path));
    struct http_match match;
    enum http_matching matching =
        http_router_find(router, text_of(cases[_i].method), text_of(path), buffer, &match);
    ck_assert_msg(matching == cases[_i].matching, "%s %s: %d", cases[_i].method, path, matching);
    if (cases[_i].route >= 0) {
        ck_assert_ptr_eq(match.route, &table[cases[_i].route]);
        ck_assert_uint_eq(match.number, (size_t)cases[_i].route);
    } else {
        ck_assert_ptr_null(match.route);
    }
    if (cases[_i].allow != NULL)
        ck_assert_str_eq(match.allow, cases[_i].allow);
    else
        ck_assert_ptr_null(match.allow);
    char parameters[256];
    write_parameters(&match, parameters);
    ck_assert_str_eq(parameters, cases[_i].parameters);
    free(buffer);
    http_router_free(router);
}
END_TEST

START_TEST(head_is_marked) {
    struct http_router *router = make_router();
    char buffer[16];
    struct http_match match;
    ck_assert_int_eq(http_router_find(router, text_of("HEAD"), text_of("/"), buffer, &match),
                     HTTP_MATCHED);
    ck_assert(match.head);
    ck_assert_int_eq(http_router_find(router, text_of("GET"), text_of("/"), buffer, &match),
                     HTTP_MATCHED);
    ck_assert(!match.head);
    http_router_free(router);
}
END_TEST

START_TEST(two_routes_for_one_path_abort) {
    static const struct http_route twice[] = {
        {.method = HTTP_GET, .pattern = "/a/{id}"},
        {.method = HTTP_GET, .pattern = "/a/{id}"},
    };
    const struct http_route *routes[] = {&twice[0], &twice[1]};
    (void)http_router_create(routes, 2);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("http_router");
    TCase *tests = tcase_create("http_router");
    tcase_add_loop_test(tests, finds, 0, sizeof(cases) / sizeof(cases[0]));
    tcase_add_test(tests, head_is_marked);
    tcase_add_test_raise_signal(tests, two_routes_for_one_path_abort, SIGABRT);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
