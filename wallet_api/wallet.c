/*
 * wallet: settings, the checks before the service listens, and what a thread has.
 *
 * A thread shares nothing with the others: it has one posting connection (the journal's) and a few
 * for reading.  Gauges, and counters that the journal keeps by itself, are brought to the metrics
 * by a timer.
 */
#include "wallet_api/wallet.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_core/engine/asset.h"
#include "ledger_core/journal/check.h"
#include "ledger_core/journal/control.h"
#include "service_kit/db_check.h"
#include "service_kit/db_schema.h"
#include "service_kit/log.h"
#include "service_kit/loop.h"
#include "service_kit/memory.h"
#include "service_kit/token_feed.h"
#include "service_kit/token_revocations.h"
#include "wallet_api/operation.h"

#define GAUGES_INTERVAL_US     1000000
#define READS_PER_CONNECTION   16
#define READ_QUEUE_MAX         1024
#define REPORT_QUEUE_MAX       16
#define CURRENCY_CHECK_WAIT_MS 5000
#define QUERY_TIMEOUT_MS       5000

static_assert(offsetof(struct wallet, service) == 0, "the service kit casts to service_config");

const struct config_setting WALLET_SETTINGS[] = {
    SERVICE_SETTINGS("wallet_db", "8002"),
    {.name = "LEDGER_NAME",
     .type = CONFIG_TEXT,
     .default_value = "main",
     .minimum = 1,
     .maximum = 63,
     .help = "the ledger (tenant) that this service serves",
     .offset = offsetof(struct wallet, ledger_name)},
    {.name = "DEFAULT_CURRENCY",
     .type = CONFIG_TEXT,
     .default_value = "RUB",
     .minimum = 2,
     .maximum = ASSET_CODE_MAX,
     .help = "currency of an account that is opened without one",
     .offset = offsetof(struct wallet, default_currency)},
    {.name = "ACCOUNTS_PER_OWNER_MAX",
     .type = CONFIG_INTEGER,
     .default_value = "1000",
     .minimum = 1,
     .maximum = READER_ACCOUNTS_MAX,
     .help = "accounts that one user may open",
     .offset = offsetof(struct wallet, accounts_per_owner_max)},
    {.name = "POSTING_QUEUE_MAX",
     .type = CONFIG_INTEGER,
     .default_value = "4096",
     .minimum = JOURNAL_BATCH_MAX,
     .maximum = 1000000,
     .help = "money operations of one thread that may wait; beyond it the answer is 503",
     .offset = offsetof(struct wallet, queue_max)},
    {.name = "POSTING_BATCH_MAX",
     .type = CONFIG_INTEGER,
     .default_value = "1000",
     .minimum = 1,
     .maximum = JOURNAL_BATCH_MAX,
     .help = "money operations that are committed together, at most",
     .offset = offsetof(struct wallet, batch_max)},
    {.name = "READ_CONNECTIONS",
     .type = CONFIG_INTEGER,
     .default_value = "2",
     .minimum = 1,
     .maximum = 64,
     .help = "database connections of one thread for reading",
     .offset = offsetof(struct wallet, read_connections)},
    {.name = "REPORT_CONNECTIONS",
     .type = CONFIG_INTEGER,
     .default_value = "1",
     .minimum = 1,
     .maximum = 16,
     .help = "database connections of one thread for reports",
     .offset = offsetof(struct wallet, report_connections)},
    {.name = "AUTH_JWKS_URL",
     .type = CONFIG_TEXT,
     .default_value = "",
     .maximum = 1024,
     .help = "where auth_api publishes its keys (empty: JWT_SECRET is the only key)",
     .offset = offsetof(struct wallet, jwks_url)},
    {.name = "AUTH_REVOCATIONS_URL",
     .type = CONFIG_TEXT,
     .default_value = "",
     .maximum = 1024,
     .help = "where auth_api tells which sessions have ended (empty: not followed)",
     .offset = offsetof(struct wallet, revocations_url)},
    {.name = "FEED_SECRET",
     .type = CONFIG_TEXT,
     .secret = true,
     .default_value = "",
     .help = "what auth_api asks for before it tells that",
     .offset = offsetof(struct wallet, feed_secret)},
    {.name = "FEED_INTERVAL_MS",
     .type = CONFIG_INTEGER,
     .default_value = "250",
     .minimum = 10,
     .maximum = 60000,
     .help = "how often auth_api is asked",
     .offset = offsetof(struct wallet, feed_interval_ms)},
    {.name = "REVOCATIONS_STALE_MAX_S",
     .type = CONFIG_INTEGER,
     .default_value = "60",
     .minimum = 0,
     .maximum = 31536000,
     .help = "after so long without auth_api every token is answered with 503 (0: never)",
     .offset = offsetof(struct wallet, revocations_stale_max_s)},
    {.name = "STARTUP_TIMEOUT_MS",
     .type = CONFIG_INTEGER,
     .default_value = "30000",
     .minimum = 0,
     .maximum = 600000,
     .help = "how long to wait for the database at the start",
     .offset = offsetof(struct wallet, startup_timeout_ms)},
};
const size_t WALLET_SETTING_COUNT = sizeof WALLET_SETTINGS / sizeof WALLET_SETTINGS[0];

