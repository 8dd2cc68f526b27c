-- Deploy pacioli_auth:guessing to pg
-- requires: sessions
-- Guesses cost: each attempt to log in is counted before its password is looked at, under the locks of its counters, so
-- that neither a second process nor a restart forgets one. A name is counted by its keyed digest, whether or not
-- anybody has it. p_limits holds the settings of the service: free, wait_max, stop (of an account); known_free,
-- known_wait_max (of a device from which that user has logged in before); address_burst, address_us, all_burst, all_us
-- (of the buckets: how many tokens one holds, and how long a new one takes).

BEGIN;
SET LOCAL lock_timeout = '5s';

-- Consecutive failures of a name, or of a name from an address that is known for it.
CREATE TABLE auth.guess (
    key        bytea       PRIMARY KEY CHECK (octet_length(key) = 32),
    known      boolean     NOT NULL,
    failures   integer     NOT NULL CHECK (failures >= 0),
    wait_until timestamptz NOT NULL,
    used_at    timestamptz NOT NULL
);
CREATE INDEX guess_used ON auth.guess (used_at);

-- A token bucket holds its tokens as the time at which it will be full again.
CREATE TABLE auth.bucket (
    name    text        COLLATE "C" PRIMARY KEY CHECK (length(name) <= 80),
    full_at timestamptz NOT NULL
);
CREATE INDEX bucket_full ON auth.bucket (full_at);

-- How long until there is a token; not positive: there is one.
CREATE FUNCTION auth.bucket_wait(p_name text, p_burst bigint, p_us bigint) RETURNS interval
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(max(greatest(full_at - clock_timestamp(), interval '0')), interval '0')
           + (1 - p_burst) * p_us * interval '1 microsecond'
      FROM auth.bucket WHERE name = p_name
$$;

