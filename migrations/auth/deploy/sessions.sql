-- Deploy pacioli_auth:sessions to pg
-- requires: audit
-- Sessions: a login opens one, each refresh renews it by a token that is used once, and whatever ends it revokes its
-- access tokens through auth.revocation, which other services follow. Each function is one action, and whole.

BEGIN;
SET LOCAL lock_timeout = '5s';

-- A session is the family of the refresh tokens that descend from one login.
CREATE TABLE auth.session (
    id           uuid        PRIMARY KEY,
    user_id      uuid        NOT NULL REFERENCES auth.users (id),
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    idle_ends_at timestamptz NOT NULL, -- moved by each refresh
    ends_at      timestamptz NOT NULL, -- never moved
    access_until timestamptz NOT NULL, -- no access token of the session is valid for longer
    address      text        NOT NULL CHECK (length(address) <= 64),
    agent        text        NOT NULL CHECK (length(agent) <= 256),
    ended_at     timestamptz,
    end_reason   text        CHECK (end_reason IN ('logout', 'ended', 'password', 'reuse', 'displaced', 'user')),
    CHECK ((ended_at IS NULL) = (end_reason IS NULL))
);
CREATE INDEX session_of_user ON auth.session (user_id, created_at) WHERE ended_at IS NULL;

-- Only digests: what stands here opens nothing.
CREATE TABLE auth.refresh_token (
    hash       bytea       PRIMARY KEY CHECK (octet_length(hash) = 32),
    session_id uuid        NOT NULL REFERENCES auth.session (id),
    used_at    timestamptz,
    successor  bytea       CHECK (octet_length(successor) = 32),
    CHECK ((used_at IS NULL) = (successor IS NULL))
);
CREATE INDEX refresh_token_of_session ON auth.refresh_token (session_id);

