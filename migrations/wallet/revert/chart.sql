-- Revert pacioli_wallet:chart from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

UPDATE ledger.account SET code = substr(code, length('liabilities:') + 1)
 WHERE class = 'liability' AND code LIKE 'liabilities:wallets:%';

COMMIT;
