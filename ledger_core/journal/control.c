/*
 * Design.  Parameters and results are text: these calls are rare, and their answers are JSON that
 * the database writes.  Every statement returns one row (outcome, transaction, json), but for the
 * one that gives a number.
 *
 * A statement that the server has not read yet leaves no trace, and may be read when its service
 * has died and somebody has asked again.  So what changes the ledger is sent in two steps: the
 * first gets a number, the second brings it along, as the first argument of its function, and fails
 * when an attempt with a later number was made on the same thing (migrations/wallet, attempts).
 * Only who is alive between the two can send the second, so whoever has a later number was asked
 * later. An attempt that was overtaken by another one gets a new number, until its deadline.
 */
#include "ledger_core/journal/control.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "service_kit/audit.h"
#include "service_kit/loop.h"

#define ATTEMPTS_MAX 10
#define OVERTAKEN    "PC040" /* of begin_attempt */

static_assert(UUID_TEXT_LENGTH + 1 > 20, "a number fits where an id does");

/* What attempts to close periods are about, beside accounts and transactions. */
#define PERIODS "'00000000-0000-0000-0000-000000000000'"

const struct db_statement CONTROL_STATEMENTS[] = {
    {"control_attempt", "SELECT ledger.next_attempt()"},
    {"control_set_status", "SELECT s.outcome, NULL, s.account FROM ledger.set_account_status("
                           " ledger.begin_attempt($2::integer, $3::uuid, $1::bigint),"
                           " $3::uuid, $4::text, $5::uuid, $6::text, $7::jsonb) s"},
    {"control_reverse", "SELECT r.outcome, r.transaction, r.answer FROM ledger.reverse_transaction("
                        " ledger.begin_attempt($2::integer, $4::uuid, $1::bigint),"
                        " $3::uuid, $4::uuid, $5::uuid, $6::text, $7::text, $8::jsonb) r"},
    {"control_close_period", "SELECT ledger.close_period("
                             " ledger.begin_attempt($2::integer, " PERIODS ", $1::bigint),"
                             " $3::timestamptz, $4::uuid, $5::text, $6::jsonb), NULL, NULL"},
    {"control_report_period",
     "SELECT 'done', NULL, ledger.write_period_report($1::integer, $2::timestamptz)"},
    {"control_periods",
     "SELECT 'done', NULL, '[' || coalesce(string_agg(p.period, ',' ORDER BY p.to_at DESC), '')"
     " || ']' FROM ledger.periods_json($1::integer, NULL, 100) p"},
    {"control_propose_entry",
     "SELECT p.outcome, p.transaction, p.answer FROM ledger.propose_entry($1::integer, $2::uuid,"
     " $3::text, $4::text, $5::numeric, $6::timestamptz, $7::uuid, $8::text, $9::text,"
     " $10::jsonb) p"},
    {"control_propose_resolution",
     "SELECT p.outcome, p.transaction, p.answer FROM ledger.propose_resolution($1::integer,"
     " $2::uuid, $3::bigint[], $4::text, $5::uuid, $6::text, $7::text, $8::jsonb) p"},
    {"control_decide", "SELECT d.outcome, d.transaction, d.answer FROM ledger.decide_adjustment("
                       " ledger.begin_attempt($2::integer, $3::uuid, $1::bigint),"
                       " $3::uuid, $4::boolean, $5::uuid, $6::text, $7::jsonb) d"},
    {"control_adjustments",
     "SELECT 'done', NULL, '[' || coalesce(string_agg(a, ',' ORDER BY n), '') || ']'"
     " FROM ledger.adjustments_json($1::integer, 100) WITH ORDINALITY a (a, n)"},
    {"control_note_failure",
     "SELECT 'done', NULL, ledger.audit_write($2::text, 'failure', $3::text,"
     " $4::text, $5::text, $6::jsonb,"
     " jsonb_build_object('ledger', $1::integer))::text"},
    AUDIT_STATEMENT("ledger", " AND detail ->> 'ledger' = $9::text"),
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

/* Also one attempt that was overtaken by others again and again. */
static bool passing(const struct db_result *answer) {
    return db_error_passes(answer) || strcmp(answer->sqlstate, OVERTAKEN) == 0;
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
        tell(call, passing(answer) ? CONTROL_UNAVAILABLE : CONTROL_FAILED, answer->message);
        return;
    case DB_END_LOST:
        tell(call, CONTROL_UNKNOWN, answer->message);
        return;
    case DB_END_UNSENT:
        tell(call, CONTROL_UNAVAILABLE, answer->message);
        return;
    }
}

