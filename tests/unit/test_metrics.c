/*
 * metrics: the exact text of a small registry, every bucket's edges, sums over threads that count
 * at the same time as a scrape, and the misuse that is asserted against.
 */
#include "service_kit/metrics.h"

#include <check.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect_text(const struct metrics *metrics, const char *expected) {
    size_t length = 0;
    char *text = metrics_text(metrics, &length);
    ck_assert_str_eq(text, expected);
    ck_assert_uint_eq(length, strlen(expected));
    free(text);
}

START_TEST(text_of_a_small_registry) {
    struct metrics *metrics = metrics_create(2);
    expect_text(metrics, "");
    const metrics_id ok =
        metrics_register(metrics, METRICS_COUNTER, "http_requests_total", "Requests answered",
                         "route=\"/wallet/deposit\",status=\"200\"");
    const metrics_id bad =
        metrics_register(metrics, METRICS_COUNTER, "http_requests_total", "Requests answered",
                         "route=\"/wallet/deposit\",status=\"400\"");
    const metrics_id open = metrics_register(metrics, METRICS_GAUGE, "db_connections",
                                             "Open connections: C:\\pg\nand more", NULL);
    const metrics_id seconds = metrics_register(metrics, METRICS_HISTOGRAM, "http_request_seconds",
                                                "Time to the answer", "route=\"/x\"");
    const metrics_id bare =
        metrics_register(metrics, METRICS_HISTOGRAM, "commit_seconds", "Time of a commit", "");
    metrics_add(metrics, 0, ok, 2);
    metrics_add(metrics, 1, ok, 40);
    metrics_add(metrics, 1, bad, 0);
    metrics_set(metrics, 0, open, 5);
    metrics_set(metrics, 0, open, 3);
    metrics_set(metrics, 1, open, 4);
    metrics_add(metrics, 1, open, -1);
    metrics_observe_us(metrics, 0, seconds, 100);
    metrics_observe_us(metrics, 1, seconds, 101);
    metrics_observe_us(metrics, 1, seconds, 2000000);
    metrics_observe_us(metrics, 0, seconds, 11000000);
    metrics_observe_us(metrics, 0, bare, -5);
    expect_text(metrics, "# HELP http_requests_total Requests answered\n"
                         "# TYPE http_requests_total counter\n"
                         "http_requests_total{route=\"/wallet/deposit\",status=\"200\"} 42\n"
                         "http_requests_total{route=\"/wallet/deposit\",status=\"400\"} 0\n"
                         "# HELP db_connections Open connections: C:\\\\pg\\nand more\n"
                         "# TYPE db_connections gauge\n"
                         "db_connections 6\n"
                         "# HELP http_request_seconds Time to the answer\n"
                         "# TYPE http_request_seconds histogram\n"
                         "http_request_seconds_bucket{route=\"/x\",le=\"0.0001\"} 1\n"
                         "http_request_seconds_bucket{route=\"/x\",le=\"0.00025\"} 2\n"
                         "http_request_seconds_bucket{route=\"/x\",le=\"0.0005\"} 2\n"
                         "http_request_seconds_bucket{route=\"/x\",le=\"0.001\"} 2\n"
                         "http_request_seconds_bucket{route=\"/x\",le=\"0.0025\"} 2\n"
                         "http_request_seconds_bucket{route=\"/x\",le=\"0.005\"} 2\n"
                         "http_request_seconds_bucket{route=\"/x\",le=\"0.01\"} 2\n"
                         "http_request_seconds_bucket{route=\"/x\",le=\"0.025\"} 2\n"
                         "http_request_seconds_bucket{route=\"/x\",le=\"0.05\"} 2\n"
                         "http_request_seconds_bucket{route=\"/x\",le=\"0.1\"} 2\n"
                         "http_request_seconds_bucket{route=\"/x\",le=\"0.25\"} 2\n"
                         "http_request_seconds_bucket{route=\"/x\",le=\"0.5\"} 2\n"
                         "http_request_seconds_bucket{route=\"/x\",le=\"1\"} 2\n"
                         "http_request_seconds_bucket{route=\"/x\",le=\"2.5\"} 3\n"
                         "http_request_seconds_bucket{route=\"/x\",le=\"5\"} 3\n"
                         "http_request_seconds_bucket{route=\"/x\",le=\"10\"} 3\n"
                         "http_request_seconds_bucket{route=\"/x\",le=\"+Inf\"} 4\n"
                         "http_request_seconds_sum{route=\"/x\"} 13.000201\n"
                         "http_request_seconds_count{route=\"/x\"} 4\n"
                         "# HELP commit_seconds Time of a commit\n"
                         "# TYPE commit_seconds histogram\n"
                         "commit_seconds_bucket{le=\"0.0001\"} 1\n"
                         "commit_seconds_bucket{le=\"0.00025\"} 1\n"
                         "commit_seconds_bucket{le=\"0.0005\"} 1\n"
                         "commit_seconds_bucket{le=\"0.001\"} 1\n"
                         "commit_seconds_bucket{le=\"0.0025\"} 1\n"
                         "commit_seconds_bucket{le=\"0.005\"} 1\n"
                         "commit_seconds_bucket{le=\"0.01\"} 1\n"
                         "commit_seconds_bucket{le=\"0.025\"} 1\n"
                         "commit_seconds_bucket{le=\"0.05\"} 1\n"
                         "commit_seconds_bucket{le=\"0.1\"} 1\n"
                         "commit_seconds_bucket{le=\"0.25\"} 1\n"
                         "commit_seconds_bucket{le=\"0.5\"} 1\n"
                         "commit_seconds_bucket{le=\"1\"} 1\n"
                         "commit_seconds_bucket{le=\"2.5\"} 1\n"
                         "commit_seconds_bucket{le=\"5\"} 1\n"
                         "commit_seconds_bucket{le=\"10\"} 1\n"
                         "commit_seconds_bucket{le=\"+Inf\"} 1\n"
                         "commit_seconds_sum 0.000000\n"
                         "commit_seconds_count 1\n");
    metrics_free(metrics);
    metrics_free(NULL);
}
END_TEST

