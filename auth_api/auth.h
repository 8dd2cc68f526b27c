/*
 * auth: what auth_api has beside the service kit: its settings, the process' pool of hashing
 * threads, and the state of a thread (database connections, metrics).
 */
#ifndef PACIOLI_AUTH_API_AUTH_H
#define PACIOLI_AUTH_API_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth_api/attempt.h"
#include "auth_api/blocklist.h"
#include "auth_api/forgetting.h"
#include "auth_api/password.h"
#include "auth_api/published.h"
#include "auth_api/revocations.h"
#include "service_kit/audit.h"
#include "service_kit/db.h"
#include "service_kit/loop.h"
#include "service_kit/metrics.h"
#include "service_kit/service.h"
#include "service_kit/token.h"
#include "service_kit/uuid.h"
#include "service_kit/workers.h"

struct auth_metrics {
    metrics_id hashing, hash_duration, hash_refused, hash_expired;
    metrics_id queries_waiting, connections_ready;
};

/* The process: read-only once the threads run. */
struct auth {
    struct service_config service; /* first: the service kit fills it */
    const char *password_method, *password_pepper_file, *password_blocklist;
    struct password_policy passwords;
    struct blocklist *blocklist;
    int64_t yescrypt_cost;
    int64_t access_token_expire_minutes, bcrypt_cost, hash_queue_max, startup_timeout_ms;
    int64_t login_free_failures, login_wait_max_s, login_failures_max;
    int64_t login_known_free_failures, login_known_wait_max_s;
    int64_t login_address_burst, login_address_per_minute, login_all_burst, login_all_per_minute;
    char limits[512]; /* these, as the database takes them (attempt.c) */
    int64_t session_idle_s, session_total_s, sessions_per_user_max, refresh_grace_s;
    int64_t session_kept_s, forget_interval_s;
    uint8_t refresh_key[32];
    const char *keys_dir, *feed_secret;
    struct token_policy tokens;
    struct published *published;
    struct token_revocations *revocations; /* the service kit's */
    struct workers *workers;
    struct auth_metrics metrics;
};
extern const struct config_setting AUTH_SETTINGS[];
extern const size_t AUTH_SETTING_COUNT;

struct auth_thread {
    const struct auth *auth;
    struct loop *loop;
    size_t number;
    struct metrics *metrics;
    struct db_pool *pool;
    struct db_schema *schema;
    struct uuid_generator uuids;
    struct loop_timer gauges;
    struct loop_timer keys; /* of the one thread that looks whether they have changed */
    struct revocations_follower revocations; /* of the one thread that follows them */
    struct forgetting forgetting;
    struct audit_budget denials; /* refused authorisations in the trail */
    size_t hashing;              /* jobs with the workers */
    size_t queries;              /* statements whose result has not come */
};

/* The hooks of struct service. */
bool auth_start(struct service *service, char *error, size_t error_size);
void auth_stop(struct service *service);
void *auth_thread_start(struct service_thread *service_thread);
bool auth_thread_ready(void *state, const char **reason);
bool auth_thread_idle(void *state);
void auth_thread_stop(void *state);

/* Answers of 503 that ask the client to try again. */
void auth_reply_later(struct http_request *request, const struct problem_kind *kind);
/* The database takes no more statements, or is not there. */
void auth_reply_busy(struct http_request *request);

/* The routes of the service, and their handlers. */
extern const struct http_route AUTH_ROUTES[];
extern const size_t AUTH_ROUTE_COUNT;
void users_create(struct http_request *request);
void users_me(struct http_request *request);
void login_create(struct http_request *request);
void admin_users_list(struct http_request *request);
void admin_user_show(struct http_request *request);
void admin_user_set_roles(struct http_request *request);
void admin_user_disable(struct http_request *request);
void admin_user_enable(struct http_request *request);
void admin_user_unlock(struct http_request *request);
void client_create(struct http_request *request);
void clients_list(struct http_request *request);
void client_disable(struct http_request *request);
void client_token(struct http_request *request);
void audit_show(struct http_request *request);
/* The service's on_denied. */
void audit_denied(struct http_request *request);
void session_refresh(struct http_request *request);
void session_logout(struct http_request *request);
void sessions_list(struct http_request *request);
void sessions_end(struct http_request *request);
void password_change(struct http_request *request);
void keys_show(struct http_request *request);
void revocations_show(struct http_request *request);

#endif
