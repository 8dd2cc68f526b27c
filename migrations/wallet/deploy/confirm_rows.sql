-- Deploy pacioli_wallet:confirm_rows to pg
-- requires: ledgers
-- A writer that moves snapshots knows how many there must be. The statement itself says so before COMMIT:
-- a client that counts afterwards counts too late.

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION ledger.confirm_rows(moved bigint, expected bigint) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF moved <> expected THEN
        RAISE EXCEPTION '% snapshots were moved where % must be', moved, expected
            USING ERRCODE = 'PC020';
    END IF;
    RETURN moved;
END
$$;

REVOKE ALL ON FUNCTION ledger.confirm_rows(bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.confirm_rows(bigint, bigint) TO :"service_role";

COMMIT;
