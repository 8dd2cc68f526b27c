-- Deploy pacioli_auth:schema to pg
-- The schema auth, what everybody else may do in this database (nothing), and the schema's version.

BEGIN;
SET LOCAL lock_timeout = '5s';

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO :"service_role";

-- A function is executable by everybody unless its maker says otherwise: say it once, for all later ones.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE SCHEMA auth;
GRANT USAGE ON SCHEMA auth TO :"service_role";

CREATE TABLE auth.schema_version (
    version     integer     PRIMARY KEY CHECK (version > 0),
    deployed_at timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT ON auth.schema_version TO :"service_role";

COMMIT;
