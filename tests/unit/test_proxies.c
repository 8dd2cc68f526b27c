/* proxies: lists of networks, and whom a request came from. */
#include "service_kit/proxies.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(lists) {
    static const struct {
        const char *text;
        bool good;
        size_t count;
    } rows[] = {
        {"", true, 0},
        {"  ", true, 0},
        {"192.0.2.1", true, 1},
        {"10.0.0.0/8, 2001:db8::/32 ,::1", true, 3},
        {"0.0.0.0/0", true, 1},
        {"10.0.0.0/33", false, 0},
        {"::/129", false, 0},
        {"10.0.0.0/", false, 0},
        {"10.0.0.0/-1", false, 0},
        {"10.0.0.0/8x", false, 0},
        {"10.0.0/8", false, 0},
        {"localhost", false, 0},
        {"10.0.0.0/4294967304", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct proxies proxies;
        ck_assert_msg(proxies_parse(rows[i].text, &proxies) == rows[i].good, "%s", rows[i].text);
        if (rows[i].good) {
            ck_assert_uint_eq(proxies.count, rows[i].count);
        }
    }
}
END_TEST

START_TEST(clients) {
    static const struct {
        const char *peer, *forwarded, *client;
    } rows[] = {
        /* Nobody's word counts but a proxy's. */
        {"192.0.2.9", NULL, "192.0.2.9"},
        {"192.0.2.9", "198.51.100.1", "192.0.2.9"},
        {"10.1.2.3", NULL, "10.1.2.3"},
        {"10.1.2.3", "", "10.1.2.3"},
        {"10.1.2.3", "198.51.100.1", "198.51.100.1"},
        {"::ffff:10.1.2.3", "198.51.100.1", "198.51.100.1"},
        /* What stands left of the first stranger is his own invention. */
        {"10.1.2.3", "203.0.113.5, 198.51.100.1", "198.51.100.1"},
        {"10.1.2.3", "203.0.113.5,\t198.51.100.1 ,10.9.9.9", "198.51.100.1"},
        {"10.1.2.3", "10.0.0.1, 10.0.0.2", "10.0.0.1"},
        {"10.1.2.3", "nonsense", "10.1.2.3"},
        {"10.1.2.3", "198.51.100.1, nonsense", "10.1.2.3"},
        {"10.1.2.3", "198.51.100.1,", "10.1.2.3"},
        {"10.1.2.3", "198.51.100.1:8080", "10.1.2.3"},
        {"2001:db8::1", "2001:DB9::5", "2001:db9::5"},
        {"11.1.2.3", "198.51.100.1", "11.1.2.3"},
    };
    struct proxies proxies;
    ck_assert(proxies_parse("10.0.0.0/8 2001:db8::/33", &proxies));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char client[PROXIES_ADDRESS_MAX];
        size_t length = rows[i].forwarded == NULL ? 0 : strlen(rows[i].forwarded);
        proxies_client(&proxies, rows[i].peer, rows[i].forwarded, length, client);
        ck_assert_msg(strcmp(client, rows[i].client) == 0, "%s by %s: %s", rows[i].peer,
                      rows[i].forwarded, client);
    }
}
END_TEST

START_TEST(networks_of_clients) {
    char network[PROXIES_ADDRESS_MAX];
    proxies_client_network("192.0.2.9", network);
    ck_assert_str_eq(network, "192.0.2.9");
    proxies_client_network("2001:db8:1:2:3:4:5:6", network);
    ck_assert_str_eq(network, "2001:db8:1:2::");
    proxies_client_network("", network);
    ck_assert_str_eq(network, "");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("proxies");
    TCase *tests = tcase_create("proxies");
    tcase_add_test(tests, lists);
    tcase_add_test(tests, clients);
    tcase_add_test(tests, networks_of_clients);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
