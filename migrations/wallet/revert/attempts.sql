-- Revert pacioli_wallet:attempts from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION ledger.begin_attempt(integer, uuid, bigint);
DROP FUNCTION ledger.next_attempt();
DROP TABLE ledger.attempt;
DROP SEQUENCE ledger.attempt_number;

-- The version goes with the change that it told of; the trigger guards against everybody else.
ALTER TABLE ledger.schema_version DISABLE TRIGGER schema_version_append_only;
DELETE FROM ledger.schema_version WHERE version = 6;
ALTER TABLE ledger.schema_version ENABLE TRIGGER schema_version_append_only;

COMMIT;
