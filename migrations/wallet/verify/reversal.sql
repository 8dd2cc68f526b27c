-- Verify pacioli_wallet:reversal on pg

BEGIN;

SELECT 1 / has_function_privilege(:'service_role',
    'ledger.reverse_transaction(integer, uuid, uuid, uuid, text, text, jsonb)', 'EXECUTE')::integer;

ROLLBACK;
