-- Verify pacioli_wallet:snapshot_guards on pg

BEGIN;

SELECT 1 / (count(*) = 2)::integer FROM pg_trigger
 WHERE tgrelid = 'ledger.balance'::regclass AND tgenabled = 'O'
   AND tgname IN ('balance_identity', 'balance_revision');
-- None that locks each row of a posting: 1 is for each row, 2 before it, 16 for updates.
SELECT 1 / (count(*) = 0)::integer FROM pg_trigger
 WHERE tgrelid = 'ledger.balance'::regclass AND tgtype & 19 = 19;
SELECT 1 / (count(*) = 1)::integer FROM ledger.schema_version WHERE version = 9;

ROLLBACK;
