/*
 * auth: settings, the checks before the service listens, and what a thread has.
 *
 * Event-loop threads share nothing but the pool of hashing threads, which is the process'.  A
 * thread ends only when all of its jobs and statements have come back (auth_thread_idle).
 */
#include "auth_api/auth.h"

#include <assert.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth_api/attempt.h"
#include "auth_api/password.h"
#include "auth_api/session.h"
#include "auth_api/store.h"
#include "service_kit/audit.h"
#include "service_kit/db_check.h"
#include "service_kit/db_schema.h"
#include "service_kit/log.h"
#include "service_kit/memory.h"
#include "service_kit/token_revocations.h"

#define GAUGES_INTERVAL_US     1000000
#define KEYS_INTERVAL_US       100000
#define REVOCATIONS_STALE_S    10
#define HASH_NICE              10
#define PEPPER_FILE_MAX        4096
#define HASH_THREADS_MAX       2
#define BCRYPT_COST_WARN_BELOW 10
#define CONNECTIONS            2 /* per thread */
#define QUERIES_PER_CONNECTION 16
#define QUERY_QUEUE_MAX        256
#define EXPIRE_MINUTES_MAX     525600 /* a year */
#define RETRY_AFTER_S          1
#define MINIMUM_TEXT_(number)  #number
#define MINIMUM_TEXT(number)   MINIMUM_TEXT_(number)

static_assert(offsetof(struct auth, service) == 0, "the service kit casts to service_config");

