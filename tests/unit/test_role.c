/* role: names and sets. */
#include "service_kit/role.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(every_set_there_and_back) {
    for (unsigned roles = 0; roles < 1U << ROLE_COUNT; roles++) {
        char text[ROLES_TEXT_SIZE];
        unsigned back = ~0U;
        roles_format(roles, ' ', text);
        ck_assert(roles_parse(text, strlen(text), ' ', &back));
        ck_assert_uint_eq(back, roles);
    }
    char text[ROLES_TEXT_SIZE];
    roles_format(HTTP_ROLE_USER | HTTP_ROLE_OPERATOR | HTTP_ROLE_AUDITOR | HTTP_ROLE_ADMIN, ',',
                 text);
    ck_assert_str_eq(text, "user,operator,auditor,admin");
}
END_TEST

START_TEST(other_words_are_no_roles) {
    static const char *const texts[] = {"root",       "User",        "users",  "use",
                                        " user",      "user ",       "user  ", "user admin ",
                                        "user,admin", "user  admin", " "};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        unsigned roles = 0;
        ck_assert_msg(!roles_parse(texts[i], strlen(texts[i]), ' ', &roles), "'%s'", texts[i]);
    }
    ck_assert_uint_eq(role_parse("admin", 5), HTTP_ROLE_ADMIN);
    ck_assert_uint_eq(role_parse("admin", 4), 0);
    ck_assert_uint_eq(role_parse("", 0), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("role");
    TCase *tests = tcase_create("role");
    tcase_add_test(tests, every_set_there_and_back);
    tcase_add_test(tests, other_words_are_no_roles);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
