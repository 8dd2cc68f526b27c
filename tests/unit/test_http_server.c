/*
 * http_server: a server with a few handlers in this thread, a client on raw sockets in another.
 * Checked is what only the two together show: pipelining, requests that are held, deadlines,
 * clients that leave, answers of libh2o's own, draining.
 */
#include "service_kit/http_server.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "service_kit/log.h"
#include "service_kit/loop.h"

#define REQUEST_TIMEOUT_MS 300
#define RECEIVE_TIMEOUT_MS 500
#define CONNECTIONS_MAX    8
#define BODY_MAX           2000

#define HOST  "Host: test\r\n"
#define PLAIN "GET /plain HTTP/1.1\r\n" HOST "\r\n"

static struct loop *loop;
static struct http_thread *server_thread;
static uint16_t port;
static _Atomic int late_answers;   /* that found the request answered or gone */
static _Atomic int intact_readers; /* that found their request's data unchanged at the end */

/* ---- handlers ---- */

static void handle_plain(struct http_request *request) {
    http_reply_bytes(request, 200, "text/plain; charset=utf-8", "plain", 5);
}

static void handle_echo(struct http_request *request) {
    struct json_writer *writer = json_writer_create(4096);
    const struct json_node *text = json_member(http_json(request), "text");
    json_write_object_begin(writer);
    json_write_member(writer, "text", text != NULL ? text->text : NULL);
    json_write_object_end(writer);
    http_reply(request, 201, writer);
}

struct later {
    struct loop_timer timer;
    struct http_request *request;
};

static bool text_is(struct http_text text, const char *expected) {
    return text.length == strlen(expected) && memcmp(text.base, expected, text.length) == 0;
}

static void on_later(struct loop_timer *timer) {
    struct later *later = (struct later *)timer;
    struct http_request *request = later->request;
    size_t count = 0;
    if (!http_request_waiting(request))
        atomic_fetch_add(&late_answers, 1);
    if (text_is(http_parameter(request, "id"), "a b") &&
        text_is(http_header(request, "x-mark", &count), "mark") && count == 1 &&
        strcmp(http_request_id(request), "given-id") == 0)
        atomic_fetch_add(&intact_readers, 1);
    http_reply_bytes(request, 200, "text/plain; charset=utf-8", "later", 5);
    http_request_release(request);
}

/* Answers after ?ms=. */
static void handle_later(struct http_request *request) {
    struct http_text ms;
    if (!http_query(request, "ms", &ms))
        return;
    struct later *later = http_alloc(request, sizeof(*later));
    later->timer.on_fire = on_later;
    later->request = request;
    http_request_hold(request);
    loop_timer_start(loop, &later->timer, strtol(ms.base, NULL, 10) * 1000);
}

static void on_own_deadline(void *owner) {
    struct http_request *request = owner;
    http_reply_bytes(request, 504, "text/plain; charset=utf-8", "mine", 4);
    http_request_release(request);
}

static void handle_own_deadline(struct http_request *request) {
    http_request_hold(request);
    http_on_deadline(request, on_own_deadline, request);
}

static void handle_forgotten(struct http_request *request) {
    (void)request;
}

static void handle_headers(struct http_request *request) {
    http_set_header(request, "X-Good", "good");
    http_set_header(request, "X-Split", "a\r\nX-Injected: b");
    http_reply_bytes(request, 200, "text/plain; charset=utf-8", "", 0);
}