/* ---- metrics ---- */

static const char *end_name(size_t end) {
    static const char *const names[] = {
        [WALLET_END_UNAVAILABLE - POSTING_OUTCOME_COUNT] = "unavailable",
        [WALLET_END_UNKNOWN - POSTING_OUTCOME_COUNT] = "outcome_unknown",
        [WALLET_END_FAILED - POSTING_OUTCOME_COUNT] = "failed",
        [WALLET_END_OVERLOADED - POSTING_OUTCOME_COUNT] = "overloaded",
    };
    return end < POSTING_OUTCOME_COUNT ? posting_outcome_name((enum posting_outcome)end)
                                       : names[end - POSTING_OUTCOME_COUNT];
}

static size_t end_of(const struct journal_command *command) {
    switch (command->end) {
    case JOURNAL_DECIDED:
        return (size_t)command->outcome;
    case JOURNAL_UNAVAILABLE:
        return WALLET_END_UNAVAILABLE;
    case JOURNAL_UNKNOWN:
        return WALLET_END_UNKNOWN;
    case JOURNAL_FAILED:
        break;
    }
    return WALLET_END_FAILED;
}

static void register_metrics(struct wallet_metrics *ids, struct metrics *metrics) {
    for (size_t kind = 0; kind < WALLET_KIND_COUNT; kind++) {
        for (size_t end = POSTING_PENDING + 1; end < WALLET_END_COUNT; end++) {
            char labels[96];
            snprintf(labels, sizeof labels, "kind=\"%s\",outcome=\"%s\"",
                     operation_kind_name((enum posting_kind)kind), end_name(end));
            ids->commands[kind][end] =
                metrics_register(metrics, METRICS_COUNTER, "wallet_commands_total",
                                 "Money operations by kind and outcome.", labels);
        }
    }
    ids->batches = metrics_register(metrics, METRICS_COUNTER, "wallet_posting_batches_total",
                                    "Batches taken to the database.", "");
    ids->posted = metrics_register(metrics, METRICS_COUNTER, "wallet_posting_commands_total",
                                   "Commands in those batches.", "");
    ids->retries = metrics_register(metrics, METRICS_COUNTER, "wallet_posting_retries_total",
                                    "Attempts of a batch after the first.", "");
    ids->express = metrics_register(metrics, METRICS_COUNTER, "wallet_posting_express_total",
                                    "Batches posted in one pipeline, on remembered snapshots.", "");
    ids->express_lost =
        metrics_register(metrics, METRICS_COUNTER, "wallet_posting_express_lost_total",
                         "Such batches that another writer or a used key stopped.", "");
    ids->splits = metrics_register(metrics, METRICS_COUNTER, "wallet_posting_splits_total",
                                   "Batches halved to find a command that failed.", "");
    ids->lost = metrics_register(metrics, METRICS_COUNTER, "wallet_posting_lost_total",
                                 "Connections lost under a batch.", "");
    ids->resolved = metrics_register(metrics, METRICS_COUNTER, "wallet_posting_resolved_total",
                                     "Commands found posted after their COMMIT was lost.", "");
    ids->queued_commands = metrics_register(metrics, METRICS_GAUGE, "wallet_posting_queue",
                                            "Commands that wait for a batch.", "");
    ids->queued_reads = metrics_register(metrics, METRICS_GAUGE, "wallet_read_queue",
                                         "Reads that wait for a connection.", "");
    static const char family[] = "wallet_db_connections_ready";
    static const char help[] = "Database connections that are ready.";
    ids->posting_connections =
        metrics_register(metrics, METRICS_GAUGE, family, help, "use=\"posting\"");
    ids->reading_connections =
        metrics_register(metrics, METRICS_GAUGE, family, help, "use=\"reading\"");
    ids->reporting_connections =
        metrics_register(metrics, METRICS_GAUGE, family, help, "use=\"reports\"");
    ids->feed_age = metrics_register(metrics, METRICS_GAUGE, "wallet_revocations_age_milliseconds",
                                     "Since the ended sessions were last known for sure; -1: not "
                                     "followed, or not yet.",
                                     "");
    ids->feed_failures = metrics_register(metrics, METRICS_GAUGE, "wallet_feed_failures",
                                          "Times that auth_api could not be asked.", "");
    ids->revocations = metrics_register(metrics, METRICS_GAUGE, "wallet_revocations",
                                        "Ended sessions whose tokens have not expired.", "");
}

