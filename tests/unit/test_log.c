/*
 * log: what is written is read back with our own strict JSON parser, line by line.  So an injected
 * newline shows as a line too many, a missing escape as a line that is not JSON, and a lost byte as
 * a text that differs.  The descriptor is a file, or a pipe or socket that the test keeps full.
 */
#include "service_kit/log.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "service_kit/json.h"

static int file_fd = -1;

static void to_file(enum log_level level) {
    char path[] = "/tmp/test_log_XXXXXX";
    file_fd = mkstemp(path);
    ck_assert_int_ge(file_fd, 0);
    (void)unlink(path);
    log_configure("test_service", level, file_fd);
}

/* What the file holds; free() it. */
static char *written(size_t *length) {
    const off_t size = lseek(file_fd, 0, SEEK_END);
    ck_assert_int_ge(size, 0);
    char *text = malloc((size_t)size + 1);
    ck_assert_int_eq(pread(file_fd, text, (size_t)size, 0), size);
    text[size] = '\0';
    *length = (size_t)size;
    return text;
}

/* A line as JSON; the caller frees. Fails when it is no object of the promised form. */
static struct json_document *read_line(const char *line, size_t length) {
    struct json_error error;
    struct json_document *document = json_read(line, length, 100, &error);
    ck_assert_msg(document != NULL, "%s: %s in %.*s", error.place, error.reason, (int)length, line);
    static const char *const first[] = {"time", "service", "level", "event"};
    const struct json_node *member = json_root(document)->first;
    for (size_t i = 0; i < 4; i++) {
        ck_assert_ptr_nonnull(member);
        ck_assert_str_eq(member->key, first[i]);
        member = member->next;
    }
    return document;
}

/* The only line of the file. */
static struct json_document *only_line(void) {
    size_t length = 0;
    char *text = written(&length);
    ck_assert_uint_gt(length, 0);
    const char *newline = strchr(text, '\n');
    ck_assert_ptr_eq(newline, text + length - 1);
    struct json_document *document = read_line(text, length - 1);
    free(text);
    return document;
}

static const struct json_node *member(const struct json_document *document, const char *name) {
    const struct json_node *node = json_member(json_root(document), name);
    ck_assert_msg(node != NULL, "no member %s", name);
    return node;
}

static void expect_member(const struct json_document *document, const char *name,
                          const char *expected) {
    ck_assert_str_eq(member(document, name)->text, expected);
}

/* ---- one line ---- */