const struct config_setting AUTH_SETTINGS[] = {
    SERVICE_SETTINGS("auth_db", "8001"),
    {.name = "ACCESS_TOKEN_EXPIRE_MINUTES",
     .type = CONFIG_INTEGER,
     .default_value = "60",
     .minimum = 1,
     .maximum = EXPIRE_MINUTES_MAX,
     .help = "how long an access token is valid",
     .offset = offsetof(struct auth, access_token_expire_minutes)},
    {.name = "SESSION_IDLE_S",
     .type = CONFIG_INTEGER,
     .default_value = "1209600",
     .minimum = 1,
     .maximum = 31536000,
     .help = "seconds without a refresh after which a session is over",
     .offset = offsetof(struct auth, session_idle_s)},
    {.name = "SESSION_TOTAL_S",
     .type = CONFIG_INTEGER,
     .default_value = "2592000",
     .minimum = 1,
     .maximum = 31536000,
     .help = "seconds after which a session is over, however much it is used",
     .offset = offsetof(struct auth, session_total_s)},
    {.name = "SESSIONS_PER_USER_MAX",
     .type = CONFIG_INTEGER,
     .default_value = "10",
     .minimum = 1,
     .maximum = 1000,
     .help = "sessions of one user at once; a login beyond it ends the oldest",
     .offset = offsetof(struct auth, sessions_per_user_max)},
    {.name = "REFRESH_GRACE_S",
     .type = CONFIG_INTEGER,
     .default_value = "10",
     .minimum = 0,
     .maximum = 60,
     .help = "seconds in which a refresh whose answer was lost may be repeated",
     .offset = offsetof(struct auth, refresh_grace_s)},
    {.name = "SESSION_KEPT_S",
     .type = CONFIG_INTEGER,
     .default_value = "2592000",
     .minimum = 0,
     .maximum = 31536000,
     .help = "seconds for which a session that is over is still known",
     .offset = offsetof(struct auth, session_kept_s)},
    {.name = "FORGET_INTERVAL_S",
     .type = CONFIG_INTEGER,
     .default_value = "30",
     .minimum = 1,
     .maximum = 3600,
     .help = "seconds between two looks for what need not be kept",
     .offset = offsetof(struct auth, forget_interval_s)},
    {.name = "BCRYPT_COST",
     .type = CONFIG_INTEGER,
     .default_value = "12",
     .minimum = PASSWORD_COST_MIN,
     .maximum = PASSWORD_COST_MAX,
     .help = "work of a password hash, 2^cost; below " MINIMUM_TEXT(
         BCRYPT_COST_WARN_BELOW) " for tests only",
     .offset = offsetof(struct auth, bcrypt_cost)},
    {.name = "PASSWORD_METHOD",
     .type = CONFIG_CHOICE,
     .default_value = "bcrypt",
     .choices = "bcrypt|yescrypt",
     .help = "how new passwords are hashed; others are hashed anew when their users log in",
     .offset = offsetof(struct auth, password_method)},
    {.name = "YESCRYPT_COST",
     .type = CONFIG_INTEGER,
     .default_value = "7",
     .minimum = PASSWORD_YESCRYPT_COST_MIN,
     .maximum = PASSWORD_YESCRYPT_COST_MAX,
     .help = "work and memory of a hash by yescrypt: 7 takes 64 MiB, each step doubles",
     .offset = offsetof(struct auth, yescrypt_cost)},
    {.name = "PASSWORD_PEPPER_FILE",
     .type = CONFIG_TEXT,
     .default_value = "",
     .help = "file with peppers, a name and base64 a line, today's first (empty: none)",
     .offset = offsetof(struct auth, password_pepper_file)},
    {.name = "PASSWORD_BLOCKLIST",
     .type = CONFIG_TEXT,
     .default_value = "",
     .help = "file with common passwords (empty: ../share/passwords/common.txt; none)",
     .offset = offsetof(struct auth, password_blocklist)},
    {.name = "HASH_QUEUE_MAX",
     .type = CONFIG_INTEGER,
     .default_value = "64",
     .minimum = 1,
     .maximum = 10000,
     .help = "password hashes that may wait for a thread; beyond it the answer is 503",
     .offset = offsetof(struct auth, hash_queue_max)},
    {.name = "LOGIN_FREE_FAILURES",
     .type = CONFIG_INTEGER,
     .default_value = "5",
     .minimum = 1,
     .maximum = 1000,
     .help = "wrong passwords for a name before it has to wait",
     .offset = offsetof(struct auth, login_free_failures)},
    {.name = "LOGIN_WAIT_MAX_S",
     .type = CONFIG_INTEGER,
     .default_value = "3600",
     .minimum = 1,
     .maximum = 86400,
     .help = "longest wait of a name; it begins with 1 s and doubles",
     .offset = offsetof(struct auth, login_wait_max_s)},
    {.name = "LOGIN_FAILURES_MAX",
     .type = CONFIG_INTEGER,
     .default_value = "100",
     .minimum = 2,
     .maximum = 1000000,
     .help = "wrong passwords in a row that lock a name until an admin unlocks it",
     .offset = offsetof(struct auth, login_failures_max)},
    {.name = "LOGIN_KNOWN_FREE_FAILURES",
     .type = CONFIG_INTEGER,
     .default_value = "20",
     .minimum = 1,
     .maximum = 1000,
     .help = "the same for a name from an address where it has logged in before",
     .offset = offsetof(struct auth, login_known_free_failures)},
    {.name = "LOGIN_KNOWN_WAIT_MAX_S",
     .type = CONFIG_INTEGER,
     .default_value = "60",
     .minimum = 1,
     .maximum = 86400,
     .help = "longest wait of a name from such an address",
     .offset = offsetof(struct auth, login_known_wait_max_s)},
    {.name = "LOGIN_ADDRESS_BURST",
     .type = CONFIG_INTEGER,
     .default_value = "100",
     .minimum = 1,
     .maximum = 1000000,
     .help = "wrong passwords at once from one address (IPv6: /64)",
     .offset = offsetof(struct auth, login_address_burst)},
    {.name = "LOGIN_ADDRESS_PER_MINUTE",
     .type = CONFIG_INTEGER,
     .default_value = "60",
     .minimum = 1,
     .maximum = 60000000,
     .help = "and then so many a minute",
     .offset = offsetof(struct auth, login_address_per_minute)},
    {.name = "LOGIN_ALL_BURST",
     .type = CONFIG_INTEGER,
     .default_value = "1000",
     .minimum = 1,
     .maximum = 1000000,
     .help = "wrong passwords at once from all addresses that are not known",
     .offset = offsetof(struct auth, login_all_burst)},
    {.name = "LOGIN_ALL_PER_MINUTE",
     .type = CONFIG_INTEGER,
     .default_value = "1200",
     .minimum = 1,
     .maximum = 60000000,
     .help = "and then so many a minute",
     .offset = offsetof(struct auth, login_all_per_minute)},
    {.name = "KEYS_DIR",
     .type = CONFIG_TEXT,
     .default_value = "",
     .help = "folder of the ES256 keys that auth_keys makes (empty: none)",
     .offset = offsetof(struct auth, keys_dir)},
    {.name = "FEED_SECRET",
     .type = CONFIG_TEXT,
     .secret = true,
     .default_value = "",
     .help = "what other services must know to follow revocations (empty: none may)",
     .offset = offsetof(struct auth, feed_secret)},
    {.name = "STARTUP_TIMEOUT_MS",
     .type = CONFIG_INTEGER,
     .default_value = "30000",
     .minimum = 0,
     .maximum = 600000,
     .help = "how long to wait for the database at the start",
     .offset = offsetof(struct auth, startup_timeout_ms)},
};
const size_t AUTH_SETTING_COUNT = sizeof AUTH_SETTINGS / sizeof AUTH_SETTINGS[0];

