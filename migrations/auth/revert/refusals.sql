-- Revert pacioli_auth:refusals from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

/*
 * Other roles for a user, or whether he may log in; NULL: as it is. Outcomes: done, missing, last_admin (nobody could
 * administrate any more), unauthorized. Administrators are changed one after the other. The trigger users_changed ends
 * his sessions.
 */
CREATE OR REPLACE FUNCTION auth.user_change(p_actor uuid, p_session uuid, p_origin jsonb, p_user uuid, p_roles text,
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

COMMIT;
