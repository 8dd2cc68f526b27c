-- Verify pacioli_wallet:chart on pg
-- A service of before may still have opened wallets under the old codes; reports show them beside the others.

BEGIN;

SELECT code FROM ledger.account WHERE false;

ROLLBACK;