-- Access tokens that must not be accepted any more: those of a session, or those of a user that name no session and
-- were issued up to a time. The number of the transaction tells a follower what is new (see auth.revocations).
CREATE TABLE auth.revocation (
    subject       uuid        PRIMARY KEY,
    kind          text        NOT NULL CHECK (kind IN ('session', 'user')),
    issued_up_to  timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL, -- all tokens that it is about have expired by then
    recorded_xid  xid8        NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX revocation_recorded ON auth.revocation (recorded_xid, subject);

-- p_origin is where the request came from, for the audit trail.
CREATE FUNCTION auth.session_end(p_session uuid, p_reason text, p_actor uuid, p_origin jsonb) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    access_until timestamptz;
BEGIN
    UPDATE auth.session AS s SET ended_at = clock_timestamp(), end_reason = p_reason
     WHERE s.id = p_session AND s.ended_at IS NULL
    RETURNING s.access_until INTO access_until;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM auth.audit_write(CASE p_reason WHEN 'logout' THEN 'session_logout' ELSE 'authn_token_revoked' END,
                             'success', p_actor::text, p_session::text, p_reason, p_origin);
    IF access_until > clock_timestamp() THEN
        INSERT INTO auth.revocation (subject, kind, issued_up_to, expires_at)
        VALUES (p_session, 'session', clock_timestamp(), access_until);
    END IF;
    RETURN true;
END
$$;

-- Revokes what was issued to a user without a session: by older issuers, for at most a year.
CREATE FUNCTION auth.tokens_revoke(p_user uuid) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO auth.revocation (subject, kind, issued_up_to, expires_at)
    VALUES (p_user, 'user', clock_timestamp(), clock_timestamp() + interval '366 days')
    ON CONFLICT (subject) DO UPDATE SET issued_up_to = excluded.issued_up_to, expires_at = excluded.expires_at,
                                        recorded_xid = excluded.recorded_xid
$$;

-- Ends all sessions of a user but one. The user's row is locked, so that no session is opened meanwhile.
CREATE FUNCTION auth.user_revoke(p_user uuid, p_except uuid, p_reason text, p_actor uuid, p_origin jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM auth.users WHERE id = p_user FOR NO KEY UPDATE;
    PERFORM auth.session_end(id, p_reason, p_actor, p_origin)
       FROM (SELECT id FROM auth.session
              WHERE user_id = p_user AND ended_at IS NULL AND id IS DISTINCT FROM p_except
              ORDER BY id FOR NO KEY UPDATE) AS open;
    PERFORM auth.tokens_revoke(p_user);
END
$$;

-- Other roles, or no login any more: nothing that was issued before says so, and it ends, whoever made the change.
CREATE FUNCTION auth.user_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM auth.user_revoke(NEW.id, NULL, 'user', NULL, '{}');
    RETURN NULL;
END
$$;
CREATE TRIGGER users_changed AFTER UPDATE OF roles, disabled_at ON auth.users
    FOR EACH ROW
    WHEN (OLD.roles IS DISTINCT FROM NEW.roles OR (OLD.disabled_at IS NULL AND NEW.disabled_at IS NOT NULL))
    EXECUTE FUNCTION auth.user_changed();

-- Is whoever calls still somebody who may? p_session is NULL for a token without one.
CREATE FUNCTION auth.caller_is_good(p_user uuid, p_session uuid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM auth.users WHERE id = p_user AND disabled_at IS NULL)
       AND (p_session IS NULL
            OR EXISTS (SELECT FROM auth.session
                        WHERE id = p_session AND user_id = p_user AND ended_at IS NULL AND idle_ends_at > now()))
$$;

CREATE FUNCTION auth.utc(p_time timestamptz) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT to_char(p_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- Seconds that a token may live, not beyond the end of its session.
CREATE FUNCTION auth.seconds_left(p_ends_at timestamptz, p_most bigint) RETURNS bigint
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT greatest(1, least(p_most, floor(extract(epoch FROM p_ends_at - clock_timestamp()))::bigint))
$$;

-- A login; no row: the user was disabled since he was looked up. Of the sessions beyond p_most the oldest are ended.
CREATE FUNCTION auth.session_open(p_session uuid, p_user uuid, p_token bytea, p_idle_s bigint, p_total_s bigint,
                                  p_access_s bigint, p_most bigint, p_origin jsonb)
RETURNS TABLE (user_roles text, access_s bigint, refresh_s bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_ timestamptz;
    ends timestamptz;
    idle timestamptz;
BEGIN
    SELECT array_to_string(u.roles, ' ') INTO user_roles
      FROM auth.users AS u WHERE u.id = p_user AND u.disabled_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    now_ := clock_timestamp();
    ends := now_ + p_total_s * interval '1 second';
    idle := least(ends, now_ + p_idle_s * interval '1 second');
    PERFORM auth.session_end(id, 'displaced', p_user, p_origin)
       FROM (SELECT id FROM auth.session
              WHERE user_id = p_user AND ended_at IS NULL AND idle_ends_at > now_
              ORDER BY created_at DESC, id DESC OFFSET p_most - 1) AS oldest;
    access_s := auth.seconds_left(idle, p_access_s);
    refresh_s := auth.seconds_left(idle, p_total_s);
    INSERT INTO auth.session (id, user_id, created_at, last_used_at, idle_ends_at, ends_at, access_until, address, agent)
    VALUES (p_session, p_user, now_, now_, idle, ends, now_ + (access_s + 2) * interval '1 second',
            left(coalesce(p_origin ->> 'address', ''), 64), left(coalesce(p_origin ->> 'agent', ''), 256));
    INSERT INTO auth.refresh_token (hash, session_id) VALUES (p_token, p_session);
    PERFORM auth.audit_write('session_created', 'success', p_user::text, p_session::text, NULL, p_origin);
    RETURN NEXT;
END
$$;

/*
 * A refresh: p_token is exchanged for p_successor, once. Outcomes:
 *   renewed   this is the first use
 *   repeated  it was used at most p_grace_s ago, and its successor not yet: the answer was lost, here it is again
 *   reused    somebody uses an old token: the session is over
 *   over      the session has ended or expired
 *   unknown   no such token
 * The session's row is locked first, so that all of its refreshes are decided one after the other.
 */
CREATE FUNCTION auth.session_refresh(p_token bytea, p_successor bytea, p_grace_s bigint, p_idle_s bigint,
                                     p_access_s bigint, p_origin jsonb)
RETURNS TABLE (outcome text, session_id uuid, user_id uuid, user_roles text, access_s bigint, refresh_s bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    s      auth.session;
    now_   timestamptz;
    used   timestamptz;
    unused bytea;
BEGIN
    SELECT o.* INTO s
      FROM auth.refresh_token AS t JOIN auth.session AS o ON o.id = t.session_id
     WHERE t.hash = p_token
       FOR NO KEY UPDATE OF o;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'unknown', NULL::uuid, NULL::uuid, '', 0::bigint, 0::bigint;
        RETURN;
    END IF;
    now_ := clock_timestamp();
    IF s.ended_at IS NOT NULL OR now_ >= s.idle_ends_at THEN
        PERFORM auth.audit_write('session_use_after_expire', 'failure', s.user_id::text, s.id::text,
                                 coalesce(s.end_reason, 'expired'), p_origin);
        RETURN QUERY SELECT 'over', s.id, s.user_id, '', 0::bigint, 0::bigint;
        RETURN;
    END IF;
    UPDATE auth.refresh_token AS t SET used_at = now_, successor = p_successor
     WHERE t.hash = p_token AND t.used_at IS NULL;
    IF FOUND THEN
        outcome := 'renewed';
        INSERT INTO auth.refresh_token (hash, session_id) VALUES (p_successor, s.id);
        s.idle_ends_at := least(s.ends_at, now_ + p_idle_s * interval '1 second');
    ELSE
        SELECT t.used_at, n.hash INTO used, unused
          FROM auth.refresh_token AS t
          LEFT JOIN auth.refresh_token AS n ON n.hash = t.successor AND n.used_at IS NULL AND n.hash = p_successor
         WHERE t.hash = p_token;
        IF unused IS NULL OR now_ >= used + p_grace_s * interval '1 second' THEN
            PERFORM auth.audit_write('authn_token_reuse', 'failure', s.user_id::text, s.id::text, NULL, p_origin);
            PERFORM auth.session_end(s.id, 'reuse', s.user_id, p_origin);
            RETURN QUERY SELECT 'reused', s.id, s.user_id, '', 0::bigint, 0::bigint;
            RETURN;
        END IF;
        outcome := 'repeated';
    END IF;
    access_s := auth.seconds_left(s.idle_ends_at, p_access_s);
    refresh_s := auth.seconds_left(s.idle_ends_at, 2147483647);
    UPDATE auth.session AS o
       SET last_used_at = now_, idle_ends_at = s.idle_ends_at,
           access_until = greatest(o.access_until, now_ + (access_s + 2) * interval '1 second')
     WHERE o.id = s.id;
    PERFORM auth.audit_write('session_renewed', 'success', s.user_id::text, s.id::text, outcome, p_origin);
    session_id := s.id;
    user_id := s.user_id;
    SELECT array_to_string(u.roles, ' ') INTO user_roles FROM auth.users AS u WHERE u.id = s.user_id;
    RETURN NEXT;
END
$$;

-- A new password, unless it was changed since the old one was verified; all sessions but p_session end.
CREATE FUNCTION auth.password_change(p_user uuid, p_session uuid, p_old text, p_new text, p_origin jsonb)
RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE auth.users SET password_hash = p_new WHERE id = p_user AND password_hash = p_old;
    IF NOT FOUND THEN
        PERFORM auth.audit_write('authn_password_change_fail', 'failure', p_user::text, p_user::text, 'changed_meanwhile',
                                 p_origin);
        RETURN false;
    END IF;
    PERFORM auth.audit_write('authn_password_change', 'success', p_user::text, p_user::text, NULL, p_origin);
    PERFORM auth.user_revoke(p_user, p_session, 'password', p_user, p_origin);
    RETURN true;
END
$$;

/*
 * What a follower of the revocations has not seen. It asks with the oldest_running of its last round: whatever
 * committed later has a transaction number of at least that, however long it ran. A page is full at p_most rows, and
 * is continued behind its last row.
 */
CREATE FUNCTION auth.revocations(p_after xid8, p_beyond uuid, p_most bigint)
RETURNS TABLE (subject uuid, kind text, issued_up_to bigint, expires_at bigint, recorded_xid text, oldest_running text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.subject, r.kind, floor(extract(epoch FROM r.issued_up_to))::bigint,
           ceil(extract(epoch FROM r.expires_at))::bigint, r.recorded_xid::text, now_.oldest::text
      FROM (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS oldest) AS now_
      LEFT JOIN LATERAL (SELECT * FROM auth.revocation
                          WHERE (recorded_xid, subject) > (p_after, p_beyond) AND expires_at > now()
                          ORDER BY recorded_xid, subject LIMIT p_most) AS r ON true
$$;

GRANT SELECT, INSERT ON auth.session, auth.refresh_token, auth.revocation TO :"service_role";
GRANT UPDATE (last_used_at, idle_ends_at, access_until, ended_at, end_reason) ON auth.session TO :"service_role";
GRANT UPDATE (used_at, successor) ON auth.refresh_token TO :"service_role";
GRANT UPDATE (issued_up_to, expires_at, recorded_xid) ON auth.revocation TO :"service_role";
GRANT EXECUTE ON FUNCTION
    auth.session_end(uuid, text, uuid, jsonb),
    auth.tokens_revoke(uuid),
    auth.user_revoke(uuid, uuid, text, uuid, jsonb),
    auth.caller_is_good(uuid, uuid),
    auth.utc(timestamptz),
    auth.seconds_left(timestamptz, bigint),
    auth.session_open(uuid, uuid, bytea, bigint, bigint, bigint, bigint, jsonb),
    auth.session_refresh(bytea, bytea, bigint, bigint, bigint, jsonb),
    auth.password_change(uuid, uuid, text, text, jsonb),
    auth.revocations(xid8, uuid, bigint)
TO :"service_role";

INSERT INTO auth.schema_version (version) VALUES (4);

COMMIT;