START_TEST(line_has_its_members) {
    to_file(LOG_INFO);
    struct log_line line;
    const time_t before = time(NULL);
    log_begin(&line, LOG_INFO, "request");
    log_text(&line, "path", "/wallet/transfer?x", 16);
    log_string(&line, "peer", "127.0.0.1");
    log_string(&line, "nothing", NULL);
    log_integer(&line, "status", 200);
    log_integer(&line, "negative", -120);
    log_integer(&line, "least", INT64_MIN);
    log_integer(&line, "most", INT64_MAX);
    log_integer(&line, "zero", 0);
    log_boolean(&line, "yes", true);
    log_boolean(&line, "no", false);
    log_string(&line, "empty", "");
    log_end(&line);
    log_flush();
    struct json_document *document = only_line();
    expect_member(document, "service", "test_service");
    expect_member(document, "level", "info");
    expect_member(document, "event", "request");
    expect_member(document, "path", "/wallet/transfer");
    expect_member(document, "peer", "127.0.0.1");
    ck_assert_int_eq(member(document, "nothing")->type, JSON_NULL);
    expect_member(document, "status", "200");
    expect_member(document, "negative", "-120");
    expect_member(document, "least", "-9223372036854775808");
    expect_member(document, "most", "9223372036854775807");
    expect_member(document, "zero", "0");
    ck_assert(member(document, "yes")->boolean);
    ck_assert(!member(document, "no")->boolean);
    expect_member(document, "empty", "");
    ck_assert_uint_eq(json_root(document)->count, 15);

    const char *text = member(document, "time")->text;
    struct tm parts = {.tm_isdst = 0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    ck_assert_msg(rest != NULL && strlen(text) == 27, "%s", text);
    ck_assert_uint_eq(strspn(rest + 1, "0123456789"), 6);
    ck_assert(rest[0] == '.' && strcmp(rest + 7, "Z") == 0);
    const time_t then = timegm(&parts);
    ck_assert(then >= before && then <= time(NULL));
    json_free(document);
}
END_TEST

START_TEST(time_goes_on) {
    to_file(LOG_INFO);
    log_message(LOG_INFO, "first", "x", "");
    const struct timespec pause = {.tv_sec = 1, .tv_nsec = 50000000};
    (void)nanosleep(&pause, NULL);
    log_message(LOG_INFO, "second", "x", "");
    log_flush();
    size_t length = 0;
    char *text = written(&length);
    const char *second = strchr(text, '\n') + 1;
    ck_assert_int_lt(strncmp(text, second, 28), 0);
    free(text);
}
END_TEST

START_TEST(levels) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
        to_file((enum log_level)level);
        size_t expected = 0;
        for (int of_line = LOG_DEBUG; of_line <= LOG_ERROR; of_line++) {
            log_message((enum log_level)of_line, "e", "n", "t");
            ck_assert_int_eq(log_enabled((enum log_level)of_line), of_line >= level);
            expected += of_line >= level;
        }
        log_flush();
        size_t length = 0, lines = 0;
        char *text = written(&length);
        for (const char *at = text; *at != '\0'; at = strchr(at, '\n') + 1) {
            struct json_document *document = read_line(at, (size_t)(strchr(at, '\n') - at));
            expect_member(document, "level", names[(size_t)level + lines]);
            json_free(document);
            lines++;
        }
        ck_assert_uint_eq(lines, expected);
        free(text);
        (void)close(file_fd);
        enum log_level parsed = LOG_DEBUG;
        ck_assert(log_level_parse(names[level], &parsed));
        ck_assert_int_eq(parsed, level);
    }
    enum log_level untouched = LOG_WARN;
    ck_assert(log_level_parse("WARN", &untouched));
    ck_assert(!log_level_parse("", &untouched));
    ck_assert(!log_level_parse("warning", &untouched));
    ck_assert(!log_level_parse("warn ", &untouched));
    ck_assert_int_eq(untouched, LOG_WARN);
}
END_TEST

/* ---- what a client can put into a value ---- */

struct injection {
    const char *text;
    size_t length;
    const char *raw; /* as it must stand in the line */
};
#define INJECTION(text, raw)                                                                       \
    { (text), sizeof(text) - 1, (raw) }