static void log_refused(const struct journal_command *command) {
    char account[UUID_TEXT_LENGTH + 1];
    struct log_line line;
    uuid_format(command->own_account.bytes, account);
    log_begin(&line, LOG_ERROR, "command_failed");
    log_string(&line, "kind", operation_kind_name(command->kind));
    log_string(&line, "account", account);
    log_string(&line, "sqlstate", command->sqlstate);
    log_end(&line);
}

void wallet_count(const struct wallet_thread *thread, const struct journal_command *command) {
    const struct wallet_metrics *ids = &thread->wallet->metrics;
    if (command->end == JOURNAL_FAILED) {
        log_refused(command);
    }
    metrics_add(thread->metrics, thread->number, ids->commands[command->kind][end_of(command)], 1);
}

void wallet_count_overloaded(const struct wallet_thread *thread, enum posting_kind kind) {
    const struct wallet_metrics *ids = &thread->wallet->metrics;
    metrics_add(thread->metrics, thread->number, ids->commands[kind][WALLET_END_OVERLOADED], 1);
}

/* The journal counts by itself; what is new since the last time goes to the metrics. */
static void count_since(const struct wallet_thread *thread, metrics_id id, uint64_t now,
                        uint64_t *counted) {
    metrics_add(thread->metrics, thread->number, id, (int64_t)(now - *counted));
    *counted = now;
}

static void show_gauges(struct wallet_thread *thread) {
    const struct wallet_metrics *ids = &thread->wallet->metrics;
    const struct journal_counters *counters = journal_counters(thread->journal);
    struct journal_counters *counted = &thread->counted;
    count_since(thread, ids->batches, counters->batches, &counted->batches);
    count_since(thread, ids->posted, counters->commands, &counted->commands);
    count_since(thread, ids->retries, counters->retries, &counted->retries);
    count_since(thread, ids->express, counters->express, &counted->express);
    count_since(thread, ids->express_lost, counters->express_lost, &counted->express_lost);
    count_since(thread, ids->splits, counters->splits, &counted->splits);
    count_since(thread, ids->lost, counters->lost, &counted->lost);
    count_since(thread, ids->resolved, counters->resolved, &counted->resolved);

    const size_t number = thread->number;
    metrics_set(thread->metrics, number, ids->queued_commands,
                (int64_t)journal_queued(thread->journal));
    metrics_set(thread->metrics, number, ids->queued_reads,
                (int64_t)db_pool_queued(thread->reader.pool));
    metrics_set(thread->metrics, number, ids->posting_connections,
                journal_ready(thread->journal) ? 1 : 0);
    metrics_set(thread->metrics, number, ids->reading_connections,
                (int64_t)db_pool_ready_connections(thread->reader.pool));
    metrics_set(thread->metrics, number, ids->reporting_connections,
                (int64_t)db_pool_ready_connections(thread->reports));
}

/* What the process knows; one thread shows it. */
static void show_feed(const struct wallet_thread *thread) {
    const struct wallet *wallet = thread->wallet;
    const struct wallet_metrics *ids = &wallet->metrics;
    const int64_t age_us = token_revocations_age_us(wallet->revocations, loop_clock_us());
    metrics_set(thread->metrics, thread->number, ids->feed_age, age_us < 0 ? -1 : age_us / 1000);
    metrics_set(thread->metrics, thread->number, ids->revocations,
                (int64_t)token_revocations_count(wallet->revocations));
    if (wallet->feed != NULL) {
        metrics_set(thread->metrics, thread->number, ids->feed_failures,
                    (int64_t)token_feed_failures(wallet->feed));
    }
}