static void put_text(struct control_parameters *parameters, const char *text) {
    assert(parameters->count < CONTROL_PARAMETERS_MAX);
    parameters->values[parameters->count++] = text;
}

static void put_number(struct control_parameters *parameters, int32_t number) {
    char *text = parameters->texts[parameters->count];
    snprintf(text, sizeof parameters->texts[0], "%d", (int)number);
    put_text(parameters, text);
}

static void put_uuid(struct control_parameters *parameters, const struct ledger_uuid *uuid) {
    char *text = parameters->texts[parameters->count];
    uuid_format(uuid->bytes, text);
    put_text(parameters, text);
}

static bool send(const struct reader *reader, struct control_call *call, const char *statement,
                 const struct control_parameters *parameters) {
    const struct db_call query = {
        .statement = statement,
        .params = {.count = parameters->count, .values = parameters->values},
    };
    return db_pool_query(reader->pool, &query, on_result, call);
}

/* ---- attempts ---- */

static bool attempt(struct control_call *call);

static void on_attempted(void *owner, const struct db_result *answer) {
    struct control_call *call = owner;
    if (answer->end == DB_END_ERROR && strcmp(answer->sqlstate, OVERTAKEN) == 0 &&
        call->attempts < ATTEMPTS_MAX && attempt(call))
        return;
    on_result(call, answer);
}

static void on_number(void *owner, const struct db_result *answer) {
    struct control_call *call = owner;
    if (answer->end != DB_END_OK) {
        bool refused = answer->end == DB_END_ERROR && !passing(answer);
        tell(call, refused ? CONTROL_FAILED : CONTROL_UNAVAILABLE, answer->message);
        return;
    }
    const PGresult *row = answer->statements[0];
    size_t length = row != NULL && PQntuples(row) == 1 ? (size_t)PQgetlength(row, 0, 0) : 0;
    if (length == 0 || length >= sizeof call->parameters.texts[0]) {
        tell(call, CONTROL_FAILED, "the number of an attempt has an unexpected form");
        return;
    }
    memcpy(call->parameters.texts[0], PQgetvalue(row, 0, 0), length + 1); /* with its end */
    const struct db_call query = {
        .statement = call->statement,
        .params = {.count = call->parameters.count, .values = call->parameters.values},
    };
    if (loop_clock_us() >= call->deadline_us)
        tell(call, CONTROL_UNAVAILABLE, "its time has passed");
    else if (!db_pool_query(call->reader->pool, &query, on_attempted, call))
        tell(call, CONTROL_UNAVAILABLE, "no connection has room");
}

/* Gets a number, then sends what waits for it. */
static bool attempt(struct control_call *call) {
    static const struct db_call query = {.statement = "control_attempt"};
    call->attempts++;
    return db_pool_query(call->reader->pool, &query, on_number, call);
}

/* The parameters of a statement that waits for its number, which is the first. */
static struct control_parameters *prepare(const struct reader *reader, struct control_call *call,
                                          const char *statement) {
    call->reader = reader;
    call->statement = statement;
    call->attempts = 0;
    call->parameters.count = 0;
    put_number(&call->parameters, 0);
    put_number(&call->parameters, reader->ledger_id);
    return &call->parameters;
}

bool control_set_status(const struct reader *reader, struct control_call *call,
                        const struct control_actor *actor, const struct ledger_uuid *account,
                        const char *status) {
    struct control_parameters *parameters = prepare(reader, call, "control_set_status");
    put_uuid(parameters, account);
    put_text(parameters, status);
    put_uuid(parameters, &actor->principal);
    put_text(parameters, actor->reason);
    put_text(parameters, actor->origin);
    return attempt(call);
}

