-- Verify pacioli_wallet:moments on pg

BEGIN;

SELECT 1 / count(*)
  FROM pg_index
 WHERE indexrelid = 'ledger.transaction_moments'::regclass AND indisvalid;

ROLLBACK;
