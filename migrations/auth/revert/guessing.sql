-- Revert pacioli_auth:guessing from pg
-- Counters are not kept: after a new deployment everybody begins without failures.

BEGIN;
SET LOCAL lock_timeout = '5s';

DELETE FROM auth.schema_version WHERE version = 5;
DROP FUNCTION auth.guesses_forget(bigint),
    auth.login_passed(uuid, bytea, bytea, boolean, text, bigint, text, text, jsonb, jsonb),
    auth.login_failed(uuid, text, bigint, boolean, jsonb, jsonb),
    auth.login_undone(bytea, bytea, boolean, text, jsonb),
    auth.login_begin(text, bytea, bytea, text, jsonb, jsonb),
    auth.limit_note(text, interval, jsonb),
    auth.bucket_give(text, bigint),
    auth.bucket_take(text, bigint, bigint),
    auth.bucket_wait(text, bigint, bigint);
DROP TABLE auth.bucket, auth.guess;

COMMIT;
