/*
 * Design.  What every service asks of its database stands in service_kit/db_check; here is what
 * only the journal asks.  The privileges are read, not tried, so a check leaves no trace.
 */
#include "ledger_core/journal/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "service_kit/db.h"
#include "service_kit/db_check.h"

#define QUERY_TIMEOUT_MS 5000

static bool check_privileges(PGconn *connection, char *error, size_t error_size) {
    PGresult *result = db_check_query(
        connection,
        "SELECT t.name || ': ' || p.privilege"
        "  FROM (VALUES ('ledger.transaction'), ('ledger.entry')) t(name),"
        "       (VALUES ('UPDATE'), ('DELETE'), ('TRUNCATE')) p(privilege)"
        " WHERE has_table_privilege(t.name, p.privilege)"
        "    OR (p.privilege = 'UPDATE' AND has_any_column_privilege(t.name, p.privilege)) LIMIT 1",
        NULL, 0, QUERY_TIMEOUT_MS, NULL, error, error_size);
    if (result == NULL)
        return false;
    bool fine = PQntuples(result) == 0;
    if (!fine)
        snprintf(error, error_size, "the role may change the journal (%s): use the service's role",
                 PQgetvalue(result, 0, 0));
    PQclear(result);
    return fine;
}

static bool find_ledger(PGconn *connection, const char *name, int32_t *ledger_id, char *error,
                        size_t error_size) {
    PGresult *result = db_check_query(connection, "SELECT id FROM ledger.ledger WHERE name = $1",
                                      &name, 1, QUERY_TIMEOUT_MS, NULL, error, error_size);
    if (result == NULL)
        return false;
    long id = PQntuples(result) == 1 ? strtol(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    PQclear(result);
    if (id <= 0 || id > INT32_MAX) {
        snprintf(error, error_size, "LEDGER_NAME: the database has no ledger of that name");
        return false;
    }
    *ledger_id = (int32_t)id;
    return true;
}

bool journal_check(const struct db_settings *settings, const char *ledger_name, int schema_min,
                   int schema_max, int64_t wait_ms, int32_t *ledger_id, char *error,
                   size_t error_size) {
    const struct db_check_rules rules = {
        .schema = "ledger", .version_min = schema_min, .version_max = schema_max};
    PGconn *connection = NULL;
    if (!db_check(settings, &rules, wait_ms, &connection, error, error_size))
        return false;
    bool fine = check_privileges(connection, error, error_size) &&
                find_ledger(connection, ledger_name, ledger_id, error, error_size);
    PQfinish(connection);
    return fine;
}
