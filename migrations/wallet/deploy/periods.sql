-- Deploy pacioli_wallet:periods to pg
-- requires: adjustment_time
-- Closed periods. A ledger is closed up to a moment of effective time; each period begins where the one before it
-- ended, the first at the beginning of time. What is closed stays closed, and nothing more is posted into it.

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE ledger.period (
    ledger_id integer     NOT NULL REFERENCES ledger.ledger,
    from_at   timestamptz NOT NULL,
    to_at     timestamptz NOT NULL,
    closed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_by uuid        NOT NULL,
    reason    text        NOT NULL CHECK (length(reason) BETWEEN 1 AND 256),
    PRIMARY KEY (ledger_id, to_at),
    UNIQUE (ledger_id, from_at),
    CHECK (from_at < to_at AND to_at < 'infinity')
);

-- The report of a closed period: the trial balance at its end, in bytes that are the same whenever it is made.
CREATE TABLE ledger.period_report (
    ledger_id integer     NOT NULL,
    to_at     timestamptz NOT NULL,
    report    text        NOT NULL,
    digest    bytea       NOT NULL CHECK (octet_length(digest) = 32),
    made_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (ledger_id, to_at),
    FOREIGN KEY (ledger_id, to_at) REFERENCES ledger.period,
    CHECK (digest = sha256(convert_to(report, 'UTF8')))
);

CREATE TRIGGER period_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.period
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC010');
CREATE TRIGGER period_report_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.period_report
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC010');

-- Every insert into the journal takes this lock, shared, before it looks how far the ledger is closed, and holds it to
-- its commit; closing takes it alone. So a posting either is committed before the period is closed, or sees that it
-- is. 1881359 is "periods" among the advisory locks of this database.
CREATE FUNCTION ledger.check_period() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    earliest record;
    closed   timestamptz;
BEGIN
    FOR earliest IN SELECT t.ledger_id, min(t.effective_at) AS effective_at FROM new_transaction t GROUP BY 1 LOOP
        PERFORM pg_advisory_xact_lock_shared(1881359, earliest.ledger_id);
        -- The look is a statement of its own, which sees what was committed while this one waited; a transaction with
        -- an older view of the database would not.
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            RAISE EXCEPTION 'the journal is written by transactions of isolation level READ COMMITTED alone'
                USING ERRCODE = 'PC031', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
        END IF;
        SELECT p.to_at INTO closed
          FROM ledger.period p
         WHERE p.ledger_id = earliest.ledger_id ORDER BY p.to_at DESC LIMIT 1;
        IF earliest.effective_at < closed THEN
            RAISE EXCEPTION 'ledger % is closed up to %: nothing can be posted at %',
                earliest.ledger_id, closed, earliest.effective_at
                USING ERRCODE = 'PC030', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

CREATE TRIGGER transaction_period AFTER INSERT ON ledger.transaction
    REFERENCING NEW TABLE AS new_transaction
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_period();

-- Closes the ledger up to a moment, and tells where the new period begins. The moment is past by a minute at least, so
-- that no posting that was stamped by the service before it is still on its way. Closing up to the same moment again
-- changes nothing.
CREATE FUNCTION ledger.close_period(p_ledger integer, p_to timestamptz, p_actor uuid, p_reason text, p_origin jsonb)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    closed  timestamptz;
    outcome text := 'done';
BEGIN
    PERFORM pg_advisory_xact_lock(1881359, p_ledger);
    SELECT max(p.to_at) INTO closed FROM ledger.period p WHERE p.ledger_id = p_ledger;
    IF EXISTS (SELECT FROM ledger.period p WHERE p.ledger_id = p_ledger AND p.to_at = p_to) THEN
        NULL;
    ELSIF p_to <= closed THEN
        outcome := 'period_locked';
    ELSIF p_to > clock_timestamp() - interval '1 minute' THEN
        outcome := 'period_not_over';
    ELSE
        INSERT INTO ledger.period (ledger_id, from_at, to_at, closed_by, reason)
        VALUES (p_ledger, coalesce(closed, '-infinity'), p_to, p_actor, p_reason);
    END IF;
    PERFORM ledger.audit_write(
        'period_closed', CASE outcome WHEN 'done' THEN 'success' ELSE 'failure' END, p_actor::text, p_to::text,
        p_reason, p_origin,
        jsonb_build_object('ledger', p_ledger, 'to', p_to, 'closed_before', closed, 'outcome', outcome));
    RETURN outcome;
END
$$;

