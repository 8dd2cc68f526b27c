-- Revert pacioli_wallet:periods from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DO $$
BEGIN
    IF EXISTS (SELECT FROM ledger.period) THEN
        RAISE EXCEPTION 'ledger.period has rows: a revert never opens what was closed';
    END IF;
END
$$;

DROP FUNCTION ledger.write_period_report(integer, timestamptz);
DROP FUNCTION ledger.periods_json(integer, timestamptz, integer);
DROP FUNCTION ledger.trial_balance_text(integer, timestamptz);
DROP FUNCTION ledger.close_period(integer, timestamptz, uuid, text, jsonb);
DROP TRIGGER transaction_period ON ledger.transaction;
DROP FUNCTION ledger.check_period();
DROP TABLE ledger.period_report;
DROP TABLE ledger.period;

-- The version goes with the change that it told of; the trigger guards against everybody else.
ALTER TABLE ledger.schema_version DISABLE TRIGGER schema_version_append_only;
DELETE FROM ledger.schema_version WHERE version = 5;
ALTER TABLE ledger.schema_version ENABLE TRIGGER schema_version_append_only;

COMMIT;
