/*
 * render: rows as JSON, CSV and text; what a spreadsheet or a terminal would act on; pages; and
 * output: limits and failures.
 */
#include "reports/render.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reports/settle.h"

static const struct report REPORT = {
    .name = "sample",
    .title = "Sample",
    .needs = REPORT_AS_OF | REPORT_PAGES,
    .sections = {"lines", "totals"},
    .columns = {{"line", REPORT_INTEGER, 6}, {"text", REPORT_TEXT, 8}, {"sum", REPORT_AMOUNT, 10}},
    .place = REPORT_PLACE_NUMBER,
    .page_column = "line",
};

#define FIELDS 5 /* section, the columns, decimals */

/* Rows of FIELDS texts each; NULL is null. */
static PGresult *make_rows(const char *const (*texts)[FIELDS], int count) {
    PGresult *rows = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    char name[] = "field";
    PGresAttDesc fields[FIELDS] = {0};
    for (int i = 0; i < FIELDS; i++) {
        fields[i].name = name;
    }
    ck_assert(PQsetResultAttrs(rows, FIELDS, fields));
    for (int row = 0; row < count; row++) {
        for (int i = 0; i < FIELDS; i++) {
            char *copy = texts[row][i] == NULL ? NULL : strdup(texts[row][i]);
            ck_assert(PQsetvalue(rows, row, i, copy, copy == NULL ? -1 : (int)strlen(copy)));
            free(copy);
        }
    }
    return rows;
}

static char *taken(struct output *output) {
    ck_assert(output_flush(output));
    char *text = calloc(1, output->length + 1);
    ck_assert_ptr_nonnull(text);
    if (output->length > 0)
        memcpy(text, output->bytes, output->length);
    output_free(output);
    return text;
}

static char *rendered(const char *const (*texts)[FIELDS], int count, int64_t limit,
                      enum report_format format) {
    struct output output;
    struct render render;
    const struct report_request request = {.ledger_name = "main", .row_limit = limit};
    PGresult *rows = make_rows(texts, count);
    output_to_memory(&output, 10000);
    render_begin(&render, &REPORT, &request, format, &output);
    for (int row = 0; row < count; row++) {
        ck_assert_msg(render_row(&render, rows, row), "%s", render.error);
    }
    render_end(&render);
    PQclear(rows);
    return taken(&output);
}

static const char *const ROWS[][FIELDS] = {
    {"lines", "1", "=1+1", "-5", "2"},
    {"lines", "2", "a \"b\", c", "99999999999999999999999999999999999999", "18"},
    {"totals", NULL, NULL, "0", "3"},
};

START_TEST(json) {
    char *text = rendered(ROWS, 3, 0, REPORT_FORMAT_JSON);
    ck_assert_str_eq(
        text, "{\"report\":\"sample\",\"ledger\":\"main\",\"time\":\"booking\",\"as_of\":null,"
              "\"currency\":null,\"lines\":[{\"line\":1,\"text\":\"=1+1\",\"sum\":\"-0.05\"},"
              "{\"line\":2,\"text\":\"a \\\"b\\\", c\","
              "\"sum\":\"99999999999999999999.999999999999999999\"}],"
              "\"totals\":[{\"line\":null,\"text\":null,\"sum\":\"0.000\"}],\"next\":null}\n");
    free(text);
}
END_TEST

START_TEST(csv) {
    char *text = rendered(ROWS, 3, 0, REPORT_FORMAT_CSV);
    ck_assert_str_eq(text, "section,line,text,sum\r\n"
                           "lines,1,'=1+1,-0.05\r\n"
                           "lines,2,\"a \"\"b\"\", c\",99999999999999999999.999999999999999999\r\n"
                           "totals,,,0.000\r\n");
    free(text);
}
END_TEST

/* Numbers end in one column, no line ends with a blank, and nothing moves the cursor. */
START_TEST(aligned_text) {
    static const char *const rows[][FIELDS] = {
        {"lines", "1", "\x1b[2J", "-5", "2"},
        {"lines", "10", NULL, "123456", "2"},
        {"totals", NULL, "\xd0\xb6", NULL, "2"},
    };
    char *text = rendered(rows, 3, 0, REPORT_FORMAT_TEXT);
    ck_assert_str_eq(text, "Sample, ledger main, by booking time\n\n"
                           " line text          sum\n"
                           "    1 ?[2J        -0.05\n"
                           "   10           1234.56\n"
                           "-- totals\n"
                           "      \xd0\xb6\n");
    free(text);
}
END_TEST

START_TEST(without_rows) {
    char *text = rendered(ROWS, 0, 0, REPORT_FORMAT_JSON);
    ck_assert_ptr_nonnull(strstr(text, "\"lines\":[],\"totals\":[],\"next\":null}\n"));
    free(text);
}
END_TEST

START_TEST(a_full_page_names_the_next) {
    char *text = rendered(ROWS, 3, 2, REPORT_FORMAT_JSON);
    ck_assert_ptr_nonnull(strstr(text, "\"next\":\"2\"}\n"));
    free(text);
    text = rendered(ROWS, 3, 3, REPORT_FORMAT_JSON);
    ck_assert_ptr_nonnull(strstr(text, "\"next\":null}\n"));
    free(text);
}
END_TEST