/* The value of the line that begins so. */
static int64_t value_of(const struct metrics *metrics, const char *name) {
    size_t length = 0;
    char *text = metrics_text(metrics, &length);
    char key[128];
    (void)snprintf(key, sizeof(key), "\n%s ", name);
    const char *line = strstr(text, key);
    ck_assert_msg(line != NULL, "no line %s in:\n%s", name, text);
    const int64_t value = strtoll(line + strlen(key), NULL, 10);
    free(text);
    return value;
}

START_TEST(bucket_edges) {
    static const struct {
        int64_t bound_us;
        const char *label;
    } bounds[] = {
        {100, "0.0001"},  {250, "0.00025"}, {500, "0.0005"},  {1000, "0.001"},
        {2500, "0.0025"}, {5000, "0.005"},  {10000, "0.01"},  {25000, "0.025"},
        {50000, "0.05"},  {100000, "0.1"},  {250000, "0.25"}, {500000, "0.5"},
        {1000000, "1"},   {2500000, "2.5"}, {5000000, "5"},   {10000000, "10"},
    };
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        struct metrics *metrics = metrics_create(1);
        const metrics_id id = metrics_register(metrics, METRICS_HISTOGRAM, "h", "", "");
        char name[64];
        (void)snprintf(name, sizeof(name), "h_bucket{le=\"%s\"}", bounds[i].label);
        metrics_observe_us(metrics, 0, id, bounds[i].bound_us);
        ck_assert_int_eq(value_of(metrics, name), 1);
        metrics_observe_us(metrics, 0, id, bounds[i].bound_us + 1);
        ck_assert_int_eq(value_of(metrics, name), 1);
        ck_assert_int_eq(value_of(metrics, "h_bucket{le=\"+Inf\"}"), 2);
        ck_assert_int_eq(value_of(metrics, "h_count"), 2);
        metrics_free(metrics);
    }
}
END_TEST

/* Values that were set before the arrays had to move are still there. */
START_TEST(registering_keeps_values) {
    struct metrics *metrics = metrics_create(3);
    metrics_id ids[500];
    for (size_t i = 0; i < 500; i++) {
        char labels[32];
        (void)snprintf(labels, sizeof(labels), "n=\"%zu\"", i);
        ids[i] = metrics_register(metrics, METRICS_COUNTER, "c", "help", labels);
        metrics_add(metrics, i % 3, ids[i], (int64_t)i);
        metrics_add(metrics, 2, ids[0], 1);
    }
    for (size_t i = 1; i < 500; i += 7) {
        char name[32];
        (void)snprintf(name, sizeof(name), "c{n=\"%zu\"}", i);
        ck_assert_int_eq(value_of(metrics, name), (int64_t)i);
    }
    ck_assert_int_eq(value_of(metrics, "c{n=\"0\"}"), 500);
    metrics_free(metrics);
}
END_TEST

#define THREADS 4
#define ROUNDS  100000

struct counting {
    struct metrics *metrics;
    metrics_id counter, gauge, histogram;
    size_t number;
};
static atomic_bool counted;

static void *count(void *argument) {
    const struct counting *counting = argument;
    for (int64_t i = 0; i < ROUNDS; i++) {
        metrics_add(counting->metrics, counting->number, counting->counter, 1);
        metrics_add(counting->metrics, counting->number, counting->gauge, i % 2 == 0 ? 1 : -1);
        metrics_observe_us(counting->metrics, counting->number, counting->histogram, i % 300);
    }
    return NULL;
}