-- The trial balance at a moment of effective time: of every system account that has a balance, and of all wallets
-- together, in minor units; then each currency's sides. Lines in an order that no locale changes.
CREATE FUNCTION ledger.trial_balance_text(p_ledger integer, p_to timestamptz) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = on
SET enable_hashjoin = on
SET enable_mergejoin = on
SET enable_bitmapscan = on
SET work_mem = '64MB'
AS $$
    WITH later AS (
        SELECT e.account_id, sum(e.amount) AS amount
          FROM ledger.transaction t
          JOIN ledger.entry e ON e.ledger_id = t.ledger_id AND e.transaction_id = t.id
         WHERE t.ledger_id = p_ledger AND t.effective_at >= p_to
         GROUP BY e.account_id
    ), line AS (
        SELECT CASE WHEN a.owner_id IS NULL THEN a.code ELSE 'liabilities:wallets' END COLLATE "C" AS code, a.class, a.asset,
               count(*) AS accounts,
               coalesce(sum(v.posted) FILTER (WHERE v.posted > 0), 0) AS debit,
               coalesce(-sum(v.posted) FILTER (WHERE v.posted < 0), 0) AS credit
          FROM ledger.account a
          JOIN ledger.balance b ON b.ledger_id = a.ledger_id AND b.account_id = a.id
          LEFT JOIN later l ON l.account_id = a.id
         CROSS JOIN LATERAL (SELECT b.posted - coalesce(l.amount, 0) AS posted) v
         WHERE a.ledger_id = p_ledger AND v.posted <> 0
         GROUP BY 1, 2, 3
    )
    SELECT E'class,code,currency,accounts,debit,credit\n'
           || coalesce((SELECT string_agg(concat_ws(',', class, code, asset, accounts, debit, credit) || E'\n', ''
                                          ORDER BY asset, class, code) FROM line), '')
           || coalesce((SELECT string_agg(concat_ws(',', 'total', '', asset, accounts, debit, credit) || E'\n', ''
                                          ORDER BY asset)
                          FROM (SELECT asset, sum(accounts) AS accounts, sum(debit) AS debit, sum(credit) AS credit
                                  FROM line GROUP BY asset) s), '')
$$;

-- Closed periods as the API shows them, newest first.
CREATE FUNCTION ledger.periods_json(p_ledger integer, p_to timestamptz, p_limit integer)
RETURNS TABLE (to_at timestamptz, period text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p.to_at,
           json_build_object(
               'from', CASE WHEN p.from_at > '-infinity' THEN u.from_at END, 'to', u.to_at, 'closed_at', u.closed_at,
               'closed_by', p.closed_by, 'reason', p.reason,
               'digest', encode(r.digest, 'hex'), 'trial_balance', r.report)::text
      FROM ledger.period p
      LEFT JOIN ledger.period_report r ON r.ledger_id = p.ledger_id AND r.to_at = p.to_at
     CROSS JOIN LATERAL (
        SELECT to_char(p.from_at AT TIME ZONE 'UTC', f) AS from_at, to_char(p.to_at AT TIME ZONE 'UTC', f) AS to_at,
               to_char(p.closed_at AT TIME ZONE 'UTC', f) AS closed_at
          FROM (VALUES ('YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) v (f)) u
     WHERE p.ledger_id = p_ledger AND (p_to IS NULL OR p.to_at = p_to)
     ORDER BY p.to_at DESC
     LIMIT p_limit
$$;

-- Makes the report of a closed period, once, and returns the period as the API shows it; null: there is none.
CREATE FUNCTION ledger.write_period_report(p_ledger integer, p_to timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made text;
BEGIN
    IF EXISTS (SELECT FROM ledger.period p WHERE p.ledger_id = p_ledger AND p.to_at = p_to)
       AND NOT EXISTS (SELECT FROM ledger.period_report r WHERE r.ledger_id = p_ledger AND r.to_at = p_to) THEN
        made := ledger.trial_balance_text(p_ledger, p_to);
        INSERT INTO ledger.period_report (ledger_id, to_at, report, digest)
        VALUES (p_ledger, p_to, made, sha256(convert_to(made, 'UTF8')))
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN (SELECT p.period FROM ledger.periods_json(p_ledger, p_to, 1) p);
END
$$;

GRANT SELECT ON ledger.period, ledger.period_report TO :"service_role";
GRANT EXECUTE ON FUNCTION ledger.close_period(integer, timestamptz, uuid, text, jsonb) TO :"service_role";
GRANT EXECUTE ON FUNCTION ledger.trial_balance_text(integer, timestamptz) TO :"service_role";
GRANT EXECUTE ON FUNCTION ledger.write_period_report(integer, timestamptz) TO :"service_role";
GRANT EXECUTE ON FUNCTION ledger.periods_json(integer, timestamptz, integer) TO :"service_role";

INSERT INTO ledger.schema_version (version) VALUES (5);

COMMIT;
