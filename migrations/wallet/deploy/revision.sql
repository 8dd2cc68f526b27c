-- Deploy pacioli_wallet:revision to pg
-- requires: confirm_rows
-- A writer may remember a snapshot and move it later by compare-and-set. So that the comparison notices
-- whatever else a decision rests on (status, floor, what is held), each change of those counts here.

BEGIN;
SET LOCAL lock_timeout = '5s';

ALTER TABLE ledger.balance ADD COLUMN revision bigint NOT NULL DEFAULT 0 CHECK (revision >= 0);

-- The triggers name their columns: a posting, which moves posted and entries alone, does not come here.
CREATE FUNCTION ledger.count_revision() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.revision := OLD.revision + 1;
    RETURN NEW;
END
$$;

CREATE FUNCTION ledger.count_account_revision() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE ledger.balance SET revision = revision + 1
     WHERE ledger_id = NEW.ledger_id AND account_id = NEW.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER balance_revision
    BEFORE UPDATE OF held, revision ON ledger.balance
    FOR EACH ROW EXECUTE FUNCTION ledger.count_revision();
CREATE TRIGGER account_revision
    AFTER UPDATE OF status, floor, code ON ledger.account
    FOR EACH ROW EXECUTE FUNCTION ledger.count_account_revision();

-- Whatever is written there, it counts one up.
GRANT UPDATE (revision) ON ledger.balance TO :"service_role";

INSERT INTO ledger.schema_version (version) VALUES (2);

COMMIT;