static void *scrape(void *argument) {
    const struct counting *counting = argument;
    int64_t last = 0;
    while (!atomic_load(&counted)) {
        size_t length = 0;
        char *text = metrics_text(counting->metrics, &length);
        const char *at = strstr(text, "\nc ");
        const int64_t value = at == NULL ? -1 : strtoll(at + 3, NULL, 10);
        /* +Inf and count come from one pass over the buckets and are always the same. */
        const char *all = strstr(text, "le=\"+Inf\"} "), *total = strstr(text, "h_count ");
        if (value < last || all == NULL || total == NULL ||
            strtoll(all + 11, NULL, 10) != strtoll(total + 8, NULL, 10)) {
            abort();
        }
        last = value;
        free(text);
    }
    return NULL;
}

START_TEST(threads_count_together) {
    struct counting counting = {.metrics = metrics_create(THREADS)};
    counting.gauge = metrics_register(counting.metrics, METRICS_GAUGE, "g", "", "");
    counting.counter = metrics_register(counting.metrics, METRICS_COUNTER, "c", "", "");
    counting.histogram = metrics_register(counting.metrics, METRICS_HISTOGRAM, "h", "", "");
    struct counting each[THREADS];
    pthread_t threads[THREADS], scraper;
    for (size_t i = 0; i < THREADS; i++) {
        each[i] = counting;
        each[i].number = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count, &each[i]), 0);
    }
    ck_assert_int_eq(pthread_create(&scraper, NULL, scrape, &counting), 0);
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    atomic_store(&counted, true);
    ck_assert_int_eq(pthread_join(scraper, NULL), 0);
    ck_assert_int_eq(value_of(counting.metrics, "c"), THREADS * ROUNDS);
    ck_assert_int_eq(value_of(counting.metrics, "g"), 0);
    ck_assert_int_eq(value_of(counting.metrics, "h_count"), THREADS * ROUNDS);
    int64_t within = 0;
    for (int64_t i = 0; i < ROUNDS; i++) {
        within += i % 300 <= 100;
    }
    ck_assert_int_eq(value_of(counting.metrics, "h_bucket{le=\"0.0001\"}"), THREADS * within);
    metrics_free(counting.metrics);
}
END_TEST

/* ---- misuse, a row each ---- */

static struct metrics *small;
static metrics_id counter, histogram;

static void no_threads(void) {
    metrics_free(metrics_create(0));
}
static void thread_out_of_range(void) {
    metrics_add(small, 1, counter, 1);
}
static void id_out_of_range(void) {
    metrics_add(small, 0, 99, 1);
}
static void counter_goes_down(void) {
    metrics_add(small, 0, counter, -1);
}
static void counter_is_set(void) {
    metrics_set(small, 0, counter, 1);
}
static void counter_observes(void) {
    metrics_observe_us(small, 0, counter, 1);
}
static void histogram_is_added_to(void) {
    metrics_add(small, 0, histogram, 1);
}
static void bad_name(void) {
    (void)metrics_register(small, METRICS_COUNTER, "a-b", "", "");
}
static void name_with_digit_first(void) {
    (void)metrics_register(small, METRICS_COUNTER, "9a", "", "");
}
static void empty_name(void) {
    (void)metrics_register(small, METRICS_COUNTER, "", "", "");
}
static void series_twice(void) {
    (void)metrics_register(small, METRICS_HISTOGRAM, "h", "help", "");
}
static void family_apart(void) {
    (void)metrics_register(small, METRICS_COUNTER, "c", "help", "a=\"b\"");
}
static void family_of_two_types(void) {
    (void)metrics_register(small, METRICS_COUNTER, "h", "help", "a=\"b\"");
}
static void family_with_two_helps(void) {
    (void)metrics_register(small, METRICS_HISTOGRAM, "h", "other", "a=\"b\"");
}

static void (*const misuses[])(void) = {
    no_threads,          thread_out_of_range,   id_out_of_range, counter_goes_down,
    counter_is_set,      counter_observes,      bad_name,        histogram_is_added_to,
    empty_name,          name_with_digit_first, series_twice,    family_apart,
    family_of_two_types, family_with_two_helps,
};
#define MISUSE_COUNT ((int)(sizeof(misuses) / sizeof(misuses[0])))

START_TEST(misuse_aborts) {
    small = metrics_create(1);
    counter = metrics_register(small, METRICS_COUNTER, "c", "help", "");
    histogram = metrics_register(small, METRICS_HISTOGRAM, "h", "help", "");
    metrics_add(small, 0, counter, 1); /* what is right goes through */
    metrics_observe_us(small, 0, histogram, 1);
    misuses[_i]();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("metrics");
    TCase *core = tcase_create("core");
    tcase_set_timeout(core, 60);
    tcase_add_test(core, text_of_a_small_registry);
    tcase_add_test(core, bucket_edges);
    tcase_add_test(core, registering_keeps_values);
    tcase_add_test(core, threads_count_together);
    suite_add_tcase(suite, core);

    SRunner *runner = srunner_create(suite);
    if (srunner_fork_status(runner) == CK_FORK) {
        TCase *aborts = tcase_create("aborts");
        tcase_add_loop_test_raise_signal(aborts, misuse_aborts, SIGABRT, 0, MISUSE_COUNT);
        suite_add_tcase(suite, aborts);
    }
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
