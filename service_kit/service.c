/*
 * Design.  The order of the start is chosen so that what can be wrong is said early and by one
 * line: options, configuration, port, the service's own checks (database), threads.  A signal is
 * waited for by the main thread alone; all others have it blocked, so no code of ours runs in a
 * signal handler.
 */
#include "service_kit/service.h"

#include <assert.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "pacioli_version.h"
#include "service_kit/log.h"
#include "service_kit/memory.h"
#include "service_kit/service_internal.h"
#include "service_kit/token_keys.h"
#include "service_kit/token_revocations.h"

#define EXIT_USAGE_ERROR  64
#define EXIT_CONFIG_ERROR 78
#define ENV_FILE          ".env"
#define ERROR_MAX         512

#define RECEIVE_TIMEOUT_MS 10000
#define MMAP_THRESHOLD     65536

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* the leak checker traces its own process */
#else
#define SANITIZED 0
#endif

/* ---- for the services ---- */

struct loop *service_thread_loop(struct service_thread *thread) {
    return thread->loop;
}

size_t service_thread_number(const struct service_thread *thread) {
    return thread->number;
}

const struct service *service_of(const struct service_thread *thread) {
    return thread->process->service;
}

struct metrics *service_metrics(const struct service_thread *thread) {
    return thread->process->metrics;
}

struct token_policy service_token_policy(const struct service *service) {
    const struct service_config *config = service->config;
    struct token_policy policy = {.secret = config->jwt_secret,
                                  .secret_length = strlen(config->jwt_secret),
                                  .keys = service->keys,
                                  .only_keys = strcmp(config->jwt_algorithm, "ES256") == 0,
                                  .issuer = config->jwt_issuer,
                                  .audience = config->jwt_audience};
    bool good = token_claims_parse(config->jwt_required_claims, &policy.required);
    assert(good); /* looked at before */
    (void)good;
    return policy;
}

void service_db_settings(const struct service_config *config, const char *application_name,
                         const char *search_path, struct db_settings *settings) {
    /* The server gives up before the client's deadline does, so that nobody waits for a statement
     * that nobody waits for. */
    int timeout_ms = (int)config->request_timeout_ms;
    *settings = (struct db_settings){
        .host = config->postgres_host,
        .port = config->postgres_port,
        .database = config->postgres_db,
        .user = config->postgres_user,
        .password = config->postgres_password,
        .application_name = application_name,
        .search_path = search_path,
        .connect_timeout_ms = 5000,
        .statement_timeout_ms = timeout_ms,
        .lock_timeout_ms = timeout_ms > 1 ? timeout_ms / 2 : 1,
        .idle_in_transaction_ms = 10000,
        .reconnect_min_ms = 100,
        .reconnect_max_ms = 1000,
    };
}

/* ---- making the process ---- */

#define THREADS_DEFAULT_MAX 4

static size_t default_threads(void) {
    cpu_set_t cores;
    int count = sched_getaffinity(0, sizeof(cores), &cores) == 0 ? CPU_COUNT(&cores) : 1;
    /* While one thread's batch is at its COMMIT, another's is decided: measured by ops/bench. */
    return count < THREADS_DEFAULT_MAX ? (size_t)count : THREADS_DEFAULT_MAX;
}