static void register_metrics(struct auth_metrics *ids, struct metrics *metrics) {
    ids->hashing = metrics_register(metrics, METRICS_GAUGE, "auth_hash_queue",
                                    "Password hashes that wait or are being made.", "");
    ids->hash_duration =
        metrics_register(metrics, METRICS_HISTOGRAM, "auth_hash_duration_seconds",
                         "From a password hash asked for to its result, waiting included.", "");
    ids->hash_refused = metrics_register(metrics, METRICS_COUNTER, "auth_hash_refused_total",
                                         "Requests refused because the queue was full.", "");
    ids->hash_expired =
        metrics_register(metrics, METRICS_COUNTER, "auth_hash_expired_total",
                         "Requests whose deadline passed while they waited for a hash.", "");
    ids->queries_waiting = metrics_register(metrics, METRICS_GAUGE, "auth_db_queue",
                                            "Statements that wait for a connection.", "");
    ids->connections_ready = metrics_register(metrics, METRICS_GAUGE, "auth_db_connections_ready",
                                              "Database connections that are ready.", "");
}

/* ---- the process ---- */

static void db_settings_of(const struct auth *auth, struct db_settings *settings) {
    service_db_settings(&auth->service, "auth_api", "auth", settings);
}

static size_t hash_threads(void) {
    cpu_set_t cores;
    int count = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
    return count < HASH_THREADS_MAX ? 1 : HASH_THREADS_MAX;
}

/* Once before the first user: does it work, and how long does it take? */
static bool try_hashing(const struct password_policy *policy, int64_t *duration_us) {
    static const char password[] = "a password to try";
    char stored[PASSWORD_STORED_SIZE] = "";
    void *scratch = memory_allocate(1, password_scratch_size());
    int64_t begun_us = loop_clock_us();
    bool good = password_hash(password, sizeof password - 1, policy, scratch, stored);
    *duration_us = loop_clock_us() - begun_us;
    free(scratch);
    return good && password_stored_form(stored, strlen(stored)) != PASSWORD_FORM_UNKNOWN;
}

/* A secret: a regular file that nobody else can read. */
static bool read_pepper_file(const char *path, struct password_policy *policy, char *error,
                             size_t error_size) {
    char text[PEPPER_FILE_MAX];
    const char *reason = "it cannot be read";
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && fstat(fd, &status) == 0;
    if (good && (!S_ISREG(status.st_mode) || (status.st_mode & 07077) != 0)) {
        reason = "it must be a file that its owner alone can read";
        good = false;
    }
    ssize_t length = good ? read(fd, text, sizeof text) : -1;
    good = length >= 0 && password_read_peppers(text, (size_t)length, policy, &reason);
    explicit_bzero(text, sizeof text);
    if (fd >= 0) {
        close(fd);
    }
    if (!good) {
        snprintf(error, error_size, "PASSWORD_PEPPER_FILE: %s: %s", path, reason);
    }
    return good;
}

/* How passwords are stored, and which are not. */
static bool prepare_passwords(struct auth *auth, char *error, size_t error_size) {
    bool bcrypt = strcmp(auth->password_method, "bcrypt") == 0;
    auth->passwords.method = bcrypt ? PASSWORD_BCRYPT : PASSWORD_YESCRYPT;
    auth->passwords.cost = (unsigned)(bcrypt ? auth->bcrypt_cost : auth->yescrypt_cost);
    if (bcrypt && auth->bcrypt_cost < BCRYPT_COST_WARN_BELOW) {
        log_message(LOG_WARN, "bcrypt_cost_low", "advice",
                    "BCRYPT_COST below " MINIMUM_TEXT(
                        BCRYPT_COST_WARN_BELOW) " is for tests: such hashes are guessed quickly");
    }
    if (auth->password_pepper_file[0] != '\0' &&
        !read_pepper_file(auth->password_pepper_file, &auth->passwords, error, error_size)) {
        return false;
    }
    auth->blocklist = blocklist_load(auth->password_blocklist, error, error_size);
    return auth->blocklist != NULL;
}

