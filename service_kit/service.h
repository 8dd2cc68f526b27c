/*
 * service: the process around a service: options, configuration, log, threads, listeners, health,
 * metrics, signals, draining.
 *
 * Life: load configuration -> check -> start threads (each: loop, listener with SO_REUSEPORT, the
 * service's own state) -> serve -> SIGTERM or SIGINT: stop accepting, finish what is in flight,
 * at most drain_timeout_ms -> exit 0.
 *
 * /healthz, /readyz, /metrics, /openapi.json and /docs are served for every service.
 */
#ifndef PACIOLI_SERVICE_KIT_SERVICE_H
#define PACIOLI_SERVICE_KIT_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service_kit/config.h"
#include "service_kit/db.h"
#include "service_kit/http.h"
#include "service_kit/metrics.h"
#include "service_kit/token.h"

struct loop;
struct service_thread;

/* Settings that every service has; a service's own struct begins with it. */
struct service_config {
    const char *postgres_user, *postgres_password, *postgres_host, *postgres_port, *postgres_db;
    const char *jwt_secret, *jwt_algorithm, *jwt_issuer, *jwt_audience, *jwt_required_claims;
    const char *bind_address, *log_level, *docs_dir, *openapi_dir;
    const char *trusted_proxies;
    int64_t port, threads, connections_max, request_timeout_ms, drain_timeout_ms;
    int64_t body_max_bytes, schema_version_max;
};

/*
 * The rows of the settings table for `service_config`, for the beginning of a service's own table.
 * `UVICORN_PORT` is the historic name, `PORT` the neutral one.
 */
#define SERVICE_SETTINGS(default_db, default_port)                                                 \
    {.name = "POSTGRES_USER",                                                                      \
     .type = CONFIG_TEXT,                                                                          \
     .default_value = (default_db),                                                                \
     .minimum = 1,                                                                                 \
     .help = "role to connect as (the service's, never the owner)",                                \
     .offset = offsetof(struct service_config, postgres_user)},                                    \
        {.name = "POSTGRES_PASSWORD",                                                              \
         .type = CONFIG_TEXT,                                                                      \
         .secret = true,                                                                           \
         .minimum = 8,                                                                             \
         .help = "its password",                                                                   \
         .offset = offsetof(struct service_config, postgres_password)},                            \
        {.name = "POSTGRES_HOST",                                                                  \
         .type = CONFIG_TEXT,                                                                      \
         .default_value = "localhost",                                                             \
         .minimum = 1,                                                                             \
         .help = "host, address, or the folder of a unix socket",                                  \
         .offset = offsetof(struct service_config, postgres_host)},                                \
        {.name = "POSTGRES_PORT",                                                                  \
         .type = CONFIG_TEXT,                                                                      \
         .default_value = "5432",                                                                  \
         .minimum = 1,                                                                             \
         .help = "port of PostgreSQL",                                                             \
         .offset = offsetof(struct service_config, postgres_port)},                                \
        {.name = "POSTGRES_DB",                                                                    \
         .type = CONFIG_TEXT,                                                                      \
         .default_value = (default_db),                                                            \
         .minimum = 1,                                                                             \
         .help = "database",                                                                       \
         .offset = offsetof(struct service_config, postgres_db)},                                  \
        {.name = "JWT_SECRET",                                                                     \
         .type = CONFIG_TEXT,                                                                      \
         .secret = true,                                                                           \
         .minimum = TOKEN_SECRET_MIN,                                                              \
         .help = "key of the access tokens, the same in all services",                             \
         .offset = offsetof(struct service_config, jwt_secret)},                                   \
        {.name = "JWT_ALGORITHM",                                                                  \
         .type = CONFIG_CHOICE,                                                                    \
         .default_value = "HS256",                                                                 \
         .choices = "HS256|ES256",                                                                 \
         .help = "HS256: JWT_SECRET, and keys that are published; ES256: these alone",             \
         .offset = offsetof(struct service_config, jwt_algorithm)},                                \
        {.name = "JWT_ISSUER",                                                                     \
         .type = CONFIG_TEXT,                                                                      \
         .default_value = "",                                                                      \
         .help = "the iss that a token must have (empty: not asked)",                              \
         .offset = offsetof(struct service_config, jwt_issuer)},                                   \
        {.name = "JWT_AUDIENCE",                                                                   \
         .type = CONFIG_TEXT,                                                                      \
         .default_value = "",                                                                      \
         .help = "the aud that a token must have (empty: not asked)",                              \
         .offset = offsetof(struct service_config, jwt_audience)},                                 \
        {.name = "JWT_REQUIRED_CLAIMS",                                                            \
         .type = CONFIG_TEXT,                                                                      \
         .default_value = "",                                                                      \
         .help = "claims that a token must have beside sub and exp: iat,jti,sid,roles",            \
         .offset = offsetof(struct service_config, jwt_required_claims)},                          \
        {.name = "UVICORN_PORT",                                                                   \
         .alias = "PORT",                                                                          \
         .type = CONFIG_INTEGER,                                                                   \
         .default_value = (default_port),                                                          \
         .minimum = 1,                                                                             \
         .maximum = 65535,                                                                         \
         .help = "port to listen on",                                                              \
         .offset = offsetof(struct service_config, port)},                                         \
        {.name = "BIND_ADDRESS",                                                                   \
         .type = CONFIG_TEXT,                                                                      \
         .default_value = "127.0.0.1",                                                             \
         .minimum = 1,                                                                             \
         .help = "numeric address to listen on",                                                   \
         .offset = offsetof(struct service_config, bind_address)},                                 \
        {.name = "TRUSTED_PROXIES",                                                                \
         .type = CONFIG_TEXT,                                                                      \
         .default_value = "",                                                                      \
         .help = "networks whose X-Forwarded-For is believed (CIDR list; empty: nobody's)",        \
         .offset = offsetof(struct service_config, trusted_proxies)},                              \
        {.name = "THREADS",                                                                        \
         .type = CONFIG_INTEGER,                                                                   \
         .default_value = "1",                                                                     \
         .minimum = 0,                                                                             \
         .maximum = 256,                                                                           \
         .help = "event-loop threads (0: one a core, at most 4)",                                  \
         .offset = offsetof(struct service_config, threads)},                                      \
        {.name = "CONNECTIONS_MAX",                                                                \
         .type = CONFIG_INTEGER,                                                                   \
         .default_value = "4096",                                                                  \
         .minimum = 1,                                                                             \
         .maximum = 1000000,                                                                       \
         .help = "clients at once; more wait to be accepted",                                      \
         .offset = offsetof(struct service_config, connections_max)},                              \
        {.name = "REQUEST_TIMEOUT_MS",                                                             \
         .type = CONFIG_INTEGER,                                                                   \
         .default_value = "5000",                                                                  \
         .minimum = 1,                                                                             \
         .maximum = 600000,                                                                        \
         .help = "deadline of a request",                                                          \
         .offset = offsetof(struct service_config, request_timeout_ms)},                           \
        {.name = "DRAIN_TIMEOUT_MS",                                                               \
         .type = CONFIG_INTEGER,                                                                   \
         .default_value = "8000",                                                                  \
         .minimum = 0,                                                                             \
         .maximum = 600000,                                                                        \
         .help = "how long to finish requests after SIGTERM",                                      \
         .offset = offsetof(struct service_config, drain_timeout_ms)},                             \
        {.name = "BODY_MAX_BYTES",                                                                 \
         .type = CONFIG_INTEGER,                                                                   \
         .default_value = "65536",                                                                 \
         .minimum = 1024,                                                                          \
         .maximum = 16777216,                                                                      \
         .help = "largest body of a request",                                                      \
         .offset = offsetof(struct service_config, body_max_bytes)},                               \
        {.name = "SCHEMA_VERSION_MAX",                                                             \
         .type = CONFIG_INTEGER,                                                                   \
         .default_value = "0",                                                                     \
         .minimum = 0,                                                                             \
         .maximum = 1000000,                                                                       \
         .help = "newer schema that may be served after a rollback (0: none that is unknown)",     \
         .offset = offsetof(struct service_config, schema_version_max)},                           \
        {.name = "LOG_LEVEL",                                                                      \
         .type = CONFIG_CHOICE,                                                                    \
         .default_value = "info",                                                                  \
         .choices = "debug|info|warn|error",                                                       \
         .help = "least level that is logged",                                                     \
         .offset = offsetof(struct service_config, log_level)},                                    \
        {.name = "DOCS_DIR",                                                                       \
         .type = CONFIG_TEXT,                                                                      \
         .default_value = "",                                                                      \
         .help = "assets of Swagger UI (empty: ../share/docs beside the program's folder)",        \
         .offset = offsetof(struct service_config, docs_dir)},                                     \
    {                                                                                              \
        .name = "OPENAPI_DIR", .type = CONFIG_TEXT, .default_value = "",                           \
        .help = "OpenAPI documents (empty: ../share/openapi)",                                     \
        .offset = offsetof(struct service_config, openapi_dir)                                     \
    }

