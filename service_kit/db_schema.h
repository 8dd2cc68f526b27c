/*
 * db_schema: is the schema still one that this program works on?  Asked again every few seconds,
 * for /readyz.  At the start db_check refuses an older and a newer version; later a newer one is
 * fine, because a migration is deployed before the program that needs it and must leave the
 * running one working.  An older one, or none, is not.
 */
#ifndef PACIOLI_SERVICE_KIT_DB_SCHEMA_H
#define PACIOLI_SERVICE_KIT_DB_SCHEMA_H

#include <stdbool.h>

struct db_pool;
struct db_schema;
struct loop;

/* A row for the statements of the pool, whose search_path has the table schema_version. */
#define DB_SCHEMA_STATEMENT                                                                        \
    { "schema_version", "SELECT coalesce(max(version), 0)::text FROM schema_version" }

/* One per thread. */
struct db_schema *db_schema_watch(struct loop *loop, struct db_pool *pool, int version_min);
/* What was seen last; true before the first answer, as db_check has just looked. */
bool db_schema_expected(const struct db_schema *schema);
/* Before the pool is closed. */
void db_schema_stop(struct db_schema *schema);

#endif
