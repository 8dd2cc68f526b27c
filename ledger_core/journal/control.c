/*
 * Design.  Parameters and results are text: these calls are rare, and their answers are JSON that
 * the database writes.  Every statement returns one row (outcome, transaction, json).
 */
#include "ledger_core/journal/control.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "service_kit/audit.h"
#include "service_kit/uuid.h"

#define PARAMETERS_MAX 8
#define NUMBER_MAX     24

const struct db_statement CONTROL_STATEMENTS[] = {
    {"control_set_status", "SELECT s.outcome, NULL, s.account FROM ledger.set_account_status("
                           " $1::integer, $2::uuid, $3::text, $4::uuid, $5::text, $6::jsonb) s"},
    {"control_reverse",
     "SELECT r.outcome, r.transaction, r.answer FROM ledger.reverse_transaction("
     " $1::integer, $2::uuid, $3::uuid, $4::uuid, $5::text, $6::text, $7::jsonb) r"},
    {"control_close_period", "SELECT ledger.close_period($1::integer, $2::timestamptz, $3::uuid,"
                             " $4::text, $5::jsonb), NULL, NULL"},
    {"control_report_period",
     "SELECT 'done', NULL, ledger.write_period_report($1::integer, $2::timestamptz)"},
    {"control_periods",
     "SELECT 'done', NULL, '[' || coalesce(string_agg(p.period, ',' ORDER BY p.to_at DESC), '')"
     " || ']' FROM ledger.periods_json($1::integer, NULL, 100) p"},
    {"control_note_failure",
     "SELECT 'done', NULL, ledger.audit_write($2::text, 'failure', $3::text,"
     " $4::text, $5::text, $6::jsonb,"
     " jsonb_build_object('ledger', $1::integer))::text"},
    AUDIT_STATEMENT("ledger"),
};
const size_t CONTROL_STATEMENT_COUNT = sizeof CONTROL_STATEMENTS / sizeof CONTROL_STATEMENTS[0];

static void tell(struct control_call *call, enum control_end end, const char *reason) {
    call->on_result(call, &(struct control_result){.end = end, .reason = reason});
}

static void on_row(struct control_call *call, const PGresult *row) {
    if (row == NULL || PQntuples(row) != 1 || PQnfields(row) != 3 || PQgetisnull(row, 0, 0)) {
        tell(call, CONTROL_FAILED, "a row of the database has an unexpected form");
        return;
    }
    struct control_result result = {.end = CONTROL_ANSWERED,
                                    .outcome = PQgetvalue(row, 0, 0),
                                    .transaction = PQgetvalue(row, 0, 1)};
    if (!PQgetisnull(row, 0, 2)) {
        result.json = PQgetvalue(row, 0, 2);
        result.json_length = (size_t)PQgetlength(row, 0, 2);
    }
    call->on_result(call, &result);
}

/* Did the server stop the statement, rather than refuse it: shutdown, a timeout, a lost race? */
static bool passing(const char *sqlstate) {
    return strncmp(sqlstate, "57", 2) == 0 || strncmp(sqlstate, "55P03", 5) == 0 ||
           strncmp(sqlstate, "40", 2) == 0;
}

static void on_result(void *owner, const struct db_result *answer) {
    struct control_call *call = owner;
    switch (answer->end) {
    case DB_END_OK:
        if (answer->warning) {
            tell(call, CONTROL_UNKNOWN, answer->message);
            return;
        }
        on_row(call, answer->statements[0]);
        return;
    case DB_END_ERROR:
        tell(call, passing(answer->sqlstate) ? CONTROL_UNAVAILABLE : CONTROL_FAILED,
             answer->message);
        return;
    case DB_END_LOST:
        tell(call, CONTROL_UNKNOWN, answer->message);
        return;
    case DB_END_UNSENT:
        tell(call, CONTROL_UNAVAILABLE, answer->message);
        return;
    }
}

/* The parameters of one call, as text. */
struct parameters {
    int count;
    const char *values[PARAMETERS_MAX];
    char ids[PARAMETERS_MAX][UUID_TEXT_LENGTH + 1];
};
static_assert(NUMBER_MAX <= UUID_TEXT_LENGTH + 1, "a number fits where an id does");

static void put_text(struct parameters *parameters, const char *text) {
    assert(parameters->count < PARAMETERS_MAX);
    parameters->values[parameters->count++] = text;
}

static void put_number(struct parameters *parameters, int32_t number) {
    char *text = parameters->ids[parameters->count];
    snprintf(text, NUMBER_MAX, "%d", (int)number);
    put_text(parameters, text);
}

static void put_uuid(struct parameters *parameters, const struct ledger_uuid *uuid) {
    char *text = parameters->ids[parameters->count];
    uuid_format(uuid->bytes, text);
    put_text(parameters, text);
}

static bool send(const struct reader *reader, struct control_call *call, const char *statement,
                 const struct parameters *parameters) {
    const struct db_call query = {
        .statement = statement,
        .params = {.count = parameters->count, .values = parameters->values},
    };
    return db_pool_query(reader->pool, &query, on_result, call);
}

bool control_set_status(const struct reader *reader, struct control_call *call,
                        const struct control_actor *actor, const struct ledger_uuid *account,
                        const char *status) {
    struct parameters parameters = {0};
    put_number(&parameters, reader->ledger_id);
    put_uuid(&parameters, account);
    put_text(&parameters, status);
    put_uuid(&parameters, &actor->principal);
    put_text(&parameters, actor->reason);
    put_text(&parameters, actor->origin);
    return send(reader, call, "control_set_status", &parameters);
}

bool control_reverse(const struct reader *reader, struct control_call *call,
                     const struct control_actor *actor, const char *key,
                     const struct ledger_uuid *id, const struct ledger_uuid *original) {
    struct parameters parameters = {0};
    put_number(&parameters, reader->ledger_id);
    put_uuid(&parameters, id);
    put_uuid(&parameters, original);
    put_uuid(&parameters, &actor->principal);
    put_text(&parameters, key);
    put_text(&parameters, actor->reason);
    put_text(&parameters, actor->origin);
    return send(reader, call, "control_reverse", &parameters);
}

bool control_close_period(const struct reader *reader, struct control_call *call,
                          const struct control_actor *actor, const char *to) {
    struct parameters parameters = {0};
    put_number(&parameters, reader->ledger_id);
    put_text(&parameters, to);
    put_uuid(&parameters, &actor->principal);
    put_text(&parameters, actor->reason);
    put_text(&parameters, actor->origin);
    return send(reader, call, "control_close_period", &parameters);
}

bool control_report_period(const struct reader *reader, struct control_call *call, const char *to) {
    struct parameters parameters = {0};
    put_number(&parameters, reader->ledger_id);
    put_text(&parameters, to);
    return send(reader, call, "control_report_period", &parameters);
}

bool control_periods(const struct reader *reader, struct control_call *call) {
    struct parameters parameters = {0};
    put_number(&parameters, reader->ledger_id);
    return send(reader, call, "control_periods", &parameters);
}

bool control_note_failure(const struct reader *reader, struct control_call *call, const char *event,
                          const struct control_actor *actor, const char *subject) {
    struct parameters parameters = {0};
    put_number(&parameters, reader->ledger_id);
    put_text(&parameters, event);
    put_uuid(&parameters, &actor->principal);
    put_text(&parameters, subject);
    put_text(&parameters, actor->reason);
    put_text(&parameters, actor->origin);
    return send(reader, call, "control_note_failure", &parameters);
}
