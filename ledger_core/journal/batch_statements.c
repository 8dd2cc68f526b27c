/*
 * Design.  The SQL of posting.  Every statement but BEGIN, COMMIT and ROLLBACK begins with the
 * ledger's number; batch.c tells why they come in that order, and what each of them proves.
 */
#include "ledger_core/journal/batch_statements.h"

/* The accounts of a batch: those that are named, and the settlement accounts of their assets. */
#define LOCKED_IDS                                                                                 \
    "($2::uuid[] || ARRAY(SELECT s.id FROM unnest($3::uuid[]) own(id)"                             \
    " JOIN ledger.account a ON a.ledger_id = $1 AND a.id = own.id"                                 \
    " JOIN ledger.account s ON s.ledger_id = $1 AND s.code = 'assets:settlement:' || a.asset))"

const struct db_statement BATCH_STATEMENTS[] = {
    {"begin", "BEGIN"},
    {"lock", "SELECT b.account_id, b.posted, b.held, b.entries, b.ctid, b.revision"
             "  FROM ledger.balance b"
             " WHERE b.ledger_id = $1::integer AND b.account_id = ANY (" LOCKED_IDS ")"
             " ORDER BY b.account_id FOR UPDATE"},
    {"accounts", "SELECT a.id, a.owner_id, a.asset, s.decimals::integer, a.class, a.status,"
                 "       a.floor, a.code = 'assets:settlement:' || a.asset"
                 "  FROM ledger.account a"
                 "  JOIN ledger.asset s ON s.ledger_id = a.ledger_id AND s.code = a.asset"
                 " WHERE a.ledger_id = $1::integer AND a.id = ANY (" LOCKED_IDS ")"
                 " ORDER BY a.id"},
    /* OFFSET 0: a plan made on empty tables would otherwise walk all of a ledger's keys. */
    {"keys", "SELECT k.ordinal, t.id, t.request_digest, e.balance_after"
             "  FROM unnest($2::uuid[], $3::text[], $4::uuid[])"
             "       WITH ORDINALITY k(principal, key, account, ordinal)"
             " CROSS JOIN LATERAL (SELECT x.id, x.request_digest FROM ledger.transaction x"
             "       WHERE x.ledger_id = $1::integer AND x.principal = k.principal"
             "       AND x.idempotency_key = k.key COLLATE \"C\" OFFSET 0) t"
             "  LEFT JOIN LATERAL (SELECT y.balance_after FROM ledger.entry y"
             "       WHERE y.ledger_id = $1::integer AND y.transaction_id = t.id"
             "       AND y.account_id = k.account OFFSET 0) e ON true"},
    {"write", "WITH t AS (INSERT INTO ledger.transaction"
              " (ledger_id, id, kind, principal, idempotency_key, request_digest, effective_at)"
              " SELECT $1::integer, u.id, u.kind, u.principal, u.key, u.digest,"
              "        coalesce(nullif(u.effective_at, '-infinity'), statement_timestamp())"
              "   FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::bytea[],"
              "               $7::timestamptz[])"
              "        u(id, kind, principal, key, digest, effective_at))"
              " INSERT INTO ledger.entry"
              " (ledger_id, account_id, seq, transaction_id, amount, balance_after)"
              " SELECT $1::integer, u.*"
              "   FROM unnest($8::uuid[], $9::bigint[], $10::uuid[], $11::numeric[],"
              "               $12::numeric[]) u"},
    {"closed", "SELECT p.to_at FROM ledger.period p WHERE p.ledger_id = $1::integer"
               " ORDER BY p.to_at DESC LIMIT 1"},
    {"snapshots",
     "WITH moved AS (UPDATE ledger.balance b SET posted = u.posted, entries = u.entries"
     "  FROM unnest($2::tid[], $3::uuid[], $4::numeric[], $5::bigint[], $6::numeric[],"
     "              $7::bigint[], $8::bigint[])"
     "       u(address, id, posted, entries, was_posted, was_entries, revision)"
     " WHERE b.ctid = u.address AND b.ledger_id = $1::integer AND b.account_id = u.id"
     "   AND b.entries = u.was_entries AND b.revision = u.revision AND b.posted = u.was_posted"
     " RETURNING b.account_id, b.ctid)"
     " SELECT ledger.confirm_rows(count(*), cardinality($3::uuid[])),"
     "        array_agg(account_id), array_agg(ctid) FROM moved"},
    {"fence", "UPDATE ledger.balance SET revision = revision + 1"
              " WHERE ledger_id = $1::integer AND account_id = ANY (" LOCKED_IDS ")"},
    {"commit", "COMMIT"},
    {"rollback", "ROLLBACK"},
};
const size_t BATCH_STATEMENT_COUNT = sizeof(BATCH_STATEMENTS) / sizeof(BATCH_STATEMENTS[0]);
