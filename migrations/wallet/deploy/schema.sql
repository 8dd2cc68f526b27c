-- Deploy pacioli_wallet:schema to pg
-- The schema ledger, what everybody else may do in this database (nothing), and the schema's version.

BEGIN;
SET LOCAL lock_timeout = '5s';

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO :"service_role";

-- A function is executable by everybody unless its maker says otherwise: say it once, for all later ones.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE SCHEMA ledger;
GRANT USAGE ON SCHEMA ledger TO :"service_role";

-- One refusal for every table and command that must stay as it is; the trigger's argument is the SQLSTATE.
CREATE FUNCTION ledger.refuse_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = TG_ARGV[0],
        MESSAGE = format('%s on %I.%I is refused: its rows are kept for ever as they were written',
                         TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME),
        SCHEMA = TG_TABLE_SCHEMA,
        TABLE = TG_TABLE_NAME;
END
$$;

CREATE TABLE ledger.schema_version (
    version     integer     PRIMARY KEY CHECK (version > 0),
    deployed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TRIGGER schema_version_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.schema_version
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC013');

GRANT SELECT ON ledger.schema_version TO :"service_role";

COMMIT;
