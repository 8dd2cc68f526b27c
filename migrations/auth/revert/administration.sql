-- Revert pacioli_auth:administration from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DO $$
BEGIN
    IF EXISTS (SELECT FROM auth.service_account) THEN
        RAISE EXCEPTION 'auth.service_account has rows: a revert never deletes who may call';
    END IF;
END
$$;

DELETE FROM auth.schema_version WHERE version = 6;
DROP FUNCTION auth.client_begin(uuid, bytea, text, jsonb, jsonb),
    auth.service_account_disable(uuid, uuid, jsonb, uuid),
    auth.service_account_create(uuid, uuid, jsonb, uuid, text, bytea, text),
    auth.user_unlock(uuid, uuid, jsonb, uuid, bytea),
    auth.user_change(uuid, uuid, jsonb, uuid, text, boolean),
    auth.admin_is_good(uuid, uuid);
DROP TABLE auth.service_account;

COMMIT;