bool auth_start(struct service *service, char *error, size_t error_size) {
    struct auth *auth = service->config;
    if (strcmp(auth->service.jwt_algorithm, "ES256") == 0 && auth->keys_dir[0] == '\0') {
        snprintf(error, error_size, "KEYS_DIR: is required with JWT_ALGORITHM=ES256");
        return false;
    }
    if (auth->feed_secret[0] != '\0' && strlen(auth->feed_secret) < TOKEN_SECRET_MIN) {
        snprintf(error, error_size, "FEED_SECRET: must have at least %d characters",
                 TOKEN_SECRET_MIN);
        return false;
    }
    const struct db_check_rules rules = {.schema = "auth",
                                         .version_min = service->schema_version_min,
                                         .version_max = service->schema_version_max};
    struct db_settings settings;
    db_settings_of(auth, &settings);
    if (!db_check(&settings, &rules, auth->startup_timeout_ms, NULL, error, error_size)) {
        return false;
    }
    int64_t hash_us = 0;
    if (!prepare_passwords(auth, error, error_size)) {
        return false;
    }
    if (!try_hashing(&auth->passwords, &hash_us)) {
        snprintf(error, error_size, "libxcrypt cannot make a hash");
        return false;
    }
    /* Whoever has logged in already goes first.  The first thread gets a little even of a machine
     * that is busy for long, so that logins do not end there; any other waits for a free core. */
    const size_t threads = hash_threads();
    const struct workers_settings hashing = {.threads = threads,
                                             .background = threads - 1,
                                             .queue_max = (size_t)auth->hash_queue_max,
                                             .scratch_size = password_scratch_size(),
                                             .nice = HASH_NICE,
                                             .job_us = hash_us};
    auth->workers = workers_create(&hashing);
    if (auth->workers == NULL) {
        snprintf(error, error_size, "cannot start threads");
        return false;
    }
    auth->published = memory_allocate(1, sizeof *auth->published);
    if (!published_start(auth->published, auth->keys_dir, service->keys, error, error_size)) {
        return false;
    }
    auth->revocations = service->revocations;
    token_revocations_follow(auth->revocations, REVOCATIONS_STALE_S);
    auth->tokens = service_token_policy(service);
    session_derive_key(auth);
    attempt_prepare(auth);
    register_metrics(&auth->metrics, service->metrics);
    return true;
}

void auth_stop(struct service *service) {
    struct auth *auth = service->config;
    workers_stop(auth->workers);
    auth->workers = NULL;
    published_free(auth->published);
    free(auth->published);
    auth->published = NULL;
    blocklist_free(auth->blocklist);
    explicit_bzero(&auth->passwords, sizeof auth->passwords);
}

/* ---- a thread ---- */

static void on_gauges(struct loop_timer *timer) {
    struct auth_thread *thread =
        (struct auth_thread *)(void *)((char *)timer - offsetof(struct auth_thread, gauges));
    const struct auth_metrics *ids = &thread->auth->metrics;
    metrics_set(thread->metrics, thread->number, ids->hashing, (int64_t)thread->hashing);
    metrics_set(thread->metrics, thread->number, ids->queries_waiting,
                (int64_t)db_pool_queued(thread->pool));
    metrics_set(thread->metrics, thread->number, ids->connections_ready,
                (int64_t)db_pool_ready_connections(thread->pool));
    loop_timer_start(thread->loop, timer, GAUGES_INTERVAL_US);
}

static void on_keys(struct loop_timer *timer) {
    struct auth_thread *thread =
        (struct auth_thread *)(void *)((char *)timer - offsetof(struct auth_thread, keys));
    const struct auth *auth = thread->auth;
    if (auth->keys_dir[0] != '\0') {
        published_look(auth->published, auth->keys_dir, auth->tokens.keys);
    }
    loop_timer_start(thread->loop, timer, KEYS_INTERVAL_US);
}

