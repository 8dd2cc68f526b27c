-- Verify pacioli_wallet:account_status on pg

BEGIN;

SELECT 1 / (has_function_privilege(:'service_role',
                'ledger.set_account_status(integer, uuid, text, uuid, text, jsonb)', 'EXECUTE')
            AND NOT has_any_column_privilege(:'service_role', 'ledger.account', 'UPDATE'))::integer;

ROLLBACK;
