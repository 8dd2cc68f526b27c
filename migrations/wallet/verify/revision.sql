-- Verify pacioli_wallet:revision on pg

BEGIN;

SELECT revision FROM ledger.balance WHERE false;
SELECT 1 / (count(*) = 2)::integer
  FROM pg_trigger
 WHERE tgname IN ('balance_revision', 'account_revision') AND tgenabled = 'O';
SELECT 1 / has_column_privilege(:'service_role', 'ledger.balance', 'revision', 'UPDATE')::integer;

ROLLBACK;
