-- Deploy pacioli_wallet:adjustments to pg
-- requires: attempts
-- Adjustments by hand, with four eyes: an operator proposes a journal entry, or how breaks are to be resolved, and
-- another one approves it, which posts it; or it is rejected. And every adjustment looks at its accounts behind their
-- locks: a status of the moment before is no longer missed.

BEGIN;
SET LOCAL lock_timeout = '5s';

-- Posts one entry on each of two accounts, by the rules of the engine. The outcome is 'done' or why not. Snapshots are
-- locked in id order, as every writer does, before the key and the accounts are looked at: each of those is a
-- statement of its own, which sees what was committed while this one waited. The time is taken behind the locks.
CREATE FUNCTION ledger.post_entry(p_ledger integer, p_id uuid, p_debit uuid, p_credit uuid, p_amount numeric,
                                  p_effective_at timestamptz, p_principal uuid, p_key text, p_digest bytea,
                                  p_description text, p_metadata jsonb) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known  bytea;
    legs   record;
    booked timestamptz;
BEGIN
    PERFORM FROM ledger.balance b
      WHERE b.ledger_id = p_ledger AND b.account_id IN (p_debit, p_credit) ORDER BY b.account_id FOR UPDATE;
    SELECT t.request_digest INTO known
      FROM ledger.transaction t
     WHERE t.ledger_id = p_ledger AND t.principal = p_principal AND t.idempotency_key = p_key;
    IF FOUND THEN
        RETURN CASE WHEN known = p_digest THEN 'duplicate' ELSE 'duplicate_changed' END;
    END IF;
    SELECT count(*) AS found, count(DISTINCT l.asset) AS assets, bool_or(l.status = 'closed') AS closed,
           bool_or(l.status = 'frozen' AND l.own < 0) AS frozen,
           bool_or(l.own < 0 AND l.left_over < l.floor) AS short INTO legs
      FROM (SELECT a.asset, a.status, a.floor, s.side * n.amount AS own,
                   s.side * (b.posted + n.amount) - b.held AS left_over
              FROM (VALUES (p_debit, p_amount), (p_credit, -p_amount)) n (account_id, amount)
              JOIN ledger.account a ON a.ledger_id = p_ledger AND a.id = n.account_id
              JOIN ledger.balance b ON b.ledger_id = p_ledger AND b.account_id = n.account_id
             CROSS JOIN LATERAL (SELECT CASE WHEN a.class IN ('asset', 'expense') THEN 1 ELSE -1 END AS side) s) l;
    IF p_debit = p_credit THEN
        RETURN 'same_account';
    ELSIF legs.found <> 2 THEN
        RETURN 'account_not_found';
    ELSIF legs.closed THEN
        RETURN 'account_closed';
    ELSIF legs.frozen THEN
        RETURN 'account_frozen';
    ELSIF legs.assets <> 1 THEN
        RETURN 'asset_mismatch';
    ELSIF legs.short THEN
        RETURN 'insufficient_funds';
    END IF;
    booked := clock_timestamp();
    BEGIN
        WITH t AS (
            INSERT INTO ledger.transaction (ledger_id, id, kind, principal, idempotency_key, request_digest,
                                            effective_at, created_at, description, metadata)
            VALUES (p_ledger, p_id, 'adjustment', p_principal, p_key, p_digest, coalesce(p_effective_at, booked),
                    booked, p_description, p_metadata))
        INSERT INTO ledger.entry (ledger_id, account_id, seq, transaction_id, amount, balance_after)
        SELECT p_ledger, b.account_id, b.entries + 1, p_id, n.amount, b.posted + n.amount
          FROM (VALUES (p_debit, p_amount), (p_credit, -p_amount)) n (account_id, amount)
          JOIN ledger.balance b ON b.ledger_id = p_ledger AND b.account_id = n.account_id;
        UPDATE ledger.balance b SET posted = e.balance_after, entries = e.seq
          FROM ledger.entry e
         WHERE e.ledger_id = p_ledger AND e.transaction_id = p_id
           AND b.ledger_id = e.ledger_id AND b.account_id = e.account_id;
    EXCEPTION
        WHEN SQLSTATE 'PC030' THEN
            RETURN 'period_locked';
        WHEN numeric_value_out_of_range THEN
            RETURN 'amount_too_large';
        -- The key was used meanwhile by a transaction between other accounts.
        WHEN unique_violation THEN
            SELECT t.request_digest INTO known
              FROM ledger.transaction t
             WHERE t.ledger_id = p_ledger AND t.principal = p_principal AND t.idempotency_key = p_key;
            IF NOT FOUND THEN
                RAISE;
            END IF;
            RETURN CASE WHEN known = p_digest THEN 'duplicate' ELSE 'duplicate_changed' END;
    END;
    RETURN 'done';
