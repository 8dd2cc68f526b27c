-- Verify pacioli_wallet:adjustments on pg

BEGIN;

SELECT ledger_id, id, debit_id, credit_id, amount, effective_at, breaks, reason, proposed_by, idempotency_key,
       request_digest, proposed_at
  FROM ledger.adjustment WHERE false;
SELECT ledger_id, adjustment_id, proposed_by, approved, decided_by, reason, match_id, decided_at
  FROM ledger.adjustment_decision WHERE false;
SELECT 1 / (count(*) = 2)::integer
  FROM pg_trigger
 WHERE tgname IN ('adjustment_append_only', 'adjustment_decision_append_only') AND tgenabled = 'O';
SELECT 1 / (prosrc LIKE '%ledger.post_entry(%')::integer
  FROM pg_proc
 WHERE oid = 'ledger.post_adjustment(integer, uuid, text, uuid, text, numeric, text, jsonb)'::regprocedure;
SELECT 1 / (has_function_privilege(:'service_role',
                'ledger.decide_adjustment(integer, uuid, boolean, uuid, text, jsonb)', 'EXECUTE')
            AND has_function_privilege(:'service_role',
                'ledger.propose_entry(integer, uuid, text, text, numeric, timestamptz, uuid, text, text, jsonb)',
                'EXECUTE')
            AND has_function_privilege(:'service_role',
                'ledger.propose_resolution(integer, uuid, bigint[], text, uuid, text, text, jsonb)', 'EXECUTE')
            AND has_table_privilege(:'service_role', 'ledger.adjustment', 'SELECT')
            AND NOT has_table_privilege(:'service_role', 'ledger.adjustment', 'UPDATE, DELETE'))::integer;

ROLLBACK;
