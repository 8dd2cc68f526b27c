-- Guesses: one row of limits, the counters behind it. The running service is tested in tests/api/test_guessing.py.
BEGIN;
SELECT plan(20);

CREATE FUNCTION pg_temp.limits() RETURNS jsonb LANGUAGE sql AS $$
    SELECT '{"free": 2, "wait_max": 8, "stop": 5, "known_free": 3, "known_wait_max": 4, "address_burst": 20,
             "address_us": 60000000, "all_burst": 30, "all_us": 60000000}'::jsonb $$;
CREATE FUNCTION pg_temp.key(text) RETURNS bytea LANGUAGE sql AS $$ SELECT sha256($1::bytea) $$;
CREATE FUNCTION pg_temp.try(name text, device text DEFAULT 'd', address text DEFAULT '192.0.2.1') RETURNS text
LANGUAGE sql AS $$
    SELECT format('%s %s %s', verdict, failures, round(wait_ms / 1000.0))
      FROM auth.login_begin(name, pg_temp.key(name), pg_temp.key(name || device), address, pg_temp.limits(), '{}') $$;
CREATE FUNCTION pg_temp.later(seconds int) RETURNS void LANGUAGE sql AS $$
    UPDATE auth.guess SET wait_until = wait_until - seconds * interval '1 second' WHERE wait_until > '-infinity' $$;

SET ROLE auth_service;
INSERT INTO auth.users (id, username, password_hash) VALUES ('00000000-0000-7000-8000-000000000001', 'alice', 'x');
SELECT is(pg_temp.try('alice'), 'go 1 0', 'the first failure is free');
SELECT is(pg_temp.try('alice'), 'go 2 0', 'the second, too');
SELECT is(pg_temp.try('alice'), 'account  1', 'then there is a wait of a second');
SELECT is(pg_temp.try('alice', 'other', '192.0.2.2'), 'account  1', 'from everywhere');
SELECT is(pg_temp.try('nobody'), 'go 1 0', 'another name does not wait');
SELECT pg_temp.later(1);
SELECT is(pg_temp.try('alice'), 'go 3 0', 'after it one attempt');
SELECT is(pg_temp.try('alice'), 'account  2', 'and twice the wait');
SELECT pg_temp.later(2);
SELECT is((SELECT auth.login_passed('00000000-0000-7000-8000-000000000001', pg_temp.key('alice'),
                                    pg_temp.key('alice' || 'home'), false, '192.0.2.1', 4, 'x', 'better',
                                    pg_temp.limits(), '{}')), true, 'the right password');
SELECT is((SELECT password_hash FROM auth.users WHERE username = 'alice'), 'better', 'a better hash takes the place');
SELECT is(pg_temp.try('alice'), 'go 1 0', 'all begins anew');
SELECT is(pg_temp.try('alice', 'home'), 'go 1 0', 'the device has a counter of its own');
SELECT is(pg_temp.try('alice'), 'go 2 0', 'beside the one of strangers');
SELECT is((SELECT known FROM auth.login_begin('alice', pg_temp.key('alice'), pg_temp.key('alicehome'), '192.0.2.9',
                                              pg_temp.limits(), '{}')), true, 'it is known');
UPDATE auth.guess SET failures = 5, wait_until = '-infinity' WHERE key = pg_temp.key('alice');
SELECT is((SELECT stopped FROM auth.login_begin('alice', pg_temp.key('alice'), pg_temp.key('alicex'), '192.0.2.9',
                                                pg_temp.limits(), '{}')), true, 'five in a row stop the name');
UPDATE auth.users SET disabled_at = now();
SELECT is((SELECT auth.login_passed('00000000-0000-7000-8000-000000000001', pg_temp.key('alice'),
                                    pg_temp.key('alice' || 'home'), false, '192.0.2.1', 4, 'x', NULL,
                                    pg_temp.limits(), '{}')), false, 'a user who was disabled meanwhile does not pass');
SELECT is((SELECT string_agg(split_part(pg_temp.try('n' || i, 'd', '192.0.2.3'), ' ', 1), ' ')
             FROM generate_series(1, 3) AS i), 'go go go', 'an address takes tokens');
UPDATE auth.bucket SET full_at = clock_timestamp() + interval '20 minutes' WHERE name = 'login 192.0.2.3';
SELECT is(split_part(pg_temp.try('n9', 'd', '192.0.2.3'), ' ', 1), 'address', 'until there is none');
SELECT is(auth.bucket_take('login 192.0.2.3', 20, 60000000), false, 'nor can one be taken');
UPDATE auth.guess SET used_at = now() - interval '2 days';
SELECT lives_ok('SELECT auth.guesses_forget(5)', 'old counters go');
SELECT is((SELECT array_agg(known ORDER BY known) FROM auth.guess), '{f,t}', 'but for the stopped name and the device');
SELECT * FROM finish();
ROLLBACK;
