/*
 * db_check: is this database fit to keep what we promise?  Run once before a service listens,
 * blocking, on a connection of its own.
 *
 * Refused: settings that can lose what was committed (fsync, full_page_writes, synchronous_commit,
 * data_sync_retry), another encoding than UTF8, non-standard strings, prepared transactions, a role
 * that could switch the schema's guards off (superuser, CREATEROLE, owner), and a schema version
 * that this program does not know.  Missing data checksums are a warning in the log.
 */
#ifndef PACIOLI_SERVICE_KIT_DB_CHECK_H
#define PACIOLI_SERVICE_KIT_DB_CHECK_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service_kit/db.h"

struct db_check_rules {
    const char *schema;           /* "auth", "ledger": its table schema_version tells the version */
    int version_min, version_max; /* both included */
};

/*
 * A server that cannot be reached, or is still starting, is tried again for wait_ms; a refusal
 * (a wrong password, an unknown database, a rule above) is final at once.  On success the
 * connection is handed out, with the settings' search_path and statement_timeout, for the caller's
 * further checks (PQfinish it), or is closed when `connection` is NULL.  On failure: false, and
 * one line in `error` that names the rule.
 */
__attribute__((warn_unused_result)) bool db_check(const struct db_settings *settings,
                                                  const struct db_check_rules *rules,
                                                  int64_t wait_ms, PGconn **connection, char *error,
                                                  size_t error_size);

/*
 * For checks of the caller's own: runs one statement (text parameters and results), at most
 * timeout_ms.  NULL and one line in `error` when it fails; `sqlstate` may be NULL.
 */
__attribute__((warn_unused_result)) PGresult *db_check_query(PGconn *connection, const char *sql,
                                                             const char *const *values, int count,
                                                             int64_t timeout_ms, char sqlstate[6],
                                                             char *error, size_t error_size);

#endif
