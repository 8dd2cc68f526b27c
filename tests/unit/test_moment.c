/* moment: days and RFC 3339 times, as UTC with microseconds; everything else is refused. */
#include "reports/moment.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(moments) {
    static const struct {
        const char *text;
        enum moment_edge edge;
        const char *expected; /* NULL: refused */
    } cases[] = {
        {"2026-11-24", MOMENT_START, "2026-11-24T00:00:00.000000Z"},
        {"2026-11-24", MOMENT_END, "2026-11-25T00:00:00.000000Z"},
        {"2026-12-31", MOMENT_END, "2027-01-01T00:00:00.000000Z"},
        {"2024-02-29", MOMENT_END, "2024-03-01T00:00:00.000000Z"},
        {"2000-02-29", MOMENT_START, "2000-02-29T00:00:00.000000Z"},
        {"1970-01-01", MOMENT_START, "1970-01-01T00:00:00.000000Z"},
        {"9998-12-31", MOMENT_END, "9999-01-01T00:00:00.000000Z"},
        {"2026-11-24T12:34:56Z", MOMENT_END, "2026-11-24T12:34:56.000000Z"},
        {"2026-11-24t12:34:56.5z", MOMENT_START, "2026-11-24T12:34:56.500000Z"},
        {"2026-11-24T12:34:56.123456Z", MOMENT_END, "2026-11-24T12:34:56.123456Z"},
        {"2026-11-24T00:00:00+03:00", MOMENT_END, "2026-11-23T21:00:00.000000Z"},
        {"2026-12-31T23:00:00-01:30", MOMENT_END, "2027-01-01T00:30:00.000000Z"},
        {"2026-02-29", MOMENT_START, NULL},
        {"2100-02-29", MOMENT_START, NULL},
        {"1969-12-31", MOMENT_START, NULL},
        {"9999-01-01", MOMENT_START, NULL},
        {"1970-01-01T00:00:00+00:01", MOMENT_START, NULL},
        {"2026-13-01", MOMENT_START, NULL},
        {"2026-00-01", MOMENT_START, NULL},
        {"2026-1-1", MOMENT_START, NULL},
        {"2026-11-24 12:00:00Z", MOMENT_START, NULL},
        {"2026-11-24T12:00:00", MOMENT_START, NULL},
        {"2026-11-24T12:00Z", MOMENT_START, NULL},
        {"2026-11-24T24:00:00Z", MOMENT_START, NULL},
        {"2026-11-24T23:59:60Z", MOMENT_START, NULL},
        {"2026-11-24T12:00:00.Z", MOMENT_START, NULL},
        {"2026-11-24T12:00:00.1234567Z", MOMENT_START, NULL},
        {"2026-11-24T12:00:00+0300", MOMENT_START, NULL},
        {"2026-11-24T12:00:00Z ", MOMENT_START, NULL},
        {" 2026-11-24", MOMENT_START, NULL},
        {"2026-11-24T", MOMENT_START, NULL},
        {"now", MOMENT_START, NULL},
        {"", MOMENT_START, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[MOMENT_TEXT_SIZE] = "";
        bool good = moment_parse(cases[i].text, strlen(cases[i].text), cases[i].edge, out);
        ck_assert_msg(good == (cases[i].expected != NULL), "%s", cases[i].text);
        if (good) {
            ck_assert_str_eq(out, cases[i].expected);
        }
    }
}
END_TEST

/* Only the span counts, whatever is behind it. */
START_TEST(spans) {
    char out[MOMENT_TEXT_SIZE];
    ck_assert(moment_parse("2026-11-24T12:00:00Z", 10, MOMENT_START, out));
    ck_assert_str_eq(out, "2026-11-24T00:00:00.000000Z");
    ck_assert(!moment_parse("2026-11-24", 9, MOMENT_START, out));
    ck_assert(!moment_parse("", 0, MOMENT_START, out));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("moment");
    TCase *tcase = tcase_create("moment");
    tcase_add_test(tcase, moments);
    tcase_add_test(tcase, spans);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