static const struct http_route routes[] = {
    {.method = HTTP_GET, .pattern = "/plain", .handle = handle_plain},
    {.method = HTTP_GET, .pattern = "/mine", .access = HTTP_BEARER, .handle = handle_plain},
    {.method = HTTP_POST,
     .pattern = "/mine",
     .access = HTTP_BEARER,
     .body = HTTP_BODY_JSON,
     .handle = handle_echo},
    {.method = HTTP_POST,
     .pattern = "/staff",
     .access = HTTP_BEARER,
     .roles = HTTP_ROLE_OPERATOR | HTTP_ROLE_ADMIN,
     .body = HTTP_BODY_JSON,
     .handle = handle_echo},
    {.method = HTTP_POST, .pattern = "/echo", .body = HTTP_BODY_JSON, .handle = handle_echo},
    {.method = HTTP_POST,
     .pattern = "/small",
     .body = HTTP_BODY_JSON,
     .body_max_bytes = 100,
     .handle = handle_echo},
    {.method = HTTP_GET, .pattern = "/later/{id}", .handle = handle_later},
    {.method = HTTP_GET, .pattern = "/deadline", .handle = handle_own_deadline},
    {.method = HTTP_GET, .pattern = "/forgotten", .handle = handle_forgotten},
    {.method = HTTP_GET, .pattern = "/headers", .handle = handle_headers},
};
#define ROUTES (sizeof(routes) / sizeof(routes[0]))

/* ---- the client ---- */

#define ANSWER_MAX 65536
struct answer {
    char bytes[ANSWER_MAX];
    size_t length;
    bool closed, reset;
};

static int client_connect(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 5};
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    return fd;
}

static void client_send(int fd, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        ck_assert_int_gt(sent, 0);
        bytes += sent;
        length -= (size_t)sent;
    }
}