void *auth_thread_start(struct service_thread *service_thread) {
    struct auth_thread *thread = memory_allocate(1, sizeof *thread);
    const struct auth *auth = service_of(service_thread)->config;
    thread->auth = auth;
    thread->loop = service_thread_loop(service_thread);
    thread->number = service_thread_number(service_thread);
    thread->metrics = service_metrics(service_thread);

    struct db_settings db;
    db_settings_of(auth, &db);
    const struct db_pool_settings pool = {.connections = CONNECTIONS,
                                          .in_flight_per_connection = QUERIES_PER_CONNECTION,
                                          .queue_max = QUERY_QUEUE_MAX};
    thread->pool =
        db_pool_create(thread->loop, &db, &pool, STORE_STATEMENTS, STORE_STATEMENT_COUNT);
    thread->schema =
        db_schema_watch(thread->loop, thread->pool, service_of(service_thread)->schema_version_min);
    thread->gauges.on_fire = on_gauges;
    loop_timer_start(thread->loop, &thread->gauges, GAUGES_INTERVAL_US);
    if (thread->number == 0) {
        forgetting_start(&thread->forgetting, thread);
        revocations_follow(&thread->revocations, thread);
        thread->keys.on_fire = on_keys;
        loop_timer_start(thread->loop, &thread->keys, KEYS_INTERVAL_US);
    }
    return thread;
}

bool auth_thread_ready(void *state, const char **reason) {
    const struct auth_thread *thread = state;
    if (!db_pool_ready(thread->pool)) {
        *reason = "database";
        return false;
    }
    if (!token_revocations_usable(thread->auth->revocations, loop_clock_us())) {
        *reason = "revocations";
        return false;
    }
    if (!db_schema_expected(thread->schema)) {
        *reason = "schema";
        return false;
    }
    return true;
}

bool auth_thread_idle(void *state) {
    const struct auth_thread *thread = state;
    return thread->hashing == 0 && thread->queries == 0;
}

void auth_thread_stop(void *state) {
    struct auth_thread *thread = state;
    assert(auth_thread_idle(thread));
    loop_timer_stop(thread->loop, &thread->gauges);
    forgetting_stop(&thread->forgetting);
    loop_timer_stop(thread->loop, &thread->keys);
    revocations_stop(&thread->revocations);
    db_schema_stop(thread->schema);
    db_pool_close(thread->pool);
    free(thread);
}

/* ---- GET /audit ---- */

void audit_show(struct http_request *request) {
    struct auth_thread *thread = http_thread_state(request);
    audit_list(request, thread->pool, &thread->queries, NULL);
}

/* ---- refused authorisations ---- */

static void on_denied(struct store_query *query, enum store_end end, const PGresult *rows) {
    (void)rows;
    if (end != STORE_DONE) {
        log_message(LOG_WARN, "audit_failed", "event", "authz_fail");
    }
    free(query);
}

/* The line is no part of the answer, which does not wait for it. */
void audit_denied(struct http_request *request) {
    struct auth_thread *thread = http_thread_state(request);
    if (!audit_spend(&thread->denials)) {
        return;
    }
    char subject[AUDIT_SUBJECT_SIZE];
    audit_route(request, subject);
    struct store_query *query = memory_allocate(1, sizeof *query);
    query->on_end = on_denied;
    query->statement = "denied";
    struct store_params params = {.count = 0};
    store_add_bytes(&params, http_principal(request), UUID_SIZE);
    store_add_text(&params, subject);
    store_add_text(&params, audit_origin(request));
    if (!store_query(thread, query, &params)) {
        log_message(LOG_WARN, "audit_failed", "event", "authz_fail");
        free(query);
    }
}

/* ---- answers ---- */

void auth_reply_later(struct http_request *request, const struct problem_kind *kind) {
    http_reply_problem(request, &(struct problem){.kind = kind, .retry_after_s = RETRY_AFTER_S});
}

void auth_reply_busy(struct http_request *request) {
    const struct auth_thread *thread = http_thread_state(request);
    auth_reply_later(request,
                     db_pool_ready(thread->pool) ? &PROBLEM_OVERLOADED : &PROBLEM_UNAVAILABLE);
}
