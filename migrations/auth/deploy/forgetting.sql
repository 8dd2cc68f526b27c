-- Deploy pacioli_auth:forgetting to pg
-- requires: administration
-- What is over is not kept for ever: sessions with their refresh tokens, and revocations. A session that nobody refreshed
-- in time is ended and told in the trail before. The service has no right to delete from these tables: it may call this
-- function, which runs as the owner and takes nothing that a token could still need.

BEGIN;
SET LOCAL lock_timeout = '5s';

ALTER TABLE auth.session DROP CONSTRAINT session_end_reason_check;
ALTER TABLE auth.session ADD CONSTRAINT session_end_reason_check
    CHECK (end_reason IN ('logout', 'ended', 'password', 'reuse', 'displaced', 'user', 'expired'));
CREATE INDEX session_idle_end ON auth.session (idle_ends_at) WHERE ended_at IS NULL;
CREATE INDEX session_ended ON auth.session (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX revocation_expires ON auth.revocation (expires_at);

/*
 * At most p_most rows of each kind; true: there may be more. Nothing is waited for: what somebody has locked is left for
 * the next time. All refresh tokens of an open session stay, so that the reuse of the oldest is noticed; those of one that
 * is over stay for p_kept_s, so that the trail tells who still tries them. A revocation stays for an hour longer than any
 * token that it is about, for followers whose clock is behind.
 */
CREATE FUNCTION auth.sessions_forget(p_kept_s bigint, p_most bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    late  record;
    over  uuid[];
    count bigint := 0;
    most  bigint := 0;
BEGIN
    IF p_kept_s IS NULL OR p_kept_s < 0 OR p_most IS NULL OR p_most NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = 'auth.sessions_forget: p_kept_s is at least 0, p_most is 1 to 10000';
    END IF;
    FOR late IN
        UPDATE auth.session AS s SET ended_at = s.idle_ends_at, end_reason = 'expired'
         WHERE s.id IN (SELECT id FROM auth.session
                         WHERE ended_at IS NULL AND idle_ends_at <= now()
                         ORDER BY idle_ends_at LIMIT p_most
                           FOR NO KEY UPDATE SKIP LOCKED)
        RETURNING s.id, s.user_id, s.idle_ends_at, s.ends_at
    LOOP
        PERFORM auth.audit_write('session_expired', 'success', NULL, late.id::text,
                                 CASE WHEN late.idle_ends_at < late.ends_at THEN 'idle' ELSE 'total' END, '{}',
                                 jsonb_build_object('user', late.user_id, 'ended_at', auth.utc(late.idle_ends_at)));
        count := count + 1;
    END LOOP;
    most := count;
    over := ARRAY(SELECT id FROM auth.session
                   WHERE ended_at < now() - p_kept_s * interval '1 second' AND access_until < now()
                   ORDER BY ended_at LIMIT p_most
                     FOR UPDATE SKIP LOCKED);
    DELETE FROM auth.refresh_token
     WHERE hash IN (SELECT hash FROM auth.refresh_token WHERE session_id = ANY (over) LIMIT p_most);
    GET DIAGNOSTICS count = ROW_COUNT;
    most := greatest(most, count);
    DELETE FROM auth.session AS s
     WHERE s.id = ANY (over) AND NOT EXISTS (SELECT FROM auth.refresh_token AS t WHERE t.session_id = s.id);
    most := greatest(most, cardinality(over));
    DELETE FROM auth.revocation
     WHERE subject IN (SELECT subject FROM auth.revocation
                        WHERE expires_at < now() - interval '1 hour'
                        ORDER BY expires_at LIMIT p_most
                          FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS count = ROW_COUNT;
    RETURN greatest(most, count) >= p_most;
END
$$;

GRANT EXECUTE ON FUNCTION auth.sessions_forget(bigint, bigint) TO :"service_role";

INSERT INTO auth.schema_version (version) VALUES (7);

COMMIT;