END
$$;

-- As it was, in terms of post_entry: what a break needs, `amount` on the settlement account and the opposite on
-- another account. Returns the number of the entry on the settlement account. The same key again posts nothing, and
-- returns the same.
CREATE OR REPLACE FUNCTION ledger.post_adjustment(ledger_id integer, transaction_id uuid, idempotency_key text,
                                       account_id uuid, against_code text, amount numeric,
                                       description text, metadata jsonb) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    books   CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    other   uuid;
    outcome text;
BEGIN
    SELECT a.id INTO other
      FROM ledger.account a JOIN ledger.account own ON own.ledger_id = $1 AND own.id = $4 AND own.asset = a.asset
     WHERE a.ledger_id = $1 AND a.code = $5 AND a.id <> $4;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no other account % of the same currency', $5 USING ERRCODE = 'PC034';
    END IF;
    outcome := ledger.post_entry(
        $1, $2, CASE WHEN $6 > 0 THEN $4 ELSE other END, CASE WHEN $6 > 0 THEN other ELSE $4 END, abs($6), NULL,
        books, $3, sha256(convert_to(concat_ws('|', 'adjustment', $4, other, $6), 'UTF8')), $7, $8);
    IF outcome IN ('account_frozen', 'account_closed') THEN
        RAISE EXCEPTION 'the account % or its settlement account is %', $5, substr(outcome, 9)
            USING ERRCODE = 'PC034';
    ELSIF outcome = 'duplicate_changed' THEN
        RAISE EXCEPTION 'the key % has posted something else', $3 USING ERRCODE = 'PC035';
    ELSIF outcome = 'insufficient_funds' THEN
        RAISE EXCEPTION 'the account % does not have that much', $5 USING ERRCODE = 'PC036';
    ELSIF outcome NOT IN ('done', 'duplicate') THEN
        RAISE EXCEPTION 'the adjustment is refused: %', outcome USING ERRCODE = 'PC038';
    END IF;
    RETURN (SELECT e.seq
              FROM ledger.transaction t
              JOIN ledger.entry e ON e.ledger_id = t.ledger_id AND e.transaction_id = t.id AND e.account_id = $4
             WHERE t.ledger_id = $1 AND t.principal = books AND t.idempotency_key = $3);
END
$$;

-- What was proposed. `breaks` is what it resolves, null: it is a journal entry by itself. Without an amount the breaks'
-- two sides are equal, and only their match is to be recorded. `id` becomes that of its transaction.
CREATE TABLE ledger.adjustment (
    ledger_id       integer       NOT NULL REFERENCES ledger.ledger,
    id              uuid          NOT NULL,
    debit_id        uuid,
    credit_id       uuid,
    amount          numeric(38,0) CHECK (amount > 0 AND amount <> 'NaN'),
    effective_at    timestamptz,
    breaks          bigint[]      CHECK (cardinality(breaks) BETWEEN 1 AND 100),
    reason          text          NOT NULL CHECK (length(reason) BETWEEN 1 AND 256),
    proposed_by     uuid          NOT NULL,
    idempotency_key text          COLLATE "C" NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    request_digest  bytea         NOT NULL CHECK (octet_length(request_digest) = 32),
    proposed_at     timestamptz   NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (ledger_id, id),
    UNIQUE (ledger_id, id, proposed_by),
    CONSTRAINT adjustment_idempotency_key UNIQUE (ledger_id, proposed_by, idempotency_key),
    FOREIGN KEY (ledger_id, debit_id) REFERENCES ledger.account,
    FOREIGN KEY (ledger_id, credit_id) REFERENCES ledger.account,
    CHECK (debit_id <> credit_id),
    CHECK ((amount IS NULL) = (debit_id IS NULL) AND (amount IS NULL) = (credit_id IS NULL)),
    CHECK (amount IS NOT NULL OR breaks IS NOT NULL)
);
CREATE INDEX adjustment_moments ON ledger.adjustment (ledger_id, proposed_at, id);