CREATE FUNCTION auth.bucket_take(p_name text, p_burst bigint, p_us bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    one constant interval := p_us * interval '1 microsecond';
BEGIN
    INSERT INTO auth.bucket AS b (name, full_at) VALUES (p_name, clock_timestamp() + one)
    ON CONFLICT (name) DO UPDATE SET full_at = greatest(b.full_at, clock_timestamp()) + one
     WHERE b.full_at + one <= clock_timestamp() + p_burst * one OR b.full_at <= clock_timestamp();
    RETURN FOUND;
END
$$;

CREATE FUNCTION auth.bucket_give(p_name text, p_us bigint) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE auth.bucket SET full_at = full_at - p_us * interval '1 microsecond' WHERE name = p_name
$$;

-- A refusal goes into the trail, unless the same was noted within a second: a flood must cost little.
CREATE FUNCTION auth.limit_note(p_limit text, p_wait interval, p_origin jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM (SELECT reason, address, recorded_at FROM auth.audit
                   WHERE event = 'excess_rate_limit_exceeded' ORDER BY id DESC LIMIT 50) AS last
      WHERE reason = p_limit AND recorded_at > clock_timestamp() - interval '1 second'
        AND (p_limit = 'all' OR address = p_origin ->> 'address');
    IF NOT FOUND THEN
        PERFORM auth.audit_write('excess_rate_limit_exceeded', 'failure', NULL, NULL, p_limit, p_origin,
                                 jsonb_build_object('wait_ms', ceil(extract(epoch FROM p_wait) * 1000)));
    END IF;
END
$$;

/*
 * May this attempt go on? Verdicts: go, account, address, all (which limit refuses, for wait_ms). An attempt that goes
 * on is a failure until login_passed says otherwise. What is refused is so at first sight, without a lock or a write.
 * Locks are taken in one order: account, address, all. A known device is not subject to the limit of all.
 */
CREATE FUNCTION auth.login_begin(p_name text, p_name_key bytea, p_device_key bytea, p_address text, p_limits jsonb,
                                 p_origin jsonb)
RETURNS TABLE (verdict text, wait_ms bigint, failures integer, stopped boolean, known boolean, user_id uuid,
               password_hash text, roles text, disabled boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    address_burst constant bigint := p_limits ->> 'address_burst';
    address_us    constant bigint := p_limits ->> 'address_us';
    all_burst     constant bigint := p_limits ->> 'all_burst';
    all_us        constant bigint := p_limits ->> 'all_us';
    stop          constant integer := p_limits ->> 'stop';
    bucket        constant text := 'login ' || p_address;
    free          integer;
    wait_max      bigint;
    counter       bytea;
    g             auth.guess;
    wait          interval;
BEGIN
    known := EXISTS (SELECT FROM auth.guess AS x WHERE x.key = p_device_key AND x.known AND x.failures < stop);
    counter := CASE WHEN known THEN p_device_key ELSE p_name_key END;
    free := p_limits ->> CASE WHEN known THEN 'known_free' ELSE 'free' END;
    wait_max := p_limits ->> CASE WHEN known THEN 'known_wait_max' ELSE 'wait_max' END;
    verdict := 'go';
    SELECT coalesce(max(x.wait_until) - clock_timestamp(), interval '0') INTO wait
      FROM auth.guess AS x WHERE x.key = counter AND x.wait_until > clock_timestamp();
    IF wait > interval '0' THEN
        verdict := 'account';
    ELSE
        wait := auth.bucket_wait(bucket, address_burst, address_us);
        IF wait > interval '0' THEN
            verdict := 'address';
        ELSIF NOT known THEN
            wait := auth.bucket_wait('login', all_burst, all_us);
            IF wait > interval '0' THEN
                verdict := 'all';
            END IF;
        END IF;
    END IF;
    IF verdict = 'go' THEN
        INSERT INTO auth.guess AS x (key, known, failures, wait_until, used_at)
        VALUES (counter, false, 0, '-infinity', clock_timestamp())
        ON CONFLICT (key) DO UPDATE SET used_at = clock_timestamp()
        RETURNING * INTO g;
        IF g.wait_until > clock_timestamp() THEN
            verdict := 'account';
            wait := g.wait_until - clock_timestamp();
        ELSIF NOT auth.bucket_take(bucket, address_burst, address_us) THEN
            verdict := 'address';
            wait := auth.bucket_wait(bucket, address_burst, address_us);
        ELSIF NOT known AND NOT auth.bucket_take('login', all_burst, all_us) THEN
            PERFORM auth.bucket_give(bucket, address_us);
            verdict := 'all';
            wait := auth.bucket_wait('login', all_burst, all_us);
        END IF;
    END IF;
    IF verdict <> 'go' THEN
        wait_ms := greatest(1, ceil(extract(epoch FROM wait) * 1000));
        PERFORM auth.limit_note(verdict, wait, p_origin);
        RETURN NEXT;
        RETURN;
    END IF;
    wait_ms := 0;
    stopped := g.failures >= stop;
    failures := g.failures + 1;
    UPDATE auth.guess AS x
       SET failures = g.failures + 1,
           wait_until = CASE WHEN g.failures + 1 < free THEN '-infinity'
                             ELSE clock_timestamp() + least(wait_max, 2 ^ least(g.failures + 1 - free, 30))
                                                      * interval '1 second' END
     WHERE x.key = counter;
    SELECT u.id, u.password_hash, array_to_string(u.roles, ' '), u.disabled_at IS NOT NULL
      INTO user_id, password_hash, roles, disabled
      FROM auth.users AS u WHERE u.username = p_name;
    RETURN NEXT;
END
$$;

-- The attempt came to nothing, by no fault of the client.
CREATE FUNCTION auth.login_undone(p_name_key bytea, p_device_key bytea, p_known boolean, p_address text, p_limits jsonb)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE auth.guess SET failures = greatest(0, failures - 1), wait_until = '-infinity'
     WHERE key = CASE WHEN p_known THEN p_device_key ELSE p_name_key END;
    PERFORM auth.bucket_give('login ' || p_address, (p_limits ->> 'address_us')::bigint);
    IF NOT p_known THEN
        PERFORM auth.bucket_give('login', (p_limits ->> 'all_us')::bigint);
    END IF;
END
$$;

-- A wrong guess, and why, for the trail alone. The name of nobody is not kept: it may be a password.
CREATE FUNCTION auth.login_failed(p_user uuid, p_reason text, p_failures bigint, p_known boolean, p_limits jsonb,
                                  p_origin jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    detail constant jsonb := jsonb_build_object('failures', p_failures);
    free   constant bigint := p_limits ->> CASE WHEN p_known THEN 'known_free' ELSE 'free' END;
BEGIN
    PERFORM auth.audit_write('authn_login_fail', 'failure', NULL, p_user::text, p_reason, p_origin, detail);
    IF p_failures = (p_limits ->> 'stop')::bigint THEN
        PERFORM auth.audit_write('authn_login_lock', 'failure', NULL, p_user::text, NULL, p_origin, detail);
    ELSIF p_failures = free THEN
        PERFORM auth.audit_write('authn_login_fail_max', 'failure', NULL, p_user::text, NULL, p_origin, detail);
    END IF;
END
$$;

-- The right password. The counter begins anew, its tokens come back, the device is known from now on, and a better
-- hash (or null) takes the place of the old one. False: the user was disabled meanwhile.
CREATE FUNCTION auth.login_passed(p_user uuid, p_name_key bytea, p_device_key bytea, p_known boolean, p_address text,
                                  p_failures bigint, p_old text, p_new text, p_limits jsonb, p_origin jsonb)
RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor constant text := p_user::text;
BEGIN
    PERFORM FROM auth.users WHERE id = p_user AND disabled_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE auth.guess SET failures = 0, wait_until = '-infinity'
     WHERE key = CASE WHEN p_known THEN p_device_key ELSE p_name_key END AND failures > 0;
    IF NOT p_known THEN
        INSERT INTO auth.guess (key, known, failures, wait_until, used_at)
        VALUES (p_device_key, true, 0, '-infinity', clock_timestamp())
        ON CONFLICT (key) DO UPDATE SET failures = 0, wait_until = '-infinity', used_at = excluded.used_at;
    END IF;
    PERFORM auth.bucket_give('login ' || p_address, (p_limits ->> 'address_us')::bigint);
    IF NOT p_known THEN
        PERFORM auth.bucket_give('login', (p_limits ->> 'all_us')::bigint);
    END IF;
    IF p_new IS NOT NULL THEN
        UPDATE auth.users SET password_hash = p_new WHERE id = p_user AND password_hash = p_old;
    END IF;
    PERFORM auth.audit_write(
        CASE WHEN p_failures > 1 THEN 'authn_login_successafterfail' ELSE 'authn_login_success' END,
        'success', actor, actor, NULL, p_origin,
        CASE WHEN p_failures > 1 THEN jsonb_build_object('failures', p_failures - 1) ELSE '{}' END
            || CASE WHEN p_new IS NULL THEN '{}' ELSE '{"rehashed": true}'::jsonb END);
    RETURN true;
END
$$;

-- What nobody needs any more: full buckets, counters of strangers that rested for a day, devices for 90 days. A name that
-- is stopped stays so. At most some thousand at a time, and none that somebody uses now.
CREATE FUNCTION auth.guesses_forget(p_stop bigint) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM auth.bucket WHERE name IN (
        SELECT name FROM auth.bucket WHERE full_at < clock_timestamp() ORDER BY full_at LIMIT 2000
           FOR UPDATE SKIP LOCKED);
    DELETE FROM auth.guess WHERE key IN (
        SELECT key FROM auth.guess
         WHERE used_at < clock_timestamp() - interval '1 day' AND failures < p_stop
           AND (NOT known OR used_at < clock_timestamp() - interval '90 days')
         ORDER BY used_at LIMIT 2000
           FOR UPDATE SKIP LOCKED);
$$;

GRANT SELECT, INSERT, UPDATE, DELETE ON auth.guess, auth.bucket TO :"service_role";
GRANT EXECUTE ON FUNCTION
    auth.bucket_wait(text, bigint, bigint),
    auth.bucket_take(text, bigint, bigint),
    auth.bucket_give(text, bigint),
    auth.limit_note(text, interval, jsonb),
    auth.login_begin(text, bytea, bytea, text, jsonb, jsonb),
    auth.login_undone(bytea, bytea, boolean, text, jsonb),
    auth.login_failed(uuid, text, bigint, boolean, jsonb, jsonb),
    auth.login_passed(uuid, bytea, bytea, boolean, text, bigint, text, text, jsonb, jsonb),
    auth.guesses_forget(bigint)
TO :"service_role";

INSERT INTO auth.schema_version (version) VALUES (5);

COMMIT;
