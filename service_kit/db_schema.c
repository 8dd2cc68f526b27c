/*
 * Design.  One short query on the service's own pool, one at a time.  A query that fails tells
 * nothing (the pool's own readiness tells that the database is away), unless the server says that
 * the table or the schema is gone.
 */
#include "service_kit/db_schema.h"

#include <stdlib.h>
#include <string.h>

#include "service_kit/db.h"
#include "service_kit/log.h"
#include "service_kit/loop.h"
#include "service_kit/memory.h"

#define INTERVAL_US 2000000

struct db_schema {
    struct loop *loop;
    struct db_pool *pool;
    struct loop_timer timer;
    int version_min;
    bool expected;
    bool asking;  /* the pool has our query */
    bool stopped; /* the answer frees it */
};

static void set_expected(struct db_schema *schema, bool expected, const char *seen) {
    if (expected != schema->expected)
        log_message(expected ? LOG_INFO : LOG_ERROR, "db_schema", "version", seen);
    schema->expected = expected;
}

static void on_version(void *owner, const struct db_result *result) {
    struct db_schema *schema = owner;
    if (schema->stopped) {
        free(schema);
        return;
    }
    schema->asking = false;
    const PGresult *rows = result->statements[0];
    if (result->end == DB_END_OK && PQntuples(rows) == 1) {
        const char *version = PQgetvalue(rows, 0, 0);
        set_expected(schema, strtol(version, NULL, 10) >= schema->version_min, version);
    } else if (result->end == DB_END_ERROR && strncmp(result->sqlstate, "42", 2) == 0) {
        set_expected(schema, false, "none"); /* no such table, or no right to see it */
    }
}

static void on_timer(struct loop_timer *timer) {
    struct db_schema *schema =
        (struct db_schema *)(void *)((char *)timer - offsetof(struct db_schema, timer));
    loop_timer_start(schema->loop, &schema->timer, INTERVAL_US);
    const struct db_call call = {.statement = "schema_version"};
    if (!schema->asking)
        schema->asking = db_pool_query(schema->pool, &call, on_version, schema);
}

struct db_schema *db_schema_watch(struct loop *loop, struct db_pool *pool, int version_min) {
    struct db_schema *schema = memory_allocate(1, sizeof(*schema));
    schema->loop = loop;
    schema->pool = pool;
    schema->version_min = version_min;
    schema->expected = true;
    schema->timer.on_fire = on_timer;
    loop_timer_start(loop, &schema->timer, INTERVAL_US);
    return schema;
}

bool db_schema_expected(const struct db_schema *schema) {
    return schema->expected;
}

void db_schema_stop(struct db_schema *schema) {
    loop_timer_stop(schema->loop, &schema->timer);
    if (schema->asking)
        schema->stopped = true;
    else
        free(schema);
}
