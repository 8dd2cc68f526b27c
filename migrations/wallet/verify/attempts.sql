-- Verify pacioli_wallet:attempts on pg

BEGIN;

SELECT ledger_id, subject, number FROM ledger.attempt WHERE false;
SELECT 1 / (has_function_privilege(:'service_role', 'ledger.next_attempt()', 'EXECUTE')
            AND has_function_privilege(:'service_role', 'ledger.begin_attempt(integer, uuid, bigint)', 'EXECUTE')
            AND NOT has_any_column_privilege(:'service_role', 'ledger.attempt', 'SELECT, INSERT, UPDATE'))::integer;
SELECT 1 / (count(*) = 1)::integer FROM ledger.schema_version WHERE version = 6;

ROLLBACK;