/* Rows that the database must not send are an error, not an answer. */
START_TEST(wrong_rows) {
    static const char *const rows[][FIELDS] = {
        {"nothing", "1", "x", "5", "2"}, {"lines", "1", "x", "5.5", "2"},
        {"lines", "1", "x", "NaN", "2"}, {"lines", "1", "x", "5", "19"},
        {"lines", "1", "x", "5", "-1"},  {"lines", "1", "x", "", "2"},
        {"lines", "1", "x", "--5", "2"},
    };
    const struct report_request request = {.ledger_name = "main"};
    PGresult *made = make_rows(rows, 7);
    for (int row = 0; row < 7; row++) {
        struct output output;
        struct render render;
        output_to_memory(&output, 10000);
        render_begin(&render, &REPORT, &request, REPORT_FORMAT_JSON, &output);
        ck_assert_msg(!render_row(&render, made, row), "row %d", row);
        ck_assert_ptr_nonnull(render.error);
        output_free(&output);
    }
    PQclear(made);
}
END_TEST

START_TEST(cells) {
    static const char *const cases[][2] = {
        {"", ""},       {"plain", "plain"}, {"=A1", "'=A1"},      {"+1", "'+1"},
        {"-1", "'-1"},  {"@x", "'@x"},      {"\tx", "'\tx"},      {"\rx", "\"'\rx\""},
        {"a=b", "a=b"}, {"a,b", "\"a,b\""}, {"a\nb", "\"a\nb\""}, {"=\"x\"", "\"'=\"\"x\"\"\""},
        {"'x", "'x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct output output;
        output_to_memory(&output, 100);
        render_csv_cell(&output, cases[i][0]);
        char *text = taken(&output);
        ck_assert_str_eq(text, cases[i][1]);
        free(text);
    }
}
END_TEST

START_TEST(strings) {
    struct output output;
    output_to_memory(&output, 100);
    render_json_string(&output, "\"\\\n\x01\x7f\xc3\xa9");
    char *text = taken(&output);
    ck_assert_str_eq(text, "\"\\\"\\\\\\u000a\\u0001\\u007f\xc3\xa9\"");
    free(text);
}
END_TEST

START_TEST(memory_has_a_limit) {
    struct output output;
    output_to_memory(&output, 10);
    output_text(&output, "1234567890");
    ck_assert(output_flush(&output));
    output_text(&output, "1");
    ck_assert(!output_flush(&output));
    ck_assert_int_eq(output.error, EFBIG);
    output_free(&output);
}
END_TEST

START_TEST(a_descriptor_that_takes_nothing_is_told) {
    struct output output;
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(full, 0);
    output_to_descriptor(&output, full);
    output_text(&output, "x");
    ck_assert(!output_flush(&output));
    ck_assert_int_eq(output.error, ENOSPC);
    output_free(&output);
    close(full);
}
END_TEST

START_TEST(a_reader_that_is_gone_is_told) {
    struct output output;
    int ends[2];
    (void)signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    output_to_descriptor(&output, ends[1]);
    for (int i = 0; i < 100000; i++) { /* more than its buffer */
        output_text(&output, "0123456789");
    }
    ck_assert_int_eq(output.error, EPIPE);
    output_free(&output);
    close(ends[1]);
}
END_TEST

START_TEST(places) {
    static const struct {
        const char *report, *text;
        bool valid;
    } cases[] = {
        {"statement", "1", true},
        {"statement", "999999999999999999", true},
        {"statement", "1000000000000000000", false},
        {"statement", "-1", false},
        {"statement", "", false},
        {"customer-balances", "019d4c1e-5d8a-7c3e-9a51-0d9f6f0c7a11", true},
        {"customer-balances", "1", false},
        {"journal", "2026-11-24T12:00:00.000000Z/019d4c1e-5d8a-7c3e-9a51-0d9f6f0c7a11", true},
        {"journal", "2026-11-24T12:00:00.000000Z", false},
        {"journal", "/019d4c1e-5d8a-7c3e-9a51-0d9f6f0c7a11", false},
        {"journal", "infinity/019d4c1e-5d8a-7c3e-9a51-0d9f6f0c7a11", false},
        {"trial-balance", "1", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct report *report = report_find(cases[i].report, strlen(cases[i].report));
        ck_assert_ptr_nonnull(report);
        ck_assert_msg(report_place_valid(report, cases[i].text, strlen(cases[i].text)) ==
                          cases[i].valid,
                      "%s %s", cases[i].report, cases[i].text);
    }
}
END_TEST

START_TEST(notes_of_settling) {
    ck_assert_int_eq(settle_read_note("future"), SETTLE_FUTURE);
    ck_assert_int_eq(settle_read_note("young"), SETTLE_YOUNG);
    ck_assert_int_eq(settle_read_note("123"), SETTLE_NOTED);
    const struct report_request present = {0}, moment = {.as_of = "a"}, period = {.to = "t"};
    ck_assert_ptr_null(settle_moment(&present));
    ck_assert_str_eq(settle_moment(&moment), "a");
    ck_assert_str_eq(settle_moment(&period), "t");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("render");
    TCase *tcase = tcase_create("render");
    tcase_add_test(tcase, json);
    tcase_add_test(tcase, csv);
    tcase_add_test(tcase, aligned_text);
    tcase_add_test(tcase, without_rows);
    tcase_add_test(tcase, a_full_page_names_the_next);
    tcase_add_test(tcase, wrong_rows);
    tcase_add_test(tcase, cells);
    tcase_add_test(tcase, strings);
    tcase_add_test(tcase, memory_has_a_limit);
    tcase_add_test(tcase, a_descriptor_that_takes_nothing_is_told);
    tcase_add_test(tcase, a_reader_that_is_gone_is_told);
    tcase_add_test(tcase, places);
    tcase_add_test(tcase, notes_of_settling);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
