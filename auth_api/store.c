/*
 * Design.  Two statements, each a transaction of its own.  That a name is taken is decided by the
 * unique constraint and not by a look before: two registrations at the same time both look, and
 * one of them is wrong.
 */
#include "auth_api/store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "auth_api/admin.h"
#include "auth_api/attempt.h"
#include "auth_api/auth.h"
#include "auth_api/forgetting.h"
#include "auth_api/session.h"
#include "service_kit/audit.h"
#include "service_kit/db_schema.h"
#include "service_kit/http.h"

#define FIND   "user_find"
#define INSERT "user_insert"

const struct db_statement STORE_STATEMENTS[] = {
    DB_SCHEMA_STATEMENT,
    AUDIT_STATEMENT("auth", ""),
    {"denied", "SELECT auth.audit_write('authz_fail', 'failure', $1::uuid::text, $2::text,"
               " 'insufficient_role', $3::jsonb)"},
    {FIND, "SELECT id, password_hash, array_to_string(roles, ' '), disabled_at IS NOT NULL"
           " FROM auth.users WHERE username = $1::text"},
    ADMIN_STATEMENTS,
    ATTEMPT_STATEMENTS,
    FORGETTING_STATEMENTS,
    SESSION_STATEMENTS,
    REVOCATIONS_STATEMENT,
    {INSERT, "WITH made AS (INSERT INTO auth.users (id, username, password_hash)"
             " VALUES ($1::uuid, $2::text, $3::text) RETURNING id)"
             " SELECT auth.audit_write('user_created', 'success', id::text, id::text, NULL,"
             " $4::jsonb) FROM made"},
};
const size_t STORE_STATEMENT_COUNT = sizeof STORE_STATEMENTS / sizeof *STORE_STATEMENTS;

static enum store_end end_of_error(const char *statement, const struct db_result *result) {
    db_log_error("statement_failed", statement, result);
    return db_error_passes(result) ? STORE_UNAVAILABLE : STORE_FAILED;
}

/* The columns are those of FIND, in binary. */
static enum store_end read_user(struct store_call *call, const PGresult *rows) {
    if (PQntuples(rows) == 0) {
        return STORE_NO_USER;
    }
    if (PQnfields(rows) != 4 || PQgetlength(rows, 0, 0) != UUID_SIZE ||
        PQgetlength(rows, 0, 3) != 1 ||
        !roles_parse(PQgetvalue(rows, 0, 2), (size_t)PQgetlength(rows, 0, 2), ' ', &call->roles)) {
        return STORE_FAILED;
    }
    memcpy(call->id, PQgetvalue(rows, 0, 0), UUID_SIZE);
    call->disabled = PQgetvalue(rows, 0, 3)[0] != 0;
    size_t length = (size_t)PQgetlength(rows, 0, 1);
    if (length < sizeof call->password_hash) {
        memcpy(call->password_hash, PQgetvalue(rows, 0, 1), length);
        call->password_hash[length] = '\0';
    }
    return STORE_DONE;
}

static void on_found(void *owner, const struct db_result *result) {
    struct store_call *call = owner;
    call->thread->queries--;
    enum store_end end = STORE_UNAVAILABLE;
    if (result->end == DB_END_OK) {
        end = read_user(call, result->statements[0]);
    } else if (result->end == DB_END_ERROR) {
        end = end_of_error(FIND, result);
    }
    call->on_end(call, end);
}

static void on_inserted(void *owner, const struct db_result *result) {
    struct store_call *call = owner;
    call->thread->queries--;
    enum store_end end = STORE_UNKNOWN;
    switch (result->end) {
    case DB_END_OK:
        /* A warning here says that a standby has not confirmed: the row may be lost with us. */
        end = result->warning ? STORE_UNKNOWN : STORE_DONE;
        break;
    case DB_END_ERROR:
        end = strcmp(result->sqlstate, "23505") == 0 &&
                      strcmp(result->constraint, "users_username_key") == 0
                  ? STORE_NAME_TAKEN
                  : end_of_error(INSERT, result);
        break;
    case DB_END_UNSENT:
        end = STORE_UNAVAILABLE;
        break;
    case DB_END_LOST:
        break;
    }
    call->on_end(call, end);
}

static bool send(struct auth_thread *thread, struct store_call *call, const struct db_call *query,
                 db_on_result *on_result) {
    call->thread = thread;
    if (!db_pool_query(thread->pool, query, on_result, call)) {
        return false;
    }
    thread->queries++;
    return true;
}

bool store_find(struct auth_thread *thread, struct store_call *call, const char *username) {
    const char *const values[] = {username};
    const struct db_call query = {
        .statement = FIND, .params = {.count = 1, .values = values}, .binary_result = true};
    return send(thread, call, &query, on_found);
}

bool store_insert(struct auth_thread *thread, struct store_call *call, const char *username,
                  const char *origin) {
    const char *const values[] = {(const char *)call->id, username, call->password_hash, origin};
    const int lengths[] = {UUID_SIZE, 0, 0, 0};
    const int formats[] = {1, 0, 0, 0};
    const struct db_call query = {
        .statement = INSERT,
        .params = {.count = 4, .values = values, .lengths = lengths, .formats = formats}};
    return send(thread, call, &query, on_inserted);
}

/* ---- statements of other modules ---- */

static void on_query(void *owner, const struct db_result *result) {
    struct store_query *query = owner;
    query->thread->queries--;
    enum store_end end = STORE_UNAVAILABLE;
    switch (result->end) {
    case DB_END_OK:
        end = query->writes && result->warning ? STORE_UNKNOWN : STORE_DONE;
        break;
    case DB_END_ERROR:
        end = end_of_error(query->statement, result);
        break;
    case DB_END_LOST:
        end = query->writes ? STORE_UNKNOWN : STORE_UNAVAILABLE;
        break;
    case DB_END_UNSENT:
        break;
    }
    query->on_end(query, end, result->statements[0]);
}

static void add(struct store_params *params, const char *value, size_t size, int format) {
    assert(params->count < STORE_PARAMS_MAX);
    params->values[params->count] = value;
    params->lengths[params->count] = (int)size;
    params->formats[params->count] = format;
    params->count++;
}

void store_add_text(struct store_params *params, const char *text) {
    add(params, text, 0, 0);
}

void store_add_integer(struct store_params *params, int64_t value) {
    char *text = params->integers[params->count];
    snprintf(text, sizeof params->integers[0], "%" PRId64, value);
    add(params, text, 0, 0);
}

void store_add_bytes(struct store_params *params, const uint8_t *bytes, size_t size) {
    add(params, (const char *)bytes, size, 1);
}

bool store_query(struct auth_thread *thread, struct store_query *query,
                 const struct store_params *params) {
    const struct db_call call = {.statement = query->statement,
                                 .params = {.count = (int)params->count,
                                            .values = params->values,
                                            .lengths = params->lengths,
                                            .formats = params->formats}};
    query->thread = thread;
    if (!db_pool_query(thread->pool, &call, on_query, query)) {
        return false;
    }
    thread->queries++;
    return true;
}

void store_refuse(struct http_request *request, enum store_end end) {
    static const struct problem_kind outcome_unknown = {
        503, "outcome_unknown", "Outcome unknown",
        "The request may have been carried out, or not: look, or send it again."};
    if (end == STORE_UNKNOWN) {
        auth_reply_later(request, &outcome_unknown);
    } else if (end == STORE_UNAVAILABLE) {
        auth_reply_later(request, &PROBLEM_UNAVAILABLE);
    } else {
        http_reply_kind(request, &PROBLEM_INTERNAL, NULL);
    }
}