static void on_gauges(struct loop_timer *timer) {
    struct wallet_thread *thread =
        (struct wallet_thread *)((char *)timer - offsetof(struct wallet_thread, gauges));
    show_gauges(thread);
    if (thread->number == 0) {
        show_feed(thread);
    }
    loop_timer_start(thread->loop, timer, GAUGES_INTERVAL_US);
}

/* ---- the process ---- */

static void db_settings_of(const struct wallet *wallet, struct db_settings *settings) {
    service_db_settings(&wallet->service, "wallet_api", "ledger", settings);
}

/* An unknown default would be found out by the first client only. */
static bool check_currency(const struct wallet *wallet, const struct db_settings *settings,
                           const struct db_check_rules *rules, char *error, size_t error_size) {
    PGconn *connection = NULL;
    if (!asset_code_valid(wallet->default_currency, strlen(wallet->default_currency))) {
        snprintf(error, error_size, "DEFAULT_CURRENCY: must be a currency code such as RUB");
        return false;
    }
    if (!db_check(settings, rules, CURRENCY_CHECK_WAIT_MS, &connection, error, error_size)) {
        return false;
    }
    const char *const values[] = {wallet->ledger_name, wallet->default_currency};
    PGresult *rows = db_check_query(connection,
                                    "SELECT FROM ledger.asset a JOIN ledger.ledger l"
                                    " ON l.id = a.ledger_id WHERE l.name = $1 AND a.code = $2",
                                    values, 2, QUERY_TIMEOUT_MS, NULL, error, error_size);
    bool known = rows != NULL && PQntuples(rows) == 1;
    if (rows != NULL && !known) {
        snprintf(error, error_size, "DEFAULT_CURRENCY: the ledger has no currency of that code");
    }
    PQclear(rows);
    PQfinish(connection);
    return known;
}

static void add_statements(struct wallet *wallet, const struct db_statement *statements,
                           size_t count) {
    assert(wallet->statement_count + count <= WALLET_STATEMENTS_MAX);
    memcpy(wallet->statements + wallet->statement_count, statements, count * sizeof *statements);
    wallet->statement_count += count;
}

/* What auth_api tells of keys and ended sessions. */
static bool start_feed(struct wallet *wallet, struct service *service, char *error,
                       size_t error_size) {
    const bool keys = wallet->jwks_url[0] != '\0', revocations = wallet->revocations_url[0] != '\0';
    wallet->revocations = service->revocations;
    if (!keys && strcmp(wallet->service.jwt_algorithm, "ES256") == 0) {
        snprintf(error, error_size, "AUTH_JWKS_URL: is required with JWT_ALGORITHM=ES256");
        return false;
    }
    if (revocations && strlen(wallet->feed_secret) < TOKEN_SECRET_MIN) {
        snprintf(error, error_size, "FEED_SECRET: must have at least %d characters",
                 TOKEN_SECRET_MIN);
        return false;
    }
    if (!keys && !revocations) {
        return true;
    }
    if (revocations) {
        token_revocations_follow(service->revocations, wallet->revocations_stale_max_s);
    }
    wallet->feed =
        token_feed_start(&(struct token_feed_settings){.jwks_url = wallet->jwks_url,
                                                       .revocations_url = wallet->revocations_url,
                                                       .secret = wallet->feed_secret,
                                                       .interval_ms = wallet->feed_interval_ms,
                                                       .keys = service->keys,
                                                       .revocations = service->revocations},
                         error, error_size);
    return wallet->feed != NULL;
}

bool wallet_start(struct service *service, char *error, size_t error_size) {
    struct wallet *wallet = service->config;
    const struct db_check_rules rules = {.schema = "ledger",
                                         .version_min = service->schema_version_min,
                                         .version_max = service->schema_version_max};
    struct db_settings settings;
    db_settings_of(wallet, &settings);
    if (!journal_check(&settings, wallet->ledger_name, rules.version_min, rules.version_max,
                       wallet->startup_timeout_ms, &wallet->ledger_id, error, error_size) ||
        !check_currency(wallet, &settings, &rules, error, error_size)) {
        return false;
    }
    add_statements(wallet, READER_STATEMENTS, READER_STATEMENT_COUNT);
    add_statements(wallet, CONTROL_STATEMENTS, CONTROL_STATEMENT_COUNT);
    register_metrics(&wallet->metrics, service->metrics);
    wallet->report_statement_count = reports_statements(wallet->report_statements);
    return start_feed(wallet, service, error, error_size);
}

