-- Deploy pacioli_wallet:moment_ranges to pg
-- requires: adjustments
-- A report that looks for what came since a moment reads every block range that the index knows nothing of yet, and the
-- server tells it of full ones only once a minute: some hundred thousand rows when the service is busy. Whoever is
-- about to look tells it first. It is work that would be done anyway, each range once.

BEGIN;
SET LOCAL lock_timeout = '5s';

-- How many ranges the index learned of: none while somebody else (VACUUM) is at the table, as that is for him to do.
-- No writer waits for this, and whoever reports does for a moment at the most.
CREATE FUNCTION ledger.summarize_moments() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '20ms'
AS $$
BEGIN
    RETURN brin_summarize_new_values('ledger.transaction_moments');
EXCEPTION WHEN lock_not_available THEN
    RETURN 0;
END
$$;

GRANT EXECUTE ON FUNCTION ledger.summarize_moments() TO :"service_role";

INSERT INTO ledger.schema_version (version) VALUES (8);

COMMIT;
