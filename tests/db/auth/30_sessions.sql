-- Sessions: each function does all of its work or none, and what it ends is revoked.
BEGIN;
SELECT plan(35);

CREATE FUNCTION pg_temp.hash(text) RETURNS bytea LANGUAGE sql AS $$ SELECT sha256($1::bytea) $$;
CREATE FUNCTION pg_temp.open(session text, token text, most int DEFAULT 10) RETURNS text LANGUAGE sql AS
$$ SELECT format('%s %s %s', user_roles, access_s, refresh_s)
     FROM auth.session_open(session::uuid, '00000000-0000-4000-8000-000000000001', sha256(token::bytea), 1000, 5000,
                            60, most, '{"address": "::1", "agent": "curl", "request_id": "r"}') $$;
CREATE FUNCTION pg_temp.refresh(token text, successor text, grace int DEFAULT 10) RETURNS text LANGUAGE sql AS
$$ SELECT outcome FROM auth.session_refresh(sha256(token::bytea), sha256(successor::bytea), grace, 1000, 60, '{}') $$;
CREATE FUNCTION pg_temp.id(int) RETURNS text LANGUAGE sql
AS $$ SELECT format('00000000-0000-7000-8000-00000000000%s', $1) $$;
CREATE FUNCTION pg_temp.revoked(int) RETURNS int LANGUAGE sql
AS $$ SELECT count(*)::int FROM auth.revocation WHERE subject = pg_temp.id($1)::uuid AND kind = 'session' $$;

SET ROLE auth_service;
INSERT INTO auth.users (id, username, password_hash)
VALUES ('00000000-0000-4000-8000-000000000001', 'sessions.sql', '$2b$12$x');

SELECT is(pg_temp.open(pg_temp.id(1), 'a1'), 'user 60 999', 'a session, with the seconds that its tokens live');
SELECT throws_ok($$ SELECT pg_temp.open(pg_temp.id(1), 'zz') $$, '23505', NULL, 'an id is used once');
SELECT is(pg_temp.refresh('nonsense', 'b'), 'unknown', 'a token that never was');
SELECT is(pg_temp.refresh('a1', 'a2'), 'renewed', 'the first use');
SELECT is(pg_temp.refresh('a1', 'a2'), 'repeated', 'again, within the grace');
SELECT is(pg_temp.refresh('a1', 'a2', 0), 'reused', 'without a grace it is a theft');
SELECT is(pg_temp.revoked(1), 1, 'which revokes the session');
SELECT is(pg_temp.refresh('a2', 'a3'), 'over', 'and ends it for everybody');

SELECT is(pg_temp.open(pg_temp.id(2), 'b1'), 'user 60 999', 'another one');
SELECT is(pg_temp.refresh('b1', 'b2'), 'renewed', 'b2');
SELECT is(pg_temp.refresh('b2', 'b3'), 'renewed', 'b3');
SELECT is(pg_temp.refresh('b1', 'b2'), 'reused', 'the grandparent, within the grace: a theft');
SELECT is(pg_temp.refresh('b3', 'b4'), 'over', 'the youngest is refused too');

SELECT is(pg_temp.open(pg_temp.id(3), 'c1', 2), 'user 60 999', 'a third');
SELECT is(pg_temp.open(pg_temp.id(4), 'd1', 2), 'user 60 999', 'and a fourth: two are allowed');
SELECT is(pg_temp.revoked(3), 0, 'both are open');
SELECT is(pg_temp.open(pg_temp.id(5), 'e1', 2), 'user 60 999', 'a fifth');
SELECT is((SELECT string_agg(end_reason, ' ') FROM auth.session WHERE end_reason = 'displaced'), 'displaced',
          'one had to make room');

SELECT ok(auth.session_end(pg_temp.id(5)::uuid, 'logout', NULL, '{}'), 'logout');
SELECT ok(NOT auth.session_end(pg_temp.id(5)::uuid, 'logout', NULL, '{}'), 'a session ends once');
SELECT throws_ok($$ SELECT auth.session_end(id, 'because', NULL, '{}') FROM auth.session WHERE ended_at IS NULL $$,
                 '23514', NULL, 'for a reason that exists');

-- Passwords.
SELECT is(pg_temp.open(pg_temp.id(6), 'f1'), 'user 60 999', 'a session that stays');
SELECT is(pg_temp.open(pg_temp.id(7), 'g1'), 'user 60 999', 'and one that does not');
SELECT ok(NOT auth.password_change('00000000-0000-4000-8000-000000000001', pg_temp.id(6)::uuid, 'other', 'new', '{}'),
          'a password that was changed meanwhile');
SELECT is(pg_temp.revoked(7), 0, 'ends nothing');
SELECT ok(auth.password_change('00000000-0000-4000-8000-000000000001', pg_temp.id(6)::uuid, '$2b$12$x', 'new', '{}'),
          'a new password');
SELECT is((SELECT array_agg(id::text) FROM auth.session WHERE ended_at IS NULL), ARRAY[pg_temp.id(6)],
          'ends all sessions but the caller''s');
SELECT is((SELECT count(*)::int FROM auth.revocation WHERE kind = 'user'), 1, 'and revokes tokens without one');

-- Changes of a user.
UPDATE auth.users SET roles = roles, disabled_at = disabled_at WHERE username = 'sessions.sql';
SELECT is(pg_temp.revoked(6), 0, 'no change ends nothing');
UPDATE auth.users SET roles = '{admin}' WHERE username = 'sessions.sql';
SELECT is(pg_temp.revoked(6), 1, 'other roles end his sessions');
UPDATE auth.users SET disabled_at = now() WHERE username = 'sessions.sql';
SELECT is(pg_temp.open(pg_temp.id(8), 'h1'), NULL, 'a disabled user opens none');
SELECT ok(NOT auth.caller_is_good('00000000-0000-4000-8000-000000000001', NULL), 'and is no good caller');

-- What a follower sees. All of this is one transaction.
SELECT is((SELECT count(*)::int FROM auth.revocations('0', '00000000-0000-0000-0000-000000000000', 100)),
          (SELECT count(*)::int FROM auth.revocation), 'all of it from the beginning');
SELECT is((SELECT count(*)::int FROM auth.revocations('0', '00000000-0000-0000-0000-000000000000', 2)), 2, 'a page');
SELECT is((SELECT count(subject)::int FROM auth.revocations('9223372036854775807',
                                                            '00000000-0000-0000-0000-000000000000', 2)), 0,
          'nothing from the future');
SELECT * FROM finish();
ROLLBACK;
