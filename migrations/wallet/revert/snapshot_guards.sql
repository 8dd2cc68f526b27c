-- Revert pacioli_wallet:snapshot_guards from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION ledger.count_revision() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.revision := OLD.revision + 1;
    RETURN NEW;
END
$$;

DROP TRIGGER balance_revision ON ledger.balance;
CREATE TRIGGER balance_revision
    BEFORE UPDATE OF held, revision ON ledger.balance
    FOR EACH ROW EXECUTE FUNCTION ledger.count_revision();
DROP TRIGGER balance_identity ON ledger.balance;
CREATE TRIGGER balance_identity
    BEFORE UPDATE OF ledger_id, account_id ON ledger.balance
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_identity_change('ledger_id', 'account_id');
DROP FUNCTION ledger.require_revision();
DROP FUNCTION ledger.refuse_identity_update();

-- The version goes with the change that it told of; the trigger guards against everybody else.
ALTER TABLE ledger.schema_version DISABLE TRIGGER schema_version_append_only;
DELETE FROM ledger.schema_version WHERE version = 9;
ALTER TABLE ledger.schema_version ENABLE TRIGGER schema_version_append_only;

COMMIT;