void wallet_stop(struct service *service) {
    struct wallet *wallet = service->config;
    token_feed_stop(wallet->feed);
    wallet->feed = NULL;
}

/* ---- a thread ---- */

/* Plans are made for the parameters of each call: what is not asked for costs nothing. A report
 * runs on one core at a time: the others are the writers'. */
static struct db_pool *open_reports(const struct wallet_thread *thread, struct db_settings db) {
    const struct wallet *wallet = thread->wallet;
    const struct db_pool_settings settings = {.connections = (size_t)wallet->report_connections,
                                              .in_flight_per_connection = 1,
                                              .queue_max = REPORT_QUEUE_MAX};
    db.application_name = "wallet_api reports";
    db.options = "-c plan_cache_mode=force_custom_plan -c jit=off -c DateStyle=ISO"
                 " -c max_parallel_workers_per_gather=0";
    return db_pool_create(thread->loop, &db, &settings, wallet->report_statements,
                          wallet->report_statement_count);
}

void *wallet_thread_start(struct service_thread *service_thread) {
    struct wallet_thread *thread = memory_allocate(1, sizeof *thread);
    const struct wallet *wallet = service_of(service_thread)->config;
    thread->wallet = wallet;
    thread->loop = service_thread_loop(service_thread);
    thread->number = service_thread_number(service_thread);
    thread->metrics = service_metrics(service_thread);

    struct db_settings db;
    db_settings_of(wallet, &db);
    const struct journal_settings posting = {.ledger_id = wallet->ledger_id,
                                             .queue_max = (size_t)wallet->queue_max,
                                             .batch_max = (size_t)wallet->batch_max,
                                             .thread = thread->number};
    const struct db_pool_settings reading = {.connections = (size_t)wallet->read_connections,
                                             .in_flight_per_connection = READS_PER_CONNECTION,
                                             .queue_max = READ_QUEUE_MAX};
    thread->journal = journal_create(thread->loop, &db, &posting);
    db.options = READER_OPTIONS;
    thread->reader.ledger_id = wallet->ledger_id;
    thread->reader.pool =
        db_pool_create(thread->loop, &db, &reading, wallet->statements, wallet->statement_count);
    thread->reports = open_reports(thread, db);
    thread->schema = db_schema_watch(thread->loop, thread->reader.pool,
                                     service_of(service_thread)->schema_version_min);
    thread->gauges.on_fire = on_gauges;
    loop_timer_start(thread->loop, &thread->gauges, GAUGES_INTERVAL_US);
    return thread;
}

bool wallet_thread_ready(void *state, const char **reason) {
    struct wallet_thread *thread = state;
    /* Reports are waited for at the start; that they are away later stops nothing else. */
    thread->reports_seen = thread->reports_seen || db_pool_ready(thread->reports);
    if (!journal_ready(thread->journal) || !db_pool_ready(thread->reader.pool) ||
        !thread->reports_seen) {
        *reason = "database";
        return false;
    }
    const struct wallet *wallet = thread->wallet;
    if (!token_revocations_usable(wallet->revocations, loop_clock_us())) {
        *reason = "revocations";
        return false;
    }
    if (wallet->jwks_url[0] != '\0' && !token_feed_has_keys(wallet->feed)) {
        *reason = "keys";
        return false;
    }
    if (!db_schema_expected(thread->schema)) {
        *reason = "schema";
        return false;
    }
    return true;
}

bool wallet_thread_idle(void *state) {
    const struct wallet_thread *thread = state;
    return journal_idle(thread->journal) && db_pool_queued(thread->reader.pool) == 0 &&
           thread->controls == 0 && db_pool_queued(thread->reports) == 0;
}

void wallet_thread_stop(void *state) {
    struct wallet_thread *thread = state;
    loop_timer_stop(thread->loop, &thread->gauges);
    journal_close(thread->journal);
    db_schema_stop(thread->schema);
    db_pool_close(thread->reader.pool);
    db_pool_close(thread->reports);
    free(thread);
}
