-- Revert pacioli_auth:sessions from pg
-- Sessions are no books: their users log in again.

BEGIN;
SET LOCAL lock_timeout = '5s';

DELETE FROM auth.schema_version WHERE version = 4;
DROP FUNCTION auth.revocations(xid8, uuid, bigint);
DROP FUNCTION auth.password_change(uuid, uuid, text, text, jsonb);
DROP FUNCTION auth.session_refresh(bytea, bytea, bigint, bigint, bigint, jsonb);
DROP FUNCTION auth.session_open(uuid, uuid, bytea, bigint, bigint, bigint, bigint, jsonb);
DROP FUNCTION auth.seconds_left(timestamptz, bigint);
DROP FUNCTION auth.utc(timestamptz);
DROP TRIGGER users_changed ON auth.users;
DROP FUNCTION auth.user_changed();
DROP FUNCTION auth.caller_is_good(uuid, uuid);
DROP FUNCTION auth.user_revoke(uuid, uuid, text, uuid, jsonb);
DROP FUNCTION auth.tokens_revoke(uuid);
DROP FUNCTION auth.session_end(uuid, text, uuid, jsonb);
DROP TABLE auth.revocation;
DROP TABLE auth.refresh_token;
DROP TABLE auth.session;

COMMIT;