bool control_reverse(const struct reader *reader, struct control_call *call,
                     const struct control_actor *actor, const char *key,
                     const struct ledger_uuid *id, const struct ledger_uuid *original) {
    struct control_parameters *parameters = prepare(reader, call, "control_reverse");
    put_uuid(parameters, id);
    put_uuid(parameters, original);
    put_uuid(parameters, &actor->principal);
    put_text(parameters, key);
    put_text(parameters, actor->reason);
    put_text(parameters, actor->origin);
    return attempt(call);
}

bool control_close_period(const struct reader *reader, struct control_call *call,
                          const struct control_actor *actor, const char *to) {
    struct control_parameters *parameters = prepare(reader, call, "control_close_period");
    put_text(parameters, to);
    put_uuid(parameters, &actor->principal);
    put_text(parameters, actor->reason);
    put_text(parameters, actor->origin);
    return attempt(call);
}

bool control_report_period(const struct reader *reader, struct control_call *call, const char *to) {
    struct control_parameters parameters = {0};
    put_number(&parameters, reader->ledger_id);
    put_text(&parameters, to);
    return send(reader, call, "control_report_period", &parameters);
}

bool control_periods(const struct reader *reader, struct control_call *call) {
    struct control_parameters parameters = {0};
    put_number(&parameters, reader->ledger_id);
    return send(reader, call, "control_periods", &parameters);
}

/* A proposal changes nothing that anybody was told of, and is not numbered. */
bool control_propose_entry(const struct reader *reader, struct control_call *call,
                           const struct control_actor *actor, const char *key,
                           const struct ledger_uuid *id, const struct control_entry *entry) {
    struct control_parameters parameters = {0};
    put_number(&parameters, reader->ledger_id);
    put_uuid(&parameters, id);
    put_text(&parameters, entry->debit);
    put_text(&parameters, entry->credit);
    put_text(&parameters, entry->amount);
    put_text(&parameters, entry->effective_at);
    put_uuid(&parameters, &actor->principal);
    put_text(&parameters, key);
    put_text(&parameters, actor->reason);
    put_text(&parameters, actor->origin);
    return send(reader, call, "control_propose_entry", &parameters);
}

bool control_propose_resolution(const struct reader *reader, struct control_call *call,
                                const struct control_actor *actor, const char *key,
                                const struct ledger_uuid *id, const char *breaks,
                                const char *against) {
    struct control_parameters parameters = {0};
    put_number(&parameters, reader->ledger_id);
    put_uuid(&parameters, id);
    put_text(&parameters, breaks);
    put_text(&parameters, against);
    put_uuid(&parameters, &actor->principal);
    put_text(&parameters, key);
    put_text(&parameters, actor->reason);
    put_text(&parameters, actor->origin);
    return send(reader, call, "control_propose_resolution", &parameters);
}

bool control_decide(const struct reader *reader, struct control_call *call,
                    const struct control_actor *actor, const struct ledger_uuid *id, bool approve) {
    struct control_parameters *parameters = prepare(reader, call, "control_decide");
    put_uuid(parameters, id);
    put_text(parameters, approve ? "true" : "false");
    put_uuid(parameters, &actor->principal);
    put_text(parameters, actor->reason);
    put_text(parameters, actor->origin);
    return attempt(call);
}

bool control_adjustments(const struct reader *reader, struct control_call *call) {
    struct control_parameters parameters = {0};
    put_number(&parameters, reader->ledger_id);
    return send(reader, call, "control_adjustments", &parameters);
}

bool control_note_failure(const struct reader *reader, struct control_call *call, const char *event,
                          const struct control_actor *actor, const char *subject) {
    struct control_parameters parameters = {0};
    put_number(&parameters, reader->ledger_id);
    put_text(&parameters, event);
    put_uuid(&parameters, &actor->principal);
    put_text(&parameters, subject);
    put_text(&parameters, actor->reason);
    put_text(&parameters, actor->origin);
    return send(reader, call, "control_note_failure", &parameters);
}
