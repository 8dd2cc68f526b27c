-- Revert pacioli_auth:forgetting from pg
-- Sessions that have expired stay so, with a reason that no new row may have.

BEGIN;
SET LOCAL lock_timeout = '5s';

DELETE FROM auth.schema_version WHERE version = 7;
DROP FUNCTION auth.sessions_forget(bigint, bigint);
DROP INDEX auth.revocation_expires, auth.session_ended, auth.session_idle_end;
ALTER TABLE auth.session DROP CONSTRAINT session_end_reason_check;
ALTER TABLE auth.session ADD CONSTRAINT session_end_reason_check
    CHECK (end_reason IN ('logout', 'ended', 'password', 'reuse', 'displaced', 'user')) NOT VALID;

COMMIT;