-- What became of it, once.
CREATE TABLE ledger.adjustment_decision (
    ledger_id     integer     NOT NULL,
    adjustment_id uuid        NOT NULL,
    proposed_by   uuid        NOT NULL,
    approved      boolean     NOT NULL,
    decided_by    uuid        NOT NULL,
    reason        text        NOT NULL CHECK (length(reason) BETWEEN 1 AND 256),
    match_id      bigint,
    decided_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (ledger_id, adjustment_id),
    FOREIGN KEY (ledger_id, adjustment_id, proposed_by) REFERENCES ledger.adjustment (ledger_id, id, proposed_by),
    -- Who moves money is not who says that it is right.
    CONSTRAINT adjustment_four_eyes CHECK (NOT approved OR decided_by <> proposed_by)
);

CREATE TRIGGER adjustment_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.adjustment
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC010');
CREATE TRIGGER adjustment_decision_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.adjustment_decision
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC010');

-- An account by its code, or by its id.
CREATE FUNCTION ledger.account_named(p_ledger integer, p_name text) RETURNS uuid
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT a.id FROM ledger.account a WHERE a.ledger_id = p_ledger AND a.code = p_name
     UNION ALL
    SELECT a.id FROM ledger.account a
     WHERE a.ledger_id = p_ledger
       AND a.id = CASE WHEN p_name ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' THEN p_name::uuid END
     LIMIT 1
$$;

