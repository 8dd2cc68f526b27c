-- Verify pacioli_wallet:audit on pg

BEGIN;

SELECT id, recorded_at, event, outcome, actor, subject, reason, request_id, address, agent, detail
  FROM ledger.audit WHERE false;
SELECT 1 / (has_table_privilege(:'service_role', 'ledger.audit', 'SELECT')
            AND has_column_privilege(:'service_role', 'ledger.audit', 'event', 'INSERT')
            AND has_function_privilege(:'service_role',
                'ledger.audit_write(text, text, text, text, text, jsonb, jsonb)', 'EXECUTE'))::integer;
SELECT 1 / (NOT has_table_privilege(:'service_role', 'ledger.audit', 'UPDATE, DELETE, TRUNCATE')
            AND NOT has_column_privilege(:'service_role', 'ledger.audit', 'recorded_at', 'INSERT'))::integer;
SELECT 1 / (count(*) = 1)::integer
  FROM pg_trigger
 WHERE tgrelid = 'ledger.audit'::regclass AND tgname = 'audit_append_only' AND tgenabled = 'O';

ROLLBACK;