struct service {
    const char *name;    /* "wallet_api" */
    const char *purpose; /* one line for --help */
    int schema_version_min, schema_version_max;
    const struct config_setting *settings;
    size_t setting_count;
    void *config; /* begins with struct service_config */
    const struct http_route *routes;
    size_t route_count;
    struct metrics *metrics; /* filled before `start`, which may register the service's own */
    /* Filled before `start` too: what tokens are judged by, beside the secret; empty at first. */
    struct token_keys *keys;
    struct token_revocations *revocations;

    /* Once, after the configuration is loaded and before the threads; false + one line: exit 1. */
    bool (*start)(struct service *service, char *error, size_t error_size);
    /* Per thread, in that thread. The returned state is http_thread_state of every request. */
    void *(*thread_start)(struct service_thread *thread);
    /* Is this thread able to serve? Else one word why ("database"). */
    bool (*thread_ready)(void *state, const char **reason);
    /* Draining: begin; idle when nothing is in flight; then stop frees the state. */
    bool (*thread_idle)(void *state);
    void (*thread_stop)(void *state);
    void (*stop)(struct service *service);
    /* A valid token without the role that the route asks for, before it is answered with 403; for
     * the audit trail.  May be NULL; must not answer. */
    void (*on_denied)(struct http_request *request);
};

/* For thread_start. */
struct loop *service_thread_loop(struct service_thread *thread);
size_t service_thread_number(const struct service_thread *thread);
const struct service *service_of(const struct service_thread *thread);
struct metrics *service_metrics(const struct service_thread *thread);
/* How tokens are verified, and issued. */
struct token_policy service_token_policy(const struct service *service);
/* Database settings made from the configuration. */
void service_db_settings(const struct service_config *config, const char *application_name,
                         const char *search_path, struct db_settings *settings);

/* The whole program; returns the exit status (0 done, 1 could not run, 64 usage, 78 configuration).
 */
int service_main(struct service *service, int argc, char **argv);

#endif