static size_t count_of(const struct answer *answer, const char *text) {
    size_t count = 0;
    for (const char *at = answer->bytes; (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

/* Reads until `count` answers' ends were seen (each body here ends with `end`), or the close. */
static void client_read(int fd, struct answer *answer, const char *end, size_t count) {
    memset(answer, 0, sizeof(*answer));
    while (answer->length < ANSWER_MAX - 1 && (end == NULL || count_of(answer, end) < count)) {
        ssize_t got = recv(fd, answer->bytes + answer->length, ANSWER_MAX - 1 - answer->length, 0);
        answer->closed = got == 0;
        answer->reset = got < 0;
        if (got <= 0)
            return;
        answer->length += (size_t)got;
    }
}

/* One connection: sends, reads to the close. */
static void exchange(const char *bytes, size_t length, struct answer *answer) {
    int fd = client_connect();
    client_send(fd, bytes, length);
    client_read(fd, answer, NULL, 0);
    close(fd);
}

static void pause_ms(long ms) {
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static struct answer answer; /* of the client's thread */

static void expect_statuses(int count, ...) {
    va_list statuses;
    va_start(statuses, count);
    const char *at = answer.bytes;
    for (int i = 0; i < count; i++) {
        at = strstr(at, "HTTP/1.1 ");
        ck_assert_msg(at != NULL, "answer %d is missing in: %s", i, answer.bytes);
        ck_assert_int_eq((int)strtol(at + 9, NULL, 10), va_arg(statuses, int));
        at += 9;
    }
    va_end(statuses);
    ck_assert_msg(strstr(at, "HTTP/1.1 ") == NULL, "more than %d answers: %s", count, answer.bytes);
}

/* ---- running both ---- */

static void (*client)(void);
static bool client_done;

static void on_client_done(struct loop_message *message) {
    (void)message;
    client_done = true;
    http_thread_drain(server_thread);
}

static void *client_main(void *argument) {
    client();
    loop_post(loop, argument);
    return NULL;
}

static int bind_listener(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, length), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    port = ntohs(address.sin_port);
    return fd;
}

static const struct token_policy policy = {.secret = "0123456789abcdef0123456789abcdef",
                                           .secret_length = 32,
                                           .issuer = "",
                                           .audience = ""};

static void run(void (*run_client)(void)) {
    log_configure("test", LOG_ERROR, STDERR_FILENO);
    const struct http_route *table[ROUTES];
    for (size_t i = 0; i < ROUTES; i++)
        table[i] = &routes[i];
    struct metrics *metrics = metrics_create(1);
    struct http_server *server = http_server_create(&(struct http_server_settings){
        .realm = "test",
        .policy = policy,
        .routes = table,
        .route_count = ROUTES,
        .body_max_bytes = BODY_MAX,
        .connections_max = CONNECTIONS_MAX,
        .request_timeout_ms = REQUEST_TIMEOUT_MS,
        .receive_timeout_ms = RECEIVE_TIMEOUT_MS,
        .metrics = metrics,
    });
    loop = loop_create();
    server_thread = http_thread_create(server, loop, 0, bind_listener(), NULL, NULL);
    http_thread_listen(server_thread);

    client = run_client;
    struct loop_message done = {.on_message = on_client_done};
    pthread_t handle;
    ck_assert_int_eq(pthread_create(&handle, NULL, client_main, &done), 0);
    while (!client_done || http_thread_connections(server_thread) > 0 ||
           http_thread_requests(server_thread) > 0)
        loop_run_once(loop);
    pthread_join(handle, NULL);
    http_thread_free(server_thread);
    loop_destroy(loop);
    http_server_free(server);
    size_t length = 0;
    char *text = metrics_text(metrics, &length);
    ck_assert_ptr_nonnull(strstr(text, "http_in_flight 0\n"));
    ck_assert_ptr_nonnull(strstr(text, "http_connections 0\n"));
    free(text);
    metrics_free(metrics);
}

#define SERVED(name)                                                                               \
    static void client_of_##name(void);                                                            \
    START_TEST(name) {                                                                             \
        run(client_of_##name);                                                                     \
    }                                                                                              \
    END_TEST                                                                                       \
    static void client_of_##name(void)

#define EXCHANGE(text) exchange(text, sizeof(text) - 1, &answer)

/* ---- tests ---- */

SERVED(pipelined) {
    EXCHANGE(PLAIN "POST /echo HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
                   "Content-Length: 12\r\n\r\n{\"text\":\"a\"}" PLAIN "GET /plain HTTP/1.1\r\n" HOST
                   "Connection: close\r\n\r\n" PLAIN);
    expect_statuses(4, 200, 201, 200, 200);
    ck_assert(answer.closed);
}

SERVED(pipelined_bad_one_ends_the_connection) {
    EXCHANGE(PLAIN "GET /plain HTTP/1.1\r\n\r\n" PLAIN);
    expect_statuses(2, 200, 400);
    ck_assert(answer.closed);
    EXCHANGE(PLAIN "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\nContent-Length: 60\r\n\r\n"
                   "GET /plain HTTP/1.1\r\n" HOST "\r\n");
    expect_statuses(2, 200, 400);
    EXCHANGE("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
             "0_2e\r\n\r\n" PLAIN);
    expect_statuses(1, 411);
    ck_assert_ptr_nonnull(strstr(answer.bytes, "Connection: close"));
}

SERVED(answers_of_libh2o_are_problems) {
    static const char *const requests[] = {
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2001\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: magic\r\n\r\nabcde",
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: abc\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    };
    static const int statuses[] = {413, 417, 400, 400, 400};
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        exchange(requests[i], strlen(requests[i]), &answer);
        expect_statuses(1, statuses[i]);
        ck_assert(answer.closed);
        ck_assert_ptr_nonnull(strstr(answer.bytes, "content-type: application/problem+json"));
        ck_assert_ptr_nonnull(strstr(answer.bytes, "\"detail\":"));
        ck_assert_ptr_nonnull(strstr(answer.bytes, "x-request-id: "));
        ck_assert_ptr_nonnull(strstr(answer.bytes, "x-content-type-options: nosniff"));
        ck_assert_ptr_null(strstr(answer.bytes, "Server:"));
    }
}

/* Without the lingering close the answer is lost to a reset. */
SERVED(a_client_that_still_sends_gets_its_answer) {
    enum { SIZE = 1 << 20 };
    static char body[SIZE];
    memset(body, 'a', sizeof(body));
    int fd = client_connect();
    char head[128];
    int length = snprintf(head, sizeof(head),
                          "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n", SIZE);
    client_send(fd, head, (size_t)length);
    pause_ms(100); /* the answer is on its way */
    client_send(fd, body, sizeof(body));
    client_read(fd, &answer, NULL, 0);
    close(fd);
    expect_statuses(1, 413);
    ck_assert(answer.closed && !answer.reset);
}

SERVED(http_2_is_off) {
    EXCHANGE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    expect_statuses(1, 400);
    EXCHANGE("GET /plain HTTP/1.1\r\n" HOST "Connection: Upgrade, HTTP2-Settings, close\r\n"
             "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n");
    expect_statuses(1, 200);
}

SERVED(head_has_no_body) {
    EXCHANGE("HEAD /plain HTTP/1.1\r\n" HOST "\r\n"
             "GET /plain HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    expect_statuses(2, 200, 200);
    ck_assert_uint_eq(count_of(&answer, "Content-Length: 5\r\n"), 2);
    ck_assert_uint_eq(count_of(&answer, "\r\n\r\nplain"), 1);
}

SERVED(sizes_per_route) {
    char request[512], body[128];
    memset(body, ' ', sizeof(body));
    body[0] = '{';
    for (int size = 100; size <= 101; size++) {
        body[size - 1] = '}';
        int length = snprintf(request, sizeof(request),
                              "POST /small HTTP/1.1\r\n" HOST "Connection: close\r\n"
                              "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%.*s",
                              size, size, body);
        exchange(request, (size_t)length, &answer);
        expect_statuses(1, size == 100 ? 201 : 413);
        body[size - 1] = ' ';
    }
}

SERVED(order_of_checks) {
    /* A body that is wrong in every way, on a path that wants a token. */
#define WRONG "Content-Type: text/plain\r\nContent-Length: 1\r\nConnection: close\r\n\r\n{"
    EXCHANGE("PUT /mine HTTP/1.1\r\n" HOST WRONG);
    expect_statuses(1, 405);
    ck_assert_ptr_nonnull(strstr(answer.bytes, "allow: GET, HEAD, POST\r\n"));
    EXCHANGE("POST /nowhere HTTP/1.1\r\n" HOST WRONG);
    expect_statuses(1, 404);
    EXCHANGE("POST /mine HTTP/1.1\r\n" HOST WRONG);
    expect_statuses(1, 401);
    ck_assert_ptr_nonnull(strstr(answer.bytes, "www-authenticate: Bearer realm=\"test\"\r\n"));
    EXCHANGE("POST /mine?access_token=a HTTP/1.1\r\n" HOST "Authorization: Bearer a\r\n" WRONG);
    expect_statuses(1, 401);
    ck_assert_ptr_nonnull(strstr(
        answer.bytes,
        "error=\"invalid_token\", error_description=\"The access token is not valid.\"\r\n"));
    EXCHANGE("POST /mine HTTP/1.1\r\n" HOST "Authorization: Bearer a b\r\n" WRONG);
    expect_statuses(1, 400);
    ck_assert_ptr_nonnull(
        strstr(answer.bytes, "error=\"invalid_request\", error_description=\"One Authorization"));
    EXCHANGE("POST /echo HTTP/1.1\r\n" HOST WRONG);
    expect_statuses(1, 415);
}

SERVED(good_token) {
    static const uint8_t subject[16] = {7};
    const struct token_grant grant = {.subject = subject, .roles = HTTP_ROLE_USER};
    char *token = token_issue(&policy, &grant, (int64_t)time(NULL), 60);
    char request[1024];
    int length = snprintf(request, sizeof(request),
                          "GET /mine HTTP/1.1\r\n" HOST "authorization: bearer %s\r\n"
                          "Connection: close\r\n\r\n",
                          token);
    free(token);
    exchange(request, (size_t)length, &answer);
    expect_statuses(1, 200);
}

/* The role is asked for before the body is looked at. */
SERVED(roles_of_a_route) {
    static const uint8_t subject[16] = {7};
    static const struct {
        unsigned roles;
        int status;
    } rows[] = {{0, 403},
                {HTTP_ROLE_USER, 403},
                {HTTP_ROLE_USER | HTTP_ROLE_AUDITOR, 403},
                {HTTP_ROLE_OPERATOR, 415},
                {HTTP_ROLE_USER | HTTP_ROLE_ADMIN, 415}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct token_grant grant = {.subject = subject, .roles = rows[i].roles};
        char *token = token_issue(&policy, &grant, (int64_t)time(NULL), 60);
        char request[1024];
        int length =
            snprintf(request, sizeof(request),
                     "POST /staff HTTP/1.1\r\n" HOST "authorization: Bearer %s\r\n" WRONG, token);
        free(token);
        exchange(request, (size_t)length, &answer);
        expect_statuses(1, rows[i].status);
        bool told = strstr(answer.bytes,
                           "www-authenticate: Bearer realm=\"test\", error=\"insufficient_scope\","
                           " error_description=\"The access token has none of the roles that this"
                           " call is for.\", scope=\"operator admin\"\r\n") != NULL;
        ck_assert_int_eq(told, rows[i].status == 403);
    }
}

SERVED(request_ids) {
    EXCHANGE("GET /plain HTTP/1.1\r\n" HOST "X-Request-Id: mine.1\r\n\r\n"
             "GET /plain HTTP/1.1\r\n" HOST "X-Request-Id: a b\r\nConnection: close\r\n\r\n");
    expect_statuses(2, 200, 200);
    ck_assert_uint_eq(count_of(&answer, "x-request-id: mine.1\r\n"), 1);
    ck_assert_uint_eq(count_of(&answer, "x-request-id: "), 2);
    ck_assert_uint_eq(count_of(&answer, "a b"), 0);
}

SERVED(a_header_cannot_be_split) {
    EXCHANGE("GET /headers HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    expect_statuses(1, 200);
    ck_assert_ptr_nonnull(strstr(answer.bytes, "x-good: good\r\n"));
    ck_assert_ptr_null(strstr(answer.bytes, "Injected"));
}

#define LATER(ms)                                                                                  \
    "GET /later/a%20b?ms=" #ms " HTTP/1.1\r\n" HOST "X-Mark: mark\r\nX-Request-Id: given-id\r\n"

SERVED(held_requests_are_answered_in_order) {
    EXCHANGE(LATER(50) "\r\n" LATER(10) "\r\n" LATER(0) "Connection: close\r\n\r\n");
    expect_statuses(3, 200, 200, 200);
    ck_assert_int_eq(atomic_load(&late_answers), 0);
    ck_assert_int_eq(atomic_load(&intact_readers), 3);
}

SERVED(the_deadline_answers) {
    EXCHANGE(LATER(600) "Connection: close\r\n\r\n");
    expect_statuses(1, 503);
    ck_assert_ptr_nonnull(strstr(answer.bytes, "urn:pacioli:problem:deadline"));
    ck_assert_ptr_nonnull(strstr(answer.bytes, "retry-after: 1\r\n"));
    pause_ms(500); /* the late answer comes to nothing, and may still read its request */
    ck_assert_int_eq(atomic_load(&late_answers), 1);
    ck_assert_int_eq(atomic_load(&intact_readers), 1);
}

SERVED(an_own_deadline_answers) {
    EXCHANGE("GET /deadline HTTP/1.1\r\n" HOST "\r\n"
             "GET /plain HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    expect_statuses(2, 504, 200);
    ck_assert_ptr_nonnull(strstr(answer.bytes, "\r\n\r\nmine"));
}

SERVED(a_forgotten_request_is_answered) {
    EXCHANGE("GET /forgotten HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    expect_statuses(1, 500);
    ck_assert_ptr_nonnull(strstr(answer.bytes, "\"request_id\":"));
}

/* The work goes on without its client, and what it reads stays valid. */
SERVED(a_client_that_leaves) {
    for (int i = 0; i < 5; i++) {
        int fd = client_connect();
        client_send(fd, LATER(100) "\r\n", sizeof(LATER(100) "\r\n") - 1);
        pause_ms(20);
        struct linger reset = {.l_onoff = 1};
        if (i % 2 == 0)
            ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
        close(fd);
    }
    pause_ms(300);
    ck_assert_int_eq(atomic_load(&intact_readers), 5);
}

SERVED(silence_is_ended) {
    int idle = client_connect();
    int dripping = client_connect();
    client_send(dripping, "GET /plain HT", 13);
    client_read(idle, &answer, NULL, 0);
    ck_assert(answer.closed && answer.length == 0);
    client_read(dripping, &answer, NULL, 0);
    ck_assert(answer.closed && answer.length == 0);
    close(idle);
    close(dripping);
}

SERVED(connections_beyond_the_limit_wait) {
    int idle[CONNECTIONS_MAX];
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        idle[i] = client_connect();
        client_send(idle[i], PLAIN, sizeof(PLAIN) - 1);
        client_read(idle[i], &answer, "plain", 2); /* the content type has one, too */
        expect_statuses(1, 200);
    }
    int waiting = client_connect();
    client_send(waiting, PLAIN, sizeof(PLAIN) - 1);
    pause_ms(100);
    char byte;
    ck_assert_int_lt(recv(waiting, &byte, 1, MSG_DONTWAIT), 0);
    close(idle[3]);
    client_read(waiting, &answer, "plain", 2);
    expect_statuses(1, 200);
    close(waiting);
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (i != 3)
            close(idle[i]);
}

static void on_drain_now(struct loop_message *message) {
    (void)message;
    http_thread_drain(server_thread);
}

SERVED(draining) {
    static struct loop_message drain = {.on_message = on_drain_now};
    int idle = client_connect();
    int active = client_connect(); /* sends its request just after the drain began */
    int busy = client_connect();
    client_send(busy, LATER(200) "\r\n", sizeof(LATER(200) "\r\n") - 1);
    pause_ms(50);
    int64_t begun_us = loop_clock_us();
    loop_post(loop, &drain);
    pause_ms(50);
    client_send(active, PLAIN PLAIN, sizeof(PLAIN PLAIN) - 1);
    client_read(active, &answer, NULL, 0);
    expect_statuses(1, 200);
    ck_assert(answer.closed);
    client_read(idle, &answer, NULL, 0);
    ck_assert(answer.closed && answer.length == 0);
    /* Before libh2o's own timeout for a request that does not come. */
    ck_assert_int_lt(loop_clock_us() - begun_us, 800000);
    client_read(busy, &answer, NULL, 0);
    expect_statuses(1, 200);
    ck_assert(answer.closed);
    ck_assert_ptr_nonnull(strstr(answer.bytes, "Connection: close"));
    close(idle);
    close(active);
    close(busy);
}

int main(void) {
    Suite *suite = suite_create("http_server");
    TCase *tests = tcase_create("http_server");
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, pipelined);
    tcase_add_test(tests, pipelined_bad_one_ends_the_connection);
    tcase_add_test(tests, answers_of_libh2o_are_problems);
    tcase_add_test(tests, a_client_that_still_sends_gets_its_answer);
    tcase_add_test(tests, http_2_is_off);
    tcase_add_test(tests, head_has_no_body);
    tcase_add_test(tests, sizes_per_route);
    tcase_add_test(tests, order_of_checks);
    tcase_add_test(tests, good_token);
    tcase_add_test(tests, roles_of_a_route);
    tcase_add_test(tests, request_ids);
    tcase_add_test(tests, a_header_cannot_be_split);
    tcase_add_test(tests, held_requests_are_answered_in_order);
    tcase_add_test(tests, the_deadline_answers);
    tcase_add_test(tests, an_own_deadline_answers);
    tcase_add_test(tests, a_forgotten_request_is_answered);
    tcase_add_test(tests, a_client_that_leaves);
    tcase_add_test(tests, silence_is_ended);
    tcase_add_test(tests, connections_beyond_the_limit_wait);
    tcase_add_test(tests, draining);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
