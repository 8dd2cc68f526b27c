-- Deploy pacioli_auth:users to pg
-- requires: schema
-- Who may log in. A name is compared byte by byte; its rule is the one of the HTTP edge.

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE auth.users (
    id            uuid        PRIMARY KEY,
    username      text        COLLATE "C" NOT NULL CONSTRAINT users_username_key UNIQUE
        CHECK (username ~ '^[A-Za-z0-9_.-]{3,64}$'),
    password_hash text        NOT NULL CHECK (password_hash <> ''),
    created_at    timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT, INSERT ON auth.users TO :"service_role";
GRANT UPDATE (password_hash) ON auth.users TO :"service_role";

INSERT INTO auth.schema_version (version) VALUES (1);

COMMIT;
