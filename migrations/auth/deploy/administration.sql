-- Deploy pacioli_auth:administration to pg
-- requires: guessing
-- What administrators do, and service accounts: callers without a password, for jobs. Every function asks first whether
-- the caller is an administrator now, whatever his token says, and writes what it did into the audit trail.

BEGIN;
SET LOCAL lock_timeout = '5s';

-- A service account has a secret of 256 random bits, of which only the digest is here, and no more rights than a job
-- needs.
CREATE TABLE auth.service_account (
    id          uuid        PRIMARY KEY,
    name        text        COLLATE "C" NOT NULL CONSTRAINT service_account_name_key UNIQUE
        CHECK (name ~ '^[A-Za-z0-9_.-]{3,64}$'),
    secret_hash bytea       NOT NULL CHECK (octet_length(secret_hash) = 32),
    roles       text[]      NOT NULL CONSTRAINT service_account_roles_check
        CHECK (roles <@ '{operator,auditor}' AND roles <> '{}' AND array_position(roles, NULL) IS NULL),
    created_by  uuid        NOT NULL REFERENCES auth.users (id),
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    disabled_at timestamptz
);

CREATE FUNCTION auth.admin_is_good(p_actor uuid, p_session uuid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT auth.caller_is_good(p_actor, p_session)
       AND EXISTS (SELECT FROM auth.users WHERE id = p_actor AND 'admin' = ANY (roles))
$$;

/*
 * Other roles for a user, or whether he may log in; NULL: as it is. Outcomes: done, missing, last_admin (nobody could
 * administrate any more), unauthorized. Administrators are changed one after the other. The trigger users_changed ends
 * his sessions.
 */
CREATE FUNCTION auth.user_change(p_actor uuid, p_session uuid, p_origin jsonb, p_user uuid, p_roles text,
                                 p_enabled boolean)
RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before   auth.users;
    enabled  boolean;
    after    text[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('pacioli administrators'));
    IF NOT auth.admin_is_good(p_actor, p_session) THEN
        RETURN 'unauthorized';
    END IF;
    SELECT * INTO before FROM auth.users WHERE id = p_user FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 'missing';
    END IF;
    after := coalesce(string_to_array(nullif(p_roles, ''), ' '), CASE WHEN p_roles = '' THEN '{}' ELSE before.roles END);
    enabled := coalesce(p_enabled, before.disabled_at IS NULL);
    IF 'admin' = ANY (before.roles) AND NOT (enabled AND 'admin' = ANY (after))
       AND NOT EXISTS (SELECT FROM auth.users
                        WHERE id <> p_user AND 'admin' = ANY (roles) AND disabled_at IS NULL) THEN
        RETURN 'last_admin';
    END IF;
    IF after <> before.roles THEN
        UPDATE auth.users SET roles = after WHERE id = p_user;
        PERFORM auth.audit_write('privilege_permissions_changed', 'success', p_actor::text, p_user::text, NULL, p_origin,
                                 jsonb_build_object('before', before.roles, 'after', after));
    END IF;
    IF enabled <> (before.disabled_at IS NULL) THEN
        UPDATE auth.users SET disabled_at = CASE WHEN NOT enabled THEN clock_timestamp() END WHERE id = p_user;
        PERFORM auth.audit_write('user_updated', 'success', p_actor::text, p_user::text,
                                 CASE WHEN enabled THEN 'enabled' ELSE 'disabled' END, p_origin);
    END IF;
    RETURN 'done';
END
$$;

-- A name may be tried again at once, from everywhere.
CREATE FUNCTION auth.user_unlock(p_actor uuid, p_session uuid, p_origin jsonb, p_user uuid, p_name_key bytea)
RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT auth.admin_is_good(p_actor, p_session) THEN
        RETURN 'unauthorized';
    END IF;
    DELETE FROM auth.guess WHERE key = p_name_key;
    PERFORM auth.audit_write('user_updated', 'success', p_actor::text, p_user::text, 'unlocked', p_origin);
    RETURN 'done';
END
$$;

-- Outcomes: done, taken, unauthorized.
CREATE FUNCTION auth.service_account_create(p_actor uuid, p_session uuid, p_origin jsonb, p_id uuid, p_name text,
                                            p_hash bytea, p_roles text)
RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT auth.admin_is_good(p_actor, p_session) THEN
        RETURN 'unauthorized';
    END IF;
    INSERT INTO auth.service_account (id, name, secret_hash, roles, created_by)
    VALUES (p_id, p_name, p_hash, string_to_array(p_roles, ' '), p_actor)
    ON CONFLICT (name) DO NOTHING;
    IF NOT FOUND THEN
        RETURN 'taken';
    END IF;
    PERFORM auth.audit_write('user_created', 'success', p_actor::text, p_id::text, 'service_account', p_origin,
                             jsonb_build_object('name', p_name, 'roles', string_to_array(p_roles, ' ')));
    RETURN 'done';
END
$$;

-- For good; its tokens end, too. Outcomes: done, missing, unauthorized.
CREATE FUNCTION auth.service_account_disable(p_actor uuid, p_session uuid, p_origin jsonb, p_id uuid) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT auth.admin_is_good(p_actor, p_session) THEN
        RETURN 'unauthorized';
    END IF;
    UPDATE auth.service_account SET disabled_at = clock_timestamp() WHERE id = p_id AND disabled_at IS NULL;
    IF NOT FOUND THEN
        RETURN 'missing';
    END IF;
    PERFORM auth.tokens_revoke(p_id);
    PERFORM auth.audit_write('user_archived', 'success', p_actor::text, p_id::text, 'service_account', p_origin);
    RETURN 'done';
END
$$;

-- The credentials of a service account for a token. Verdicts: go, no, address (for wait_ms). The secret cannot be
-- guessed; what an address gets wrong takes a token of its bucket, so that nobody fills the trail.
CREATE FUNCTION auth.client_begin(p_id uuid, p_hash bytea, p_address text, p_limits jsonb, p_origin jsonb)
RETURNS TABLE (verdict text, wait_ms bigint, roles text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    burst  constant bigint := p_limits ->> 'address_burst';
    us     constant bigint := p_limits ->> 'address_us';
    bucket constant text := 'login ' || p_address;
    wait   interval;
BEGIN
    wait_ms := 0;
    SELECT array_to_string(a.roles, ' ') INTO roles
      FROM auth.service_account AS a WHERE a.id = p_id AND a.secret_hash = p_hash AND a.disabled_at IS NULL
       FOR SHARE;
    wait := auth.bucket_wait(bucket, burst, us);
    IF wait > interval '0' OR (roles IS NULL AND NOT auth.bucket_take(bucket, burst, us)) THEN
        verdict := 'address';
        wait := auth.bucket_wait(bucket, burst, us);
        wait_ms := greatest(1, ceil(extract(epoch FROM wait) * 1000));
        PERFORM auth.limit_note(verdict, wait, p_origin);
    ELSIF roles IS NULL THEN
        verdict := 'no';
        PERFORM auth.audit_write('authn_login_fail', 'failure', NULL,
                                 (SELECT id::text FROM auth.service_account WHERE id = p_id), 'client_credentials',
                                 p_origin);
    ELSE
        verdict := 'go';
        PERFORM auth.audit_write('authn_token_created', 'success', p_id::text, p_id::text, 'client_credentials', p_origin);
    END IF;
    RETURN NEXT;
END
$$;

GRANT SELECT, INSERT ON auth.service_account TO :"service_role";
GRANT UPDATE (disabled_at) ON auth.service_account TO :"service_role";
GRANT EXECUTE ON FUNCTION
    auth.admin_is_good(uuid, uuid),
    auth.user_change(uuid, uuid, jsonb, uuid, text, boolean),
    auth.user_unlock(uuid, uuid, jsonb, uuid, bytea),
    auth.service_account_create(uuid, uuid, jsonb, uuid, text, bytea, text),
    auth.service_account_disable(uuid, uuid, jsonb, uuid),
    auth.client_begin(uuid, bytea, text, jsonb, jsonb)
TO :"service_role";

INSERT INTO auth.schema_version (version) VALUES (6);

COMMIT;
