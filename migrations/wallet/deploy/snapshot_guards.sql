-- Deploy pacioli_wallet:snapshot_guards to pg
-- requires: moment_ranges
-- A trigger that runs before a row is updated makes the server lock that row first, with a record in the WAL, whatever
-- columns the trigger names. Every posting moves snapshots and none of them concerned these two triggers, but each paid
-- for the lock. They come once a statement, and after the row.

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION ledger.refuse_identity_update() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'PC011',
        MESSAGE = format('%s of %I.%I cannot be changed: journal rows depend on it',
                         array_to_string(TG_ARGV, ', '), TG_TABLE_SCHEMA, TG_TABLE_NAME),
        SCHEMA = TG_TABLE_SCHEMA,
        TABLE = TG_TABLE_NAME;
END
$$;

-- Called when the revision is not one more than it was.
CREATE FUNCTION ledger.require_revision() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NEW.revision <> OLD.revision THEN
        RAISE EXCEPTION USING
            ERRCODE = 'PC021',
            MESSAGE = format('the revision of the snapshot of ledger %s, account %s counts up by one: %s cannot follow %s',
                             NEW.ledger_id, NEW.account_id, NEW.revision, OLD.revision),
            SCHEMA = TG_TABLE_SCHEMA,
            TABLE = TG_TABLE_NAME,
            COLUMN = 'revision';
    END IF;
    UPDATE ledger.balance SET revision = revision + 1
     WHERE ledger_id = NEW.ledger_id AND account_id = NEW.account_id;
    RETURN NULL;
END
$$;

DROP TRIGGER balance_identity ON ledger.balance;
CREATE TRIGGER balance_identity
    BEFORE UPDATE OF ledger_id, account_id ON ledger.balance
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_identity_update('ledger_id', 'account_id');

DROP TRIGGER balance_revision ON ledger.balance;
CREATE TRIGGER balance_revision
    AFTER UPDATE OF held, revision ON ledger.balance
    FOR EACH ROW WHEN (NEW.revision <> OLD.revision + 1) EXECUTE FUNCTION ledger.require_revision();
DROP FUNCTION ledger.count_revision();

INSERT INTO ledger.schema_version (version) VALUES (9);

COMMIT;
