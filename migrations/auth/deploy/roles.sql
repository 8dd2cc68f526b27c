-- Deploy pacioli_auth:roles to pg
-- requires: users
-- What a user may do, and whether he may log in at all. service_kit/role.h has the same names.

BEGIN;
SET LOCAL lock_timeout = '5s';

ALTER TABLE auth.users
    ADD COLUMN roles text[] NOT NULL DEFAULT '{user}' CONSTRAINT users_roles_check
        CHECK (roles <@ '{user,operator,auditor,admin}' AND array_position(roles, NULL) IS NULL),
    ADD COLUMN disabled_at timestamptz;

GRANT UPDATE (roles, disabled_at) ON auth.users TO :"service_role";

INSERT INTO auth.schema_version (version) VALUES (2);

COMMIT;
