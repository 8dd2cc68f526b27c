/* problem: the bytes of an error answer. */
#include "service_kit/problem.h"

#include <check.h>
#include <stdlib.h>

#include "service_kit/json.h"

static void expect(const struct problem *problem, const char *request_id, const char *expected) {
    struct json_writer *writer = json_writer_create(4096);
    problem_write(writer, problem, request_id);
    size_t length = 0;
    const char *bytes = json_writer_finish(writer, &length);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_int_eq(bytes[length], '\0');
    ck_assert_str_eq(bytes, expected);
    json_writer_free(writer);
}

START_TEST(plain) {
    expect(&(struct problem){.kind = &PROBLEM_NOT_FOUND}, "id-1",
           "{\"type\":\"urn:pacioli:problem:not_found\",\"title\":\"Not found\",\"status\":404,"
           "\"detail\":\"There is nothing at this path.\"}");
}
END_TEST

START_TEST(own_detail) {
    expect(&(struct problem){.kind = &PROBLEM_NOT_FOUND, .detail = "Account \"x\" not found"}, NULL,
           "{\"type\":\"urn:pacioli:problem:not_found\",\"title\":\"Not found\",\"status\":404,"
           "\"detail\":\"Account \\\"x\\\" not found\"}");
}
END_TEST

START_TEST(fields) {
    static const struct problem_field refused[] = {{"amount", "must be greater than 0"},
                                                   {"operations[3].amount", "is missing"}};
    expect(&(struct problem){.kind = &PROBLEM_VALIDATION, .fields = refused, .field_count = 2},
           "id-1",
           "{\"type\":\"urn:pacioli:problem:validation\",\"title\":\"Validation failed\","
           "\"status\":422,\"detail\":\"amount: must be greater than 0\",\"errors\":["
           "{\"field\":\"amount\",\"reason\":\"must be greater than 0\"},"
           "{\"field\":\"operations[3].amount\",\"reason\":\"is missing\"}]}");
}
END_TEST

START_TEST(our_own_fault_names_the_request) {
    expect(&(struct problem){.kind = &PROBLEM_INTERNAL}, "id-1",
           "{\"type\":\"urn:pacioli:problem:internal\",\"title\":\"Internal error\",\"status\":500,"
           "\"detail\":\"The service failed to answer this request.\",\"request_id\":\"id-1\"}");
}
END_TEST

static void add_member(struct json_writer *writer, const void *context) {
    json_write_member(writer, "transaction", context);
}

START_TEST(extended) {
    static const struct problem_kind kind = {409, "already_processed", "Already processed",
                                             "Transaction already processed"};
    expect(&(struct problem){.kind = &kind, .extend = add_member, .context = "t-1"}, "id-1",
           "{\"type\":\"urn:pacioli:problem:already_processed\",\"title\":\"Already processed\","
           "\"status\":409,\"detail\":\"Transaction already processed\",\"transaction\":\"t-1\"}");
}
END_TEST

START_TEST(kinds_have_their_status) {
    const struct {
        const struct problem_kind *kind;
        int status;
    } kinds[] = {
        {&PROBLEM_BAD_REQUEST, 400},     {&PROBLEM_BAD_JSON, 400},
        {&PROBLEM_UNAUTHORIZED, 401},    {&PROBLEM_BAD_AUTHORIZATION, 400},
        {&PROBLEM_NOT_FOUND, 404},       {&PROBLEM_METHOD_NOT_ALLOWED, 405},
        {&PROBLEM_LENGTH_REQUIRED, 411}, {&PROBLEM_BODY_TOO_LARGE, 413},
        {&PROBLEM_MEDIA_TYPE, 415},      {&PROBLEM_VALIDATION, 422},
        {&PROBLEM_HEAD_TOO_LARGE, 431},  {&PROBLEM_INTERNAL, 500},
        {&PROBLEM_UNAVAILABLE, 503},     {&PROBLEM_OVERLOADED, 503},
        {&PROBLEM_DEADLINE, 503},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        ck_assert_int_eq(kinds[i].kind->status, kinds[i].status);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("problem");
    TCase *tests = tcase_create("problem");
    tcase_add_test(tests, plain);
    tcase_add_test(tests, own_detail);
    tcase_add_test(tests, fields);
    tcase_add_test(tests, our_own_fault_names_the_request);
    tcase_add_test(tests, extended);
    tcase_add_test(tests, kinds_have_their_status);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
