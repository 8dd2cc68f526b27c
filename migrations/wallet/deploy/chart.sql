-- Deploy pacioli_wallet:chart to pg
-- requires: reversal
-- A code begins with its class: a wallet is liabilities:wallets:<id>, so that codes roll up by segment.

BEGIN;
SET LOCAL lock_timeout = '5s';

UPDATE ledger.account SET code = 'liabilities:' || code
 WHERE class = 'liability' AND code LIKE 'wallets:%';

COMMIT;
