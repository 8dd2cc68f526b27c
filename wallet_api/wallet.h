/*
 * wallet: what wallet_api has beside the service kit: its settings, and the state of a thread
 * (posting connection, reading connections, metrics).
 */
#ifndef PACIOLI_WALLET_API_WALLET_H
#define PACIOLI_WALLET_API_WALLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger_core/journal/journal.h"
#include "ledger_core/journal/reader.h"
#include "service_kit/audit.h"
#include "service_kit/db.h"
#include "service_kit/loop.h"
#include "service_kit/metrics.h"
#include "service_kit/service.h"
#include "service_kit/uuid.h"

/* How a command can end: a decided outcome, or one of the four ways without one. */
enum wallet_end {
    WALLET_END_UNAVAILABLE = POSTING_OUTCOME_COUNT,
    WALLET_END_UNKNOWN,
    WALLET_END_FAILED,
    WALLET_END_OVERLOADED,
    WALLET_END_COUNT
};
#define WALLET_KIND_COUNT 3

struct wallet_metrics {
    metrics_id commands[WALLET_KIND_COUNT][WALLET_END_COUNT];
    metrics_id batches, posted, express, express_lost, retries, splits, lost, resolved;
    metrics_id queued_commands, queued_reads;
    metrics_id posting_connections, reading_connections, reporting_connections;
    metrics_id feed_age, feed_failures, revocations;
};

/* Most statements that the reading connections prepare. */
#define WALLET_STATEMENTS_MAX  64
#define REPORTS_STATEMENTS_MAX 32

/* The process: read-only once the threads run. */
struct wallet {
    struct service_config service; /* first: the service kit fills it */
    const char *ledger_name, *default_currency;
    int64_t accounts_per_owner_max, queue_max, batch_max, read_connections, report_connections;
    int64_t startup_timeout_ms;
    const char *jwks_url, *revocations_url, *feed_secret;
    int64_t feed_interval_ms, revocations_stale_max_s;
    struct token_feed *feed;               /* NULL: tokens are judged by the shared secret alone */
    struct token_revocations *revocations; /* the service kit's */
    int32_t ledger_id;
    struct wallet_metrics metrics;
    struct db_statement statements[WALLET_STATEMENTS_MAX]; /* of the reading connections */
    size_t statement_count;
    struct db_statement report_statements[REPORTS_STATEMENTS_MAX];
    size_t report_statement_count;
};
extern const struct config_setting WALLET_SETTINGS[];
extern const size_t WALLET_SETTING_COUNT;

struct wallet_thread {
    const struct wallet *wallet;
    struct loop *loop;
    size_t number;
    struct metrics *metrics;
    struct journal *journal;
    struct reader reader;
    struct db_pool *reports;
    bool reports_seen; /* its connections have been ready once */
    struct db_schema *schema;
    struct uuid_generator uuids;
    size_t controls;             /* operators' and auditors' statements in flight */
    struct audit_budget denials; /* refused authorisations in the trail */
    struct loop_timer gauges;
    struct journal_counters counted; /* already in the metrics */
};

/* The hooks of struct service. */
bool wallet_start(struct service *service, char *error, size_t error_size);
void wallet_stop(struct service *service);
void *wallet_thread_start(struct service_thread *service_thread);
bool wallet_thread_ready(void *state, const char **reason);
bool wallet_thread_idle(void *state);
void wallet_thread_stop(void *state);

/* Counts a command that has ended, and logs one that the database refused. */
void wallet_count(const struct wallet_thread *thread, const struct journal_command *command);
/* Counts a command that was not queued. */
void wallet_count_overloaded(const struct wallet_thread *thread, enum posting_kind kind);

/* What a connection for reports prepares (reports.c); returns how many. */
size_t reports_statements(struct db_statement statements[static REPORTS_STATEMENTS_MAX]);

/* The routes of the service. */
extern const struct http_route WALLET_ROUTES[];
extern const size_t WALLET_ROUTE_COUNT;

#endif