static void protect_memory(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    /* glibc raises its threshold for mmap after the first large free; then what clients made us
     * allocate would stay in the heap for good. */
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (SANITIZED)
        return;
    /* Secrets are in memory: no core file, no other process of this user that reads along. */
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static void collect_routes(struct service_process *process) {
    const struct service *service = process->service;
    size_t count = SERVICE_HEALTH_ROUTE_COUNT + SERVICE_DOCS_ROUTE_COUNT + service->route_count;
    process->routes = memory_allocate(count, sizeof(const struct http_route *));
    size_t at = 0;
    for (size_t i = 0; i < SERVICE_HEALTH_ROUTE_COUNT; i++)
        process->routes[at++] = &SERVICE_HEALTH_ROUTES[i];
    for (size_t i = 0; i < SERVICE_DOCS_ROUTE_COUNT; i++)
        process->routes[at++] = &SERVICE_DOCS_ROUTES[i];
    for (size_t i = 0; i < service->route_count; i++)
        process->routes[at++] = &service->routes[i];
    process->route_count = at;
}

static void create_server(struct service_process *process, const struct proxies *proxies) {
    const struct service_config *config = process->config;
    int64_t connections = service_connections(config->connections_max);
    if (connections < config->connections_max) {
        struct log_line line;
        log_begin(&line, LOG_WARN, "connections_limited");
        log_integer(&line, "wanted", config->connections_max);
        log_integer(&line, "descriptors_allow", connections);
        log_end(&line);
    }
    collect_routes(process);
    assert(process->thread_count > 0);
    size_t per_thread = (size_t)connections / process->thread_count;
    process->server = http_server_create(&(struct http_server_settings){
        .realm = process->service->name,
        .policy = service_token_policy(process->service),
        .revocations = process->service->revocations,
        .routes = process->routes,
        .route_count = process->route_count,
        .body_max_bytes = (size_t)config->body_max_bytes,
        .connections_max = per_thread > 0 ? per_thread : 1,
        .request_timeout_ms = config->request_timeout_ms,
        .receive_timeout_ms = RECEIVE_TIMEOUT_MS,
        .proxies = *proxies,
        .metrics = process->metrics,
        .on_denied = process->service->on_denied,
    });
}

static void process_init(struct service_process *process, struct service *service,
                         const struct proxies *proxies) {
    process->service = service;
    process->config = service->config;
    process->thread_count =
        process->config->threads > 0 ? (size_t)process->config->threads : default_threads();
    process->metrics = metrics_create(process->thread_count);
    service->metrics = process->metrics;
    service->keys = token_keys_create();
    service->revocations = token_revocations_create();
    process->threads = memory_allocate(process->thread_count, sizeof(*process->threads));
    sem_init(&process->progress, 0, 0);
    for (size_t i = 0; i < process->thread_count; i++) {
        struct service_thread *thread = &process->threads[i];
        thread->process = process;
        thread->number = i;
        thread->listener = -1;
        thread->loop = loop_create();
        if (thread->loop == NULL)
            abort();
    }
    create_server(process, proxies);
}

static void process_free(struct service_process *process) {
    service_close_listeners(process);
    for (size_t i = 0; i < process->thread_count; i++)
        loop_destroy(process->threads[i].loop);
    http_server_free(process->server);
    service_free_assets(process);
    free(process->routes);
    free(process->threads);
    metrics_free(process->metrics);
    token_revocations_free(process->service->revocations);
    token_keys_free(process->service->keys);
    config_free(process->config_texts);
    sem_destroy(&process->progress);
}

/* ---- running it ---- */

static int fail(const struct service *service, int status, const char *error) {
    log_flush();
    fprintf(stderr, "%s: %s\n", service->name, error);
    return status;
}

static void log_startup(const struct service_process *process) {
    struct log_line line;
    log_begin(&line, LOG_INFO, "sys_startup");
    log_string(&line, "version", PACIOLI_VERSION);
    log_string(&line, "commit", PACIOLI_COMMIT);
    log_string(&line, "address", process->config->bind_address);
    log_integer(&line, "port", process->config->port);
    log_integer(&line, "threads", (int64_t)process->thread_count);
    log_integer(&line, "pid", getpid());
    log_end(&line);
    log_flush();
}

static void log_shutdown(const struct service_process *process, int signal_number, bool drained) {
    size_t cut = 0;
    for (size_t i = 0; i < process->thread_count; i++)
        cut += process->threads[i].cut_requests;
    struct log_line line;
    log_begin(&line, drained ? LOG_INFO : LOG_WARN, "sys_shutdown");
    log_string(&line, "signal", signal_number == SIGINT ? "SIGINT" : "SIGTERM");
    log_boolean(&line, "drained", drained);
    log_integer(&line, "requests_cut", (int64_t)cut);
    log_end(&line);
    log_flush();
}

static int wait_for_signal(const sigset_t *signals) {
    int number = 0;
    while (sigwait(signals, &number) != 0)
        continue;
    return number;
}

/* From a valid configuration to the end. */
static int run(struct service_process *process, struct service *service,
               const struct proxies *proxies) {
    char error[ERROR_MAX] = "";
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    process_init(process, service, proxies);
    bool ready = service_listen(process, error, sizeof(error)) &&
                 (service->start == NULL || service->start(service, error, sizeof(error)));
    if (!ready) {
        process_free(process);
        return fail(service, EXIT_FAILURE, error);
    }
    service_load_assets(process);
    bool started = service_threads_start(process, error, sizeof(error));
    if (started) {
        log_startup(process);
        int signal_number = wait_for_signal(&signals);
        bool drained = service_threads_stop(process);
        log_shutdown(process, signal_number, drained);
        if (!drained)
            _exit(EXIT_SUCCESS);
    }
    if (service->stop != NULL)
        service->stop(service);
    process_free(process);
    return started ? EXIT_SUCCESS : fail(service, EXIT_FAILURE, error);
}

int service_main(struct service *service, int argc, char **argv) {
    enum option_result option = service_options(service, argc, argv);
    if (option == OPTION_USAGE)
        return EXIT_USAGE_ERROR;
    if (option == OPTION_DONE)
        return EXIT_SUCCESS;

    static struct service_process process;
    char error[ERROR_MAX] = "";
    process.config_texts = config_load(service->settings, service->setting_count, ENV_FILE,
                                       service->config, error, sizeof(error));
    if (process.config_texts == NULL)
        return fail(service, EXIT_CONFIG_ERROR, error);
    const struct service_config *config = service->config;
    static struct proxies proxies;
    if (!proxies_parse(config->trusted_proxies, &proxies)) {
        config_free(process.config_texts);
        return fail(service, EXIT_CONFIG_ERROR,
                    "TRUSTED_PROXIES: must be a list of at most 32 addresses or networks");
    }
    unsigned claims = 0;
    if (!token_claims_parse(config->jwt_required_claims, &claims)) {
        config_free(process.config_texts);
        return fail(service, EXIT_CONFIG_ERROR,
                    "JWT_REQUIRED_CLAIMS: must be a list of iat, jti, sid, roles");
    }
    /* A rollback's: the migrations of a release work with the release before it, too. */
    if (config->schema_version_max > service->schema_version_max)
        service->schema_version_max = (int)config->schema_version_max;
    if (option == OPTION_CHECK) {
        config_print_values(service->settings, service->setting_count, service->config);
        config_free(process.config_texts);
        return EXIT_SUCCESS;
    }
    enum log_level level = LOG_INFO;
    (void)log_level_parse(config->log_level, &level);
    log_configure(service->name, level, STDERR_FILENO);
    protect_memory();
    return run(&process, service, &proxies);
}
