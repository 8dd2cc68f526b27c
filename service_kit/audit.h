/*
 * audit: the trail of who did what, from where, with what outcome.  A service's database has a
 * table `audit` and a function `audit_write` in its schema (migrations/.../audit.sql); the
 * statements of the service write into it as they act.  Here is what they need of a request, and
 * the call that shows the trail to auditors.
 */
#ifndef PACIOLI_SERVICE_KIT_AUDIT_H
#define PACIOLI_SERVICE_KIT_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service_kit/db.h"

struct http_request;

/*
 * Where a request came from, as JSON text for audit_write's p_origin: its id, the client's address,
 * its agent.  Lives as long as the request; never NULL.
 */
const char *audit_origin(struct http_request *request);

/*
 * Whoever has a token can be refused as often as he likes: what a thread writes of that has a
 * limit, AUDIT_DENIALS_PER_MINUTE, and the access log has the rest.  Zero-initialise it.
 */
#define AUDIT_DENIALS_PER_MINUTE 600
struct audit_budget {
    int64_t since_us;
    size_t used;
};
/* May one more line be written? */
__attribute__((warn_unused_result)) bool audit_spend(struct audit_budget *budget);

/* What was refused, for the trail: the route, as "POST /users/{id}/disable". */
#define AUDIT_SUBJECT_SIZE 129
void audit_route(const struct http_request *request, char subject[static AUDIT_SUBJECT_SIZE]);

/*
 * The statement of audit_list, for the service's table; both are string literals.  `scope` is
 * "" or a condition with $9, beginning with AND: what of the table the service may show at all.
 */
#define AUDIT_STATEMENT(schema, scope)                                                             \
    {                                                                                              \
        "audit_list",                                                                              \
            "SELECT id, json_build_object('id', id, 'recorded_at', to_char(recorded_at AT TIME "   \
            "ZONE"                                                                                 \
            " 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), 'event', event, 'outcome', outcome,"    \
            " 'actor', actor, 'subject', subject, 'reason', reason, 'request_id', request_id,"     \
            " 'address', address, 'agent', agent, 'detail', detail)::text"                         \
            " FROM " schema ".audit"                                                               \
            " WHERE ($1::bigint IS NULL OR id < $1) AND ($2::text IS NULL OR event = $2)"          \
            " AND ($3::text IS NULL OR outcome = $3) AND ($4::text IS NULL OR actor = $4)"         \
            " AND ($5::text IS NULL OR subject = $5) AND ($6::timestamptz IS NULL OR recorded_at " \
            ">= $6)"                                                                               \
            " AND ($7::timestamptz IS NULL OR recorded_at < $7)" scope                             \
            " ORDER BY id DESC LIMIT $8::bigint"                                                   \
    }

/*
 * Answers GET /audit: newest first, with the filters event, outcome, actor, subject, from, to
 * (times of RFC 3339), and limit and cursor.  `scope` is $9 of the statement, NULL when it has
 * none.  `in_flight` counts statements whose result has not come; it and the pool outlive the
 * request.
 */
void audit_list(struct http_request *request, struct db_pool *pool, size_t *in_flight,
                const char *scope);

#endif
