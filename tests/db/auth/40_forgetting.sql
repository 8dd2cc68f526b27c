-- What is forgotten, what is not, and that a call takes no more than it may. The running service is tested in
-- tests/api/test_forgetting.py.
BEGIN;
SELECT plan(24);

CREATE FUNCTION pg_temp.id(int) RETURNS uuid LANGUAGE sql
AS $$ SELECT format('00000000-0000-7000-8000-%s', lpad($1::text, 12, '0'))::uuid $$;
-- A session with so many refresh tokens of which the last is unused; ages in seconds.
CREATE FUNCTION pg_temp.session(number int, idle_left int, total_left int, ended_ago int, tokens int, access_left int)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO auth.session (id, user_id, created_at, last_used_at, idle_ends_at, ends_at, access_until, address, agent,
                              ended_at, end_reason)
    VALUES (pg_temp.id(number), pg_temp.id(0), now(), now(), now() + idle_left * interval '1 s',
            now() + total_left * interval '1 s', now() + access_left * interval '1 s', '::1', 'curl',
            now() - ended_ago * interval '1 s', CASE WHEN ended_ago IS NOT NULL THEN 'logout' END);
    INSERT INTO auth.refresh_token (hash, session_id, used_at, successor)
    SELECT sha256(format('%s %s', number, n)::bytea), pg_temp.id(number), CASE WHEN n < tokens THEN now() END,
           CASE WHEN n < tokens THEN sha256('x') END
      FROM generate_series(1, tokens) AS n
$$;
CREATE FUNCTION pg_temp.left_over() RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(format('%s:%s', ltrim(right(id::text, 12), '0'), coalesce(end_reason, 'open')), ' '
                               ORDER BY id), '') FROM auth.session $$;
CREATE FUNCTION pg_temp.tokens(int) RETURNS int LANGUAGE sql
AS $$ SELECT count(*)::int FROM auth.refresh_token WHERE session_id = pg_temp.id($1) $$;

INSERT INTO auth.users (id, username, password_hash) VALUES (pg_temp.id(0), 'forgetting.sql', '$2b$12$x');
SELECT pg_temp.session(1, 1000, 9000, NULL, 5, 60);   -- open
SELECT pg_temp.session(2, -1, 9000, NULL, 2, -1);     -- idle for too long
SELECT pg_temp.session(3, -5, -5, NULL, 2, -5);       -- used until its last day
SELECT pg_temp.session(4, 1000, 9000, 900, 2, -800);  -- ended a while ago
SELECT pg_temp.session(5, 1000, 9000, 2000, 7, -800); -- ended long ago
SELECT pg_temp.session(6, 1000, 9000, 2000, 1, 60);   -- the same, with an access token that is still good
SELECT pg_temp.session(7, -2000, -2000, NULL, 2, -2000); -- expired long ago, and nobody looked

SET ROLE auth_service;
SELECT throws_ok($$ DELETE FROM auth.session $$, '42501', NULL, 'the service deletes no session by itself');
SELECT throws_ok($$ DELETE FROM auth.refresh_token $$, '42501', NULL, 'nor a refresh token');
SELECT throws_ok($$ DELETE FROM auth.revocation $$, '42501', NULL, 'nor a revocation');
SELECT throws_ok($$ SELECT auth.sessions_forget(-1, 10) $$, '22023', NULL, 'a negative age');
SELECT throws_ok($$ SELECT auth.sessions_forget(1000, 0) $$, '22023', NULL, 'no rows at all');
SELECT throws_ok($$ SELECT auth.sessions_forget(1000, 10001) $$, '22023', NULL, 'too many rows at once');
SELECT throws_ok($$ SELECT auth.sessions_forget(NULL, 10) $$, '22023', NULL, 'no age');
SELECT is(auth.sessions_forget(1000, 100), false, 'one call is enough for a few');
SELECT is(pg_temp.left_over(), '1:open 2:expired 3:expired 4:logout 6:logout',
          'late ones are ended; gone are those that ended long ago and whose access tokens have expired');
SELECT results_eq(
    $$ SELECT format('%s %s %s %s', right(subject, 1), outcome, reason, detail ->> 'user' = pg_temp.id(0)::text)
                     COLLATE "default"
         FROM auth.audit WHERE event = 'session_expired' ORDER BY subject $$,
    ARRAY['2 success idle t', '3 success total t', '7 success total t'], 'the trail tells which, and why');
SELECT is(pg_temp.tokens(1), 5, 'an open session keeps all of its refresh tokens');
SELECT is(pg_temp.tokens(4), 2, 'one that ended a while ago, too');
SELECT is(pg_temp.tokens(5) + pg_temp.tokens(7), 0, 'those of the others are gone');
SELECT is((SELECT outcome FROM auth.session_refresh(sha256('1 1'), sha256('y'), 10, 1000, 60, '{}')), 'reused',
          'the oldest token of a session is recognised');
SELECT is((SELECT outcome FROM auth.session_refresh(sha256('4 1'), sha256('y'), 10, 1000, 60, '{}')), 'over',
          'and that of one that is over');
SELECT is((SELECT outcome FROM auth.session_refresh(sha256('5 7'), sha256('y'), 10, 1000, 60, '{}')), 'unknown',
          'a forgotten one is unknown');
SELECT is((SELECT ended_at FROM auth.session WHERE id = pg_temp.id(2)),
          (SELECT idle_ends_at FROM auth.session WHERE id = pg_temp.id(2)), 'it ended when it ended');

-- Batches.
RESET ROLE;
SELECT pg_temp.session(8, 1000, 9000, 5000, 25, -800);
SET ROLE auth_service;
SELECT is(auth.sessions_forget(1000, 10), true, 'a session with many tokens takes more than one call');
SELECT is(pg_temp.tokens(8), 15, 'of ten tokens each');
SELECT is(auth.sessions_forget(1000, 10), true, 'a second one');
SELECT is(auth.sessions_forget(1000, 10), false, 'a third one');
SELECT is((SELECT count(*)::int FROM auth.session WHERE id = pg_temp.id(8)), 0, 'and it is gone');

-- Revocations.
RESET ROLE;
DELETE FROM auth.revocation;
INSERT INTO auth.revocation (subject, kind, issued_up_to, expires_at)
SELECT pg_temp.id(100 + n), 'session', now(), now() - n * interval '20 minutes' FROM generate_series(-1, 30) AS n;
SET ROLE auth_service;
SELECT is(ARRAY(SELECT auth.sessions_forget(1000, 20) FROM generate_series(1, 2)), ARRAY[true, false],
          'revocations in two calls');
SELECT is((SELECT count(*)::int FROM auth.revocation), 5, 'those stay that expired within the hour or will');
SELECT * FROM finish();
ROLLBACK;