static const struct injection injections[] = {
    INJECTION("a\nb", "a\\u000ab"),
    INJECTION("a\r\nb", "a\\u000d\\u000ab"),
    INJECTION("\x1b[31mred", "\\u001b[31mred"),
    INJECTION("a\"b", "a\\\"b"),
    INJECTION("a\\b", "a\\\\b"),
    INJECTION("\\", "\\\\"),
    INJECTION("\",\"level\":\"error", "\\\",\\\"level\\\":\\\"error"),
    INJECTION("\"}\n{\"forged\":\"", "\\\"}\\u000a{\\\"forged\\\":\\\""),
    INJECTION("a\0b", "a\\u0000b"),
    INJECTION("\x7f", "\\u007f"),
    INJECTION("\t\b\f\v", "\\u0009\\u0008\\u000c\\u000b"),
    INJECTION("\xc2\x85", "\\u0085"), /* NEL, a new line to some */
    INJECTION("\xc2\x9b"
              "31m",
              "\\u009b31m"), /* CSI in one character */
    INJECTION("\xc2\xa0", "\xc2\xa0"),
    INJECTION("\xe2\x80\xa8", "\\u2028"),
    INJECTION("\xe2\x80\xa9", "\\u2029"),
    INJECTION("\xe2\x80\xae", "\\u202e"), /* right-to-left override */
    INJECTION("\xe2\x81\xa6", "\\u2066"),
    INJECTION("\xe2\x80\xa7", "\xe2\x80\xa7"),
    INJECTION("\xe2\x80\xaf", "\xe2\x80\xaf"),
    INJECTION("\xef\xbb\xbf", "\\ufeff"),
    INJECTION("%0a %n %s", "%0a %n %s"),
    INJECTION("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
    INJECTION("a\x80"
              "b",
              "a\\ufffdb"),
    INJECTION("\xc0\xaf", "\\ufffd\\ufffd"),
    INJECTION("\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"),
    INJECTION("\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"),
    INJECTION("\xe2\x82", "\\ufffd\\ufffd"),
    INJECTION("\xc3\"", "\\ufffd\\\""), /* a cut character must not eat the quote */
    INJECTION("\xff\xfe", "\\ufffd\\ufffd"),
};
#define INJECTION_COUNT ((int)(sizeof(injections) / sizeof(injections[0])))

START_TEST(value_cannot_break_out) {
    const struct injection *row = &injections[_i];
    to_file(LOG_INFO);
    struct log_line line;
    log_begin(&line, LOG_INFO, "request");
    char *copy = malloc(row->length); /* of its exact size, for the sanitizer */
    memcpy(copy, row->text, row->length);
    log_text(&line, "value", copy, row->length);
    free(copy);
    log_integer(&line, "after", 1);
    log_end(&line);
    log_flush();
    size_t length = 0;
    char *text = written(&length);
    char expected[256];
    (void)snprintf(expected, sizeof(expected), ",\"value\":\"%s\",\"after\":1}\n", row->raw);
    const char *at = strstr(text, ",\"value\"");
    ck_assert_ptr_nonnull(at);
    ck_assert_str_eq(at, expected);
    ck_assert_ptr_eq(strchr(text, '\n'), text + length - 1);
    free(text);
}
END_TEST

/* Texts of random bytes: one line each, always JSON (but for U+0000, which our parser refuses). */
START_TEST(random_bytes_stay_inside) {
    to_file(LOG_INFO);
    uint64_t state = 42;
    for (int round = 0; round < 3000; round++) {
        char bytes[64];
        for (size_t i = 0; i < sizeof(bytes); i++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407U;
            const unsigned char byte = (unsigned char)(state >> 56);
            bytes[i] = (char)(byte == 0 ? 1 : byte);
        }
        log_message(LOG_INFO, "e", "n", "x");
        struct log_line line;
        log_begin(&line, LOG_INFO, "random");
        log_text(&line, "bytes", bytes, (size_t)(state >> 32) % sizeof(bytes));
        log_end(&line);
    }
    log_flush();
    size_t length = 0, lines = 0;
    char *text = written(&length);
    for (char *at = text; *at != '\0';) {
        char *newline = strchr(at, '\n');
        json_free(read_line(at, (size_t)(newline - at)));
        lines++;
        at = newline + 1;
    }
    ck_assert_uint_eq(lines, 6000);
    free(text);
}
END_TEST

/* ---- bounds ---- */

/* A value of every length and kind of character: the line stays whole, later members survive. */
START_TEST(long_values_are_cut_at_a_character) {
    static const char *const units[] = {
        "x", "\n", "\"", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\x80"};
    for (size_t unit = 0; unit < sizeof(units) / sizeof(units[0]); unit++) {
        const size_t width = strlen(units[unit]);
        for (size_t count = 300; count < 3000; count += count < 2100 ? 97 : 1 + count % 3 * 150) {
            to_file(LOG_INFO);
            char *value = malloc(width * count);
            for (size_t i = 0; i < count; i++) {
                memcpy(value + i * width, units[unit], width);
            }
            struct log_line line;
            log_begin(&line, LOG_INFO, "request");
            log_text(&line, "value", value, width * count);
            log_integer(&line, "status", 431);
            log_end(&line);
            log_flush();
            struct json_document *document = only_line();
            const struct json_node *node = member(document, "value");
            expect_member(document, "status", "431");
            const bool cut = json_member(json_root(document), "truncated") != NULL;
            if (!cut && *units[unit] != '\x80') {
                ck_assert_uint_eq(node->length, width * count);
            }
            if (*units[unit] != '\x80') {
                ck_assert_uint_eq(node->length % width, 0);
                ck_assert_mem_eq(node->text, value, node->length);
            }
            ck_assert_uint_ge(node->length, 300);
            ck_assert_uint_le(node->length, 2048);
            json_free(document);
            free(value);
            (void)close(file_fd);
        }
    }
}
END_TEST

START_TEST(full_lines_stay_json) {
    /* Fill with texts of every length, so that every rest length occurs; then everything else. */
    for (size_t step = 1; step < 120; step++) {
        to_file(LOG_INFO);
        char *value = malloc(step);
        memset(value, 'v', step);
        struct log_line line;
        log_begin(&line, LOG_INFO, "request");
        char name[16];
        for (int i = 0; i < 800; i++) {
            (void)snprintf(name, sizeof(name), "m%d", i);
            log_text(&line, name, value, step);
            (void)snprintf(name, sizeof(name), "i%d", i);
            log_integer(&line, name, i);
            (void)snprintf(name, sizeof(name), "b%d", i);
            log_boolean(&line, name, true);
            (void)snprintf(name, sizeof(name), "n%d", i);
            log_string(&line, name, NULL);
        }
        log_end(&line);
        log_flush();
        size_t length = 0;
        char *text = written(&length);
        ck_assert_uint_le(length, LOG_LINE_MAX);
        ck_assert_uint_gt(length, LOG_LINE_MAX - 40);
        struct json_error error;
        struct json_document *document = json_read(text, length, 2000, &error);
        ck_assert_msg(document != NULL, "%zu: %s %s", step, error.place, error.reason);
        ck_assert(member(document, "truncated")->boolean);
        json_free(document);
        free(text);
        free(value);
        (void)close(file_fd);
    }
}
END_TEST

START_TEST(disabled_lines_take_nothing) {
    to_file(LOG_ERROR);
    struct log_line line;
    log_begin(&line, LOG_WARN, "quiet");
    log_text(&line, "a", "b", 1);
    log_string(&line, "a", NULL);
    log_integer(&line, "a", 1);
    log_boolean(&line, "a", true);
    log_end(&line);
    log_flush();
    size_t length = 1;
    free(written(&length));
    ck_assert_uint_eq(length, 0);
}
END_TEST

/* ---- when lines are written ---- */

static size_t file_length(void) {
    size_t length = 0;
    free(written(&length));
    return length;
}

START_TEST(lines_wait_until_they_are_asked_for_or_matter) {
    to_file(LOG_DEBUG);
    log_message(LOG_DEBUG, "one", "n", "t");
    log_message(LOG_INFO, "two", "n", "t");
    ck_assert_uint_eq(file_length(), 0);
    log_message(LOG_WARN, "three", "n", "t");
    const size_t after_warning = file_length();
    ck_assert_uint_gt(after_warning, 0);
    log_message(LOG_INFO, "four", "n", "t");
    ck_assert_uint_eq(file_length(), after_warning);
    log_message(LOG_ERROR, "five", "n", "t");
    size_t length = 0;
    char *text = written(&length);
    const char *const order[] = {"one", "two", "three", "four", "five"};
    const char *at = text;
    for (size_t i = 0; i < 5; i++) {
        at = strstr(at, order[i]);
        ck_assert_ptr_nonnull(at);
    }
    free(text);
    /* A full buffer is written too: some 64 KiB of lines and not one asked for. */
    for (int i = 0; i < 2000; i++) {
        log_message(LOG_INFO, "filler", "n", "t");
    }
    ck_assert_uint_gt(file_length(), length + 100000);
}
END_TEST

static void *log_and_end(void *argument) {
    (void)argument;
    log_message(LOG_INFO, "from_a_thread", "n", "t");
    return NULL;
}

START_TEST(ending_thread_leaves_its_lines) {
    to_file(LOG_INFO);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, log_and_end, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    struct json_document *document = only_line();
    expect_member(document, "event", "from_a_thread");
    json_free(document);
}
END_TEST

/* ---- a reader that does not read ---- */

/* All that comes out of a descriptor until it is closed or silent; returns the length. */
static size_t drain(int fd, char *text, size_t size) {
    size_t length = 0;
    while (length < size - 1) {
        const ssize_t got = read(fd, text + length, size - 1 - length);
        if (got <= 0) {
            break;
        }
        length += (size_t)got;
    }
    text[length] = '\0';
    return length;
}

/* Every line whole; how many were written and how many are reported as dropped. */
static void count_lines(const char *text, int64_t *lines, int64_t *dropped) {
    *lines = *dropped = 0;
    for (const char *at = text; *at != '\0';) {
        const char *newline = strchr(at, '\n');
        ck_assert_msg(newline != NULL, "a line is cut: %s", at);
        struct json_document *document = read_line(at, (size_t)(newline - at));
        if (strcmp(member(document, "event")->text, "log_lines_dropped") == 0) {
            *dropped += strtoll(member(document, "lines")->text, NULL, 10);
        } else {
            ++*lines;
        }
        json_free(document);
        at = newline + 1;
    }
}

static int64_t now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Row 0: a pipe that blocks, row 1: one that does not, row 2: a socket, row 3: a small socket. */
START_TEST(stuck_reader_costs_lines_and_no_time) {
    int ends[2];
    if (_i < 2) {
        ck_assert_int_eq(pipe(ends), 0);
    } else {
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        const int swapped = ends[0];
        ends[0] = ends[1];
        ends[1] = swapped;
        const int bytes = _i == 2 ? 65536 : 2048;
        ck_assert_int_eq(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
    }
    ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    if (_i % 2 == 1) {
        ck_assert_int_eq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    }
    log_configure("test_service", LOG_INFO, ends[1]);

    const int total = 6000; /* several times what a pipe takes */
    const int64_t start = now_ms();
    for (int i = 0; i < total; i++) {
        /* The warning takes a little of the room; a full buffer then finds some, and not enough. */
        log_message(i == 7 || i > total / 2 ? LOG_WARN : LOG_INFO, "stuck", "padding",
                    "0123456789012345678901234567890123456789012345678901234567890123456789");
    }
    log_flush();
    ck_assert_int_lt(now_ms() - start, 2000); /* once STALL_WAIT_MS, not 3000 times */

    const size_t size = 8U << 20;
    char *text = malloc(size);
    size_t length = drain(ends[0], text, size);
    for (int i = 0; i < 4; i++) { /* now it reads again: what is left over comes first */
        log_message(LOG_WARN, "again", "n", "t");
        length += drain(ends[0], text + length, size - length);
    }
    int64_t lines = 0, dropped = 0;
    count_lines(text, &lines, &dropped);
    ck_assert_int_gt(dropped, 0);
    ck_assert_int_gt(lines, 4);
    ck_assert_int_eq(lines + dropped, total + 4);
    free(text);
    (void)close(ends[0]);
    (void)close(ends[1]);
}
END_TEST

#define WRITERS 6
#define EACH    2000

static void *write_many(void *argument) {
    const int number = *(const int *)argument;
    for (int i = 0; i < EACH; i++) {
        struct log_line line;
        log_begin(&line, LOG_INFO, "from_many");
        log_integer(&line, "writer", number);
        log_integer(&line, "n", i);
        log_end(&line);
        if (i % 50 == 0) {
            log_flush();
        }
    }
    return NULL;
}

struct reader {
    int fd;
    char *text;
    size_t size, length;
};

static void *read_all(void *argument) {
    struct reader *reader = argument;
    reader->length = drain(reader->fd, reader->text, reader->size);
    return NULL;
}

START_TEST(threads_do_not_tear_each_others_lines) {
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    log_configure("test_service", LOG_INFO, ends[1]);
    struct reader reader = {.fd = ends[0], .size = 8U << 20};
    reader.text = malloc(reader.size);
    pthread_t reading, writers[WRITERS];
    int numbers[WRITERS];
    ck_assert_int_eq(pthread_create(&reading, NULL, read_all, &reader), 0);
    for (int i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&writers[i], NULL, write_many, &numbers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        ck_assert_int_eq(pthread_join(writers[i], NULL), 0);
    }
    log_message(LOG_WARN, "end", "n", "t"); /* brings along a report, if lines were dropped */
    (void)close(ends[1]);
    ck_assert_int_eq(pthread_join(reading, NULL), 0);
    (void)close(ends[0]);

    int64_t next[WRITERS] = {0};
    int64_t lines = 0, dropped = 0;
    count_lines(reader.text, &lines, &dropped);
    ck_assert_int_eq(lines + dropped, WRITERS * EACH + 1);
    for (const char *at = reader.text; *at != '\0'; at = strchr(at, '\n') + 1) {
        struct json_document *document = read_line(at, (size_t)(strchr(at, '\n') - at));
        if (strcmp(member(document, "event")->text, "from_many") == 0) {
            const int64_t writer = strtoll(member(document, "writer")->text, NULL, 10);
            const int64_t n = strtoll(member(document, "n")->text, NULL, 10);
            if (n < next[writer]) {
                ck_abort_msg("line %d of writer %d came late", (int)n, (int)writer);
            }
            next[writer] = n + 1;
        }
        json_free(document);
    }
    free(reader.text);
}
END_TEST

/* A disk that fills up in the middle of a line, and has room again. */
START_TEST(half_a_line_is_completed_later) {
    (void)signal(SIGXFSZ, SIG_IGN);
    for (rlim_t room = 1000; room < 1400; room += 13) {
        to_file(LOG_INFO);
        struct rlimit limit;
        ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
        const rlim_t before = limit.rlim_cur;
        limit.rlim_cur = room;
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        for (int i = 0; i < 40; i++) {
            log_message(LOG_INFO, "disk", "padding", "0123456789");
        }
        log_flush();
        log_message(LOG_WARN, "still_full", "n", "t");
        limit.rlim_cur = before;
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        log_message(LOG_WARN, "room_again", "n", "t");
        size_t length = 0;
        char *text = written(&length);
        int64_t lines = 0, dropped = 0;
        count_lines(text, &lines, &dropped);
        ck_assert_int_gt(dropped, 20);
        ck_assert_int_eq(lines + dropped, 42);
        ck_assert_ptr_nonnull(strstr(text, "room_again"));
        free(text);
        (void)close(file_fd);
    }
}
END_TEST

START_TEST(broken_descriptor_is_survived) {
    log_configure("test_service", LOG_INFO, 1000); /* not open */
    for (int i = 0; i < 3000; i++) {
        log_message(LOG_INFO, "lost", "n", "t");
    }
    log_flush();
    to_file(LOG_INFO);
    log_message(LOG_WARN, "found", "n", "t");
    size_t length = 0;
    char *text = written(&length);
    int64_t lines = 0, dropped = 0;
    count_lines(text, &lines, &dropped);
    ck_assert_int_eq(lines, 1);
    ck_assert_int_eq(dropped, 3000);
    free(text);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("log");
    TCase *lines = tcase_create("lines");
    tcase_set_timeout(lines, 60);
    tcase_add_test(lines, line_has_its_members);
    tcase_add_test(lines, time_goes_on);
    tcase_add_test(lines, levels);
    tcase_add_loop_test(lines, value_cannot_break_out, 0, INJECTION_COUNT);
    tcase_add_test(lines, random_bytes_stay_inside);
    tcase_add_test(lines, long_values_are_cut_at_a_character);
    tcase_add_test(lines, full_lines_stay_json);
    tcase_add_test(lines, disabled_lines_take_nothing);
    suite_add_tcase(suite, lines);
    TCase *writing = tcase_create("writing");
    tcase_set_timeout(writing, 60);
    tcase_add_test(writing, lines_wait_until_they_are_asked_for_or_matter);
    tcase_add_test(writing, ending_thread_leaves_its_lines);
    tcase_add_loop_test(writing, stuck_reader_costs_lines_and_no_time, 0, 4);
    tcase_add_test(writing, threads_do_not_tear_each_others_lines);
    tcase_add_test(writing, half_a_line_is_completed_later);
    tcase_add_test(writing, broken_descriptor_is_survived);
    suite_add_tcase(suite, writing);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