-- Proposals as the API shows them, newest first.
CREATE FUNCTION ledger.adjustments_json(p_ledger integer, p_limit integer) RETURNS SETOF text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT json_build_object(
               'id', a.id, 'state', CASE WHEN d.approved THEN 'approved' WHEN d.approved IS NULL THEN 'proposed'
                                         ELSE 'rejected' END,
               'debit', debit.code, 'credit', credit.code, 'currency', debit.asset,
               'amount', round(a.amount / 10::numeric ^ s.decimals, s.decimals)::text,
               'effective_at', to_char(a.effective_at AT TIME ZONE 'UTC', f), 'breaks', to_json(a.breaks),
               'reason', a.reason, 'proposed_by', a.proposed_by,
               'proposed_at', to_char(a.proposed_at AT TIME ZONE 'UTC', f), 'decided_by', d.decided_by,
               'decided_at', to_char(d.decided_at AT TIME ZONE 'UTC', f), 'decided_because', d.reason,
               'transaction', CASE WHEN d.approved AND a.amount IS NOT NULL THEN a.id END)::text
      FROM ledger.adjustment a
     CROSS JOIN (VALUES ('YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) v (f)
      LEFT JOIN ledger.adjustment_decision d ON d.ledger_id = a.ledger_id AND d.adjustment_id = a.id
      LEFT JOIN ledger.account debit ON debit.ledger_id = a.ledger_id AND debit.id = a.debit_id
      LEFT JOIN ledger.account credit ON credit.ledger_id = a.ledger_id AND credit.id = a.credit_id
      LEFT JOIN ledger.asset s ON s.ledger_id = a.ledger_id AND s.code = debit.asset
     WHERE a.ledger_id = p_ledger
     ORDER BY a.proposed_at DESC, a.id DESC
     LIMIT p_limit
$$;

-- Both ways to propose end here. The outcome is 'done', 'duplicate' (by the same request, with its answer) or
-- 'duplicate_changed'.
CREATE FUNCTION ledger.record_adjustment(p_adjustment ledger.adjustment)
RETURNS TABLE (outcome text, transaction text, answer text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kept record;
BEGIN
    IF NOT EXISTS (SELECT FROM ledger.adjustment a
                    WHERE a.ledger_id = p_adjustment.ledger_id AND a.proposed_by = p_adjustment.proposed_by
                      AND a.idempotency_key = p_adjustment.idempotency_key) THEN
        INSERT INTO ledger.adjustment (ledger_id, id, debit_id, credit_id, amount, effective_at, breaks, reason,
                                       proposed_by, idempotency_key, request_digest)
        SELECT p_adjustment.ledger_id, p_adjustment.id, p_adjustment.debit_id, p_adjustment.credit_id,
               p_adjustment.amount, p_adjustment.effective_at, p_adjustment.breaks, p_adjustment.reason,
               p_adjustment.proposed_by, p_adjustment.idempotency_key, p_adjustment.request_digest
        ON CONFLICT ON CONSTRAINT adjustment_idempotency_key DO NOTHING;
    END IF;
    SELECT a.id, a.request_digest INTO STRICT kept
      FROM ledger.adjustment a
     WHERE a.ledger_id = p_adjustment.ledger_id AND a.proposed_by = p_adjustment.proposed_by
       AND a.idempotency_key = p_adjustment.idempotency_key;
    outcome := CASE WHEN kept.id = p_adjustment.id THEN 'done'
                    WHEN kept.request_digest = p_adjustment.request_digest THEN 'duplicate'
                    ELSE 'duplicate_changed' END;
    transaction := kept.id;
    IF outcome <> 'duplicate_changed' THEN
        answer := json_build_object('status', 'proposed', 'adjustment', kept.id);
    END IF;
    RETURN NEXT;
END
$$;

-- Proposes a journal entry between two accounts, each by code or id; the amount is in the currency's own unit.
CREATE FUNCTION ledger.propose_entry(p_ledger integer, p_id uuid, p_debit text, p_credit text, p_amount numeric,
                                     p_effective_at timestamptz, p_principal uuid, p_key text, p_reason text,
                                     p_origin jsonb)
RETURNS TABLE (outcome text, transaction text, answer text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made  ledger.adjustment;
    asset record;
    minor numeric;
BEGIN
    made.ledger_id := p_ledger;
    made.id := p_id;
    made.debit_id := ledger.account_named(p_ledger, p_debit);
    made.credit_id := ledger.account_named(p_ledger, p_credit);
    made.effective_at := p_effective_at;
    made.reason := p_reason;
    made.proposed_by := p_principal;
    made.idempotency_key := p_key;
    made.request_digest := sha256(convert_to(json_build_array('entry 1', p_principal, made.debit_id, made.credit_id,
        trim_scale(p_amount), extract(epoch FROM p_effective_at), p_reason)::text, 'UTF8'));
    SELECT a.asset AS debit, b.asset AS credit, s.decimals INTO asset
      FROM ledger.account a
      JOIN ledger.asset s ON s.ledger_id = a.ledger_id AND s.code = a.asset
      JOIN ledger.account b ON b.ledger_id = a.ledger_id AND b.id = made.credit_id
     WHERE a.ledger_id = p_ledger AND a.id = made.debit_id;
    minor := p_amount * 10::numeric ^ asset.decimals;
    outcome := CASE
        WHEN EXISTS (SELECT FROM ledger.adjustment a
                      WHERE a.ledger_id = p_ledger AND a.proposed_by = p_principal AND a.idempotency_key = p_key)
            THEN 'done'
        WHEN made.debit_id = made.credit_id THEN 'same_account'
        WHEN asset.debit IS NULL THEN 'account_not_found'
        WHEN asset.debit <> asset.credit THEN 'asset_mismatch'
        WHEN minor <> trunc(minor) THEN 'amount_too_precise'
        WHEN minor >= 10::numeric ^ 38 THEN 'amount_too_large'
        WHEN p_effective_at < (SELECT max(p.to_at) FROM ledger.period p WHERE p.ledger_id = p_ledger)
            THEN 'period_locked'
        ELSE 'done'
    END;
    IF outcome = 'done' THEN
        IF minor = trunc(minor) AND minor < 10::numeric ^ 38 THEN
            made.amount := minor; -- else the key is known, and this is another request
        END IF;
        SELECT r.outcome, r.transaction, r.answer INTO outcome, transaction, answer
          FROM ledger.record_adjustment(made) r;
    END IF;
    PERFORM ledger.audit_write(
        'adjustment_proposed', CASE outcome WHEN 'done' THEN 'success' ELSE 'failure' END, p_principal::text,
        coalesce(transaction, p_id::text), p_reason, p_origin,
        jsonb_build_object('ledger', p_ledger, 'debit', p_debit, 'credit', p_credit, 'amount', p_amount::text,
                           'effective_at', p_effective_at, 'outcome', outcome));
    RETURN NEXT;
END
$$;

-- Proposes to resolve breaks of one account together: their lines and entries are one match, after what the two sides
-- differ by was posted against another account.
CREATE FUNCTION ledger.propose_resolution(p_ledger integer, p_id uuid, p_breaks bigint[], p_against text,
                                          p_principal uuid, p_key text, p_reason text, p_origin jsonb)
RETURNS TABLE (outcome text, transaction text, answer text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made       ledger.adjustment;
    found      record;
    against    uuid := ledger.account_named(p_ledger, p_against);
    difference numeric;
    same_asset boolean;
BEGIN
    made.ledger_id := p_ledger;
    made.id := p_id;
    made.breaks := p_breaks;
    made.reason := p_reason;
    made.proposed_by := p_principal;
    made.idempotency_key := p_key;
    made.request_digest := sha256(convert_to(json_build_array('resolution 1', p_principal, p_breaks, against,
        p_reason)::text, 'UTF8'));
    SELECT count(*) AS breaks, count(DISTINCT b.account_id) AS accounts,
           min(b.account_id::text)::uuid AS account_id, count(*) FILTER (WHERE s.status = 'open') AS open,
           coalesce(sum(l.amount), 0) AS lines, coalesce(sum(e.amount), 0) AS entries INTO found
      FROM ledger.statement_break b
      CROSS JOIN LATERAL (SELECT v.status FROM ledger.statement_break_event v
                           WHERE v.ledger_id = b.ledger_id AND v.break_id = b.id
                           ORDER BY v.n DESC LIMIT 1) s
      LEFT JOIN ledger.statement_line l ON l.ledger_id = b.ledger_id AND l.account_id = b.account_id
                                       AND l.statement = b.statement AND l.n = b.n
      LEFT JOIN ledger.entry e ON e.ledger_id = b.ledger_id AND e.account_id = b.account_id AND e.seq = b.seq
     WHERE b.ledger_id = p_ledger AND b.id = ANY (p_breaks);
    difference := found.lines - found.entries;
    SELECT a.asset = b.asset INTO same_asset
      FROM ledger.account a JOIN ledger.account b ON b.ledger_id = a.ledger_id AND b.id = against
     WHERE a.ledger_id = p_ledger AND a.id = found.account_id;
    outcome := CASE
        WHEN EXISTS (SELECT FROM ledger.adjustment a
                      WHERE a.ledger_id = p_ledger AND a.proposed_by = p_principal AND a.idempotency_key = p_key)
            THEN 'done'
        WHEN found.open <> cardinality(p_breaks) THEN 'breaks_not_open'
        WHEN found.accounts <> 1 THEN 'breaks_of_several_accounts'
        WHEN difference = 0 AND p_against IS NOT NULL THEN 'nothing_to_post'
        WHEN difference <> 0 AND p_against IS NULL THEN 'difference_to_post'
        WHEN difference <> 0 AND against IS NULL THEN 'account_not_found'
        WHEN against = found.account_id THEN 'same_account'
        WHEN NOT same_asset THEN 'asset_mismatch'
        ELSE 'done'
    END;
    IF outcome = 'done' THEN
        IF difference <> 0 AND against IS NOT NULL THEN
            made.amount := abs(difference);
            made.debit_id := CASE WHEN difference > 0 THEN found.account_id ELSE against END;
            made.credit_id := CASE WHEN difference > 0 THEN against ELSE found.account_id END;
        END IF;
        SELECT r.outcome, r.transaction, r.answer INTO outcome, transaction, answer
          FROM ledger.record_adjustment(made) r;
    END IF;
    PERFORM ledger.audit_write(
        'adjustment_proposed', CASE outcome WHEN 'done' THEN 'success' ELSE 'failure' END, p_principal::text,
        coalesce(transaction, p_id::text), p_reason, p_origin,
        jsonb_build_object('ledger', p_ledger, 'breaks', p_breaks, 'against', p_against, 'difference', difference,
                           'outcome', outcome));
    RETURN NEXT;
END
$$;

-- Approves or rejects what was proposed. To approve it posts it; whatever refuses that leaves it proposed. The same
-- decision of the same operator once more changes nothing, and has the same answer.
CREATE FUNCTION ledger.decide_adjustment(p_ledger integer, p_id uuid, p_approve boolean, p_principal uuid,
                                         p_reason text, p_origin jsonb)
RETURNS TABLE (outcome text, transaction text, answer text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    asked   record;
    decided record;
    matched bigint;
BEGIN
    PERFORM ledger.lock_reconciliation(p_ledger); -- one decision at a time, and no other resolution between
    SELECT * INTO asked FROM ledger.adjustment a WHERE a.ledger_id = p_ledger AND a.id = p_id;
    SELECT * INTO decided FROM ledger.adjustment_decision d WHERE d.ledger_id = p_ledger AND d.adjustment_id = p_id;
    outcome := CASE
        WHEN asked.id IS NULL THEN 'adjustment_not_found'
        WHEN decided.approved = p_approve AND decided.decided_by = p_principal THEN 'decided'
        WHEN decided.approved IS NOT NULL THEN 'adjustment_decided'
        WHEN p_approve AND asked.proposed_by = p_principal THEN 'own_proposal'
        ELSE 'done'
    END;
    IF outcome = 'done' AND p_approve AND asked.breaks IS NULL THEN
        outcome := ledger.post_entry(p_ledger, p_id, asked.debit_id, asked.credit_id, asked.amount,
                                     asked.effective_at, asked.proposed_by, 'adjustment-' || p_id,
                                     asked.request_digest, asked.reason,
                                     jsonb_build_object('approved_by', p_principal));
    ELSIF outcome = 'done' AND p_approve THEN
        BEGIN
            matched := ledger.resolve_breaks(
                p_ledger, asked.breaks, asked.reason, asked.proposed_by::text, p_principal::text,
                (SELECT a.code FROM ledger.account a
                  WHERE a.ledger_id = p_ledger AND a.id IN (asked.debit_id, asked.credit_id)
                    AND a.id <> (SELECT b.account_id FROM ledger.statement_break b
                                  WHERE b.ledger_id = p_ledger AND b.id = asked.breaks[1])),
                p_id);
        EXCEPTION
            WHEN SQLSTATE 'PC034' THEN
                outcome := 'account_refuses';
            WHEN SQLSTATE 'PC036' THEN
                outcome := 'insufficient_funds';
            WHEN SQLSTATE 'PC037' THEN
                outcome := 'breaks_not_open';
        END;
    END IF;
    IF outcome = 'done' THEN
        INSERT INTO ledger.adjustment_decision (ledger_id, adjustment_id, proposed_by, approved, decided_by, reason,
                                                match_id)
        VALUES (p_ledger, p_id, asked.proposed_by, p_approve, p_principal, p_reason, matched);
    END IF;
    PERFORM ledger.audit_write(
        CASE WHEN p_approve THEN 'adjustment_approved' ELSE 'adjustment_rejected' END,
        CASE WHEN outcome IN ('done', 'decided') THEN 'success' ELSE 'failure' END, p_principal::text, p_id::text,
        p_reason, p_origin,
        jsonb_build_object('ledger', p_ledger, 'proposed_by', asked.proposed_by, 'match', matched,
                           'outcome', outcome));
    IF outcome IN ('done', 'decided') THEN
        outcome := 'done';
        answer := json_build_object(
            'status', CASE WHEN p_approve THEN 'approved' ELSE 'rejected' END, 'adjustment', p_id,
            'transaction', CASE WHEN p_approve AND asked.amount IS NOT NULL THEN p_id END);
    END IF;
    RETURN NEXT;
END
$$;

GRANT SELECT, INSERT ON ledger.adjustment, ledger.adjustment_decision TO :"service_role";
GRANT EXECUTE ON FUNCTION
    ledger.post_entry(integer, uuid, uuid, uuid, numeric, timestamptz, uuid, text, bytea, text, jsonb),
    ledger.account_named(integer, text), ledger.adjustments_json(integer, integer),
    ledger.record_adjustment(ledger.adjustment),
    ledger.propose_entry(integer, uuid, text, text, numeric, timestamptz, uuid, text, text, jsonb),
    ledger.propose_resolution(integer, uuid, bigint[], text, uuid, text, text, jsonb),
    ledger.decide_adjustment(integer, uuid, boolean, uuid, text, jsonb) TO :"service_role";

INSERT INTO ledger.schema_version (version) VALUES (7);

COMMIT;
