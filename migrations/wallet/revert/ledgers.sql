-- Revert pacioli_wallet:ledgers from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DO $$
BEGIN
    IF EXISTS (SELECT FROM ledger.transaction)
       OR EXISTS (SELECT FROM ledger.account WHERE code NOT LIKE 'assets:settlement:%') THEN
        RAISE EXCEPTION 'there are transactions or accounts of users: a revert never deletes books';
    END IF;
END
$$;

ALTER TABLE ledger.balance DISABLE TRIGGER balance_kept;
ALTER TABLE ledger.account DISABLE TRIGGER account_kept;
ALTER TABLE ledger.asset DISABLE TRIGGER asset_kept;
ALTER TABLE ledger.ledger DISABLE TRIGGER ledger_kept;
ALTER TABLE ledger.schema_version DISABLE TRIGGER schema_version_append_only;

DELETE FROM ledger.balance;
DELETE FROM ledger.account;
DELETE FROM ledger.asset;
DELETE FROM ledger.ledger;
DELETE FROM ledger.schema_version WHERE version = 1;

ALTER TABLE ledger.balance ENABLE TRIGGER balance_kept;
ALTER TABLE ledger.account ENABLE TRIGGER account_kept;
ALTER TABLE ledger.asset ENABLE TRIGGER asset_kept;
ALTER TABLE ledger.ledger ENABLE TRIGGER ledger_kept;
ALTER TABLE ledger.schema_version ENABLE TRIGGER schema_version_append_only;

DROP FUNCTION ledger.create_ledger(text), ledger.create_asset(integer, text, integer), ledger.iso_4217();

COMMIT;
