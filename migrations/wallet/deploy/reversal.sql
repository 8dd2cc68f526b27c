-- Deploy pacioli_wallet:reversal to pg
-- requires: account_status
-- A reversal is a transaction like any other: it has the entries of an earlier one with their signs turned round, and
-- names it. It is rare, so it needs no batch: one function decides and writes it, by the rules of the engine.

BEGIN;
SET LOCAL lock_timeout = '5s';

-- The outcome is 'done' or why not. `transaction` is the new one, or the one that stands in the way; `answer` is that
-- of the transaction that has the key, so that a repetition gets the same bytes. Snapshots are locked in id order, as
-- every writer does, before the key, the accounts and what may have been reversed already are looked at: each of those
-- is a statement of its own, which sees what was committed while this one waited. The time is taken behind the locks,
-- as a writer's must be whose transaction number a reader may have noted.
CREATE FUNCTION ledger.reverse_transaction(p_ledger integer, p_id uuid, p_original uuid, p_principal uuid, p_key text,
                                           p_reason text, p_origin jsonb)
RETURNS TABLE (outcome text, transaction text, answer text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    digest   bytea := sha256(convert_to(concat_ws(' ', 'reversal 1', p_principal, p_original, p_reason), 'UTF8'));
    prior    record;
    original record;
    earlier  uuid;
    legs     record;
    written  timestamptz;
BEGIN
    PERFORM FROM ledger.balance b
      WHERE b.ledger_id = p_ledger
        AND b.account_id IN (SELECT e.account_id FROM ledger.entry e
                              WHERE e.ledger_id = p_ledger AND e.transaction_id = p_original)
      ORDER BY b.account_id
        FOR UPDATE;
    SELECT t.id, t.request_digest INTO prior
      FROM ledger.transaction t
     WHERE t.ledger_id = p_ledger AND t.principal = p_principal AND t.idempotency_key = p_key;
    SELECT t.id, t.kind INTO original
      FROM ledger.transaction t WHERE t.ledger_id = p_ledger AND t.id = p_original;
    SELECT t.id INTO earlier
      FROM ledger.transaction t WHERE t.ledger_id = p_ledger AND t.reverses = p_original;
    SELECT bool_or(l.status = 'closed') AS closed,
           bool_or(l.status = 'frozen' AND l.own < 0) AS frozen,
           bool_or(l.own < 0 AND l.left_over < l.floor) AS short INTO legs
      FROM (SELECT a.status, a.floor, s.side * n.amount AS own, s.side * (b.posted + n.amount) - b.held AS left_over
              FROM (SELECT e.account_id, -sum(e.amount) AS amount FROM ledger.entry e
                     WHERE e.ledger_id = p_ledger AND e.transaction_id = p_original
                     GROUP BY e.account_id) n
              JOIN ledger.account a ON a.ledger_id = p_ledger AND a.id = n.account_id
              JOIN ledger.balance b ON b.ledger_id = p_ledger AND b.account_id = n.account_id
             CROSS JOIN LATERAL (SELECT CASE WHEN a.class IN ('asset', 'expense') THEN 1 ELSE -1 END AS side) s) l;
    outcome := CASE
        WHEN prior.request_digest = digest THEN 'duplicate'
        WHEN prior.id IS NOT NULL THEN 'duplicate_changed'
        WHEN original.id IS NULL THEN 'transaction_not_found'
        WHEN original.kind = 'reversal' THEN 'reversal_of_reversal'
        WHEN earlier IS NOT NULL THEN 'already_reversed'
        WHEN legs.closed THEN 'account_closed'
        WHEN legs.frozen THEN 'account_frozen'
        WHEN legs.short THEN 'insufficient_funds'
        ELSE 'done'
    END;
    transaction := coalesce(prior.id, CASE outcome WHEN 'already_reversed' THEN earlier END);
    IF outcome = 'done' THEN
        written := clock_timestamp();
        BEGIN
            WITH t AS (
                INSERT INTO ledger.transaction (ledger_id, id, kind, principal, idempotency_key, request_digest,
                                                effective_at, created_at, reverses, description)
                VALUES (p_ledger, p_id, 'reversal', p_principal, p_key, digest, written, written, p_original, p_reason))
            INSERT INTO ledger.entry (ledger_id, account_id, seq, transaction_id, amount, balance_after)
            SELECT p_ledger, e.account_id, b.entries + row_number() OVER w, p_id, -e.amount,
                   b.posted - sum(e.amount) OVER w
              FROM ledger.entry e
              JOIN ledger.balance b ON b.ledger_id = p_ledger AND b.account_id = e.account_id
             WHERE e.ledger_id = p_ledger AND e.transaction_id = p_original
            WINDOW w AS (PARTITION BY e.account_id ORDER BY e.seq DESC);
            UPDATE ledger.balance b SET posted = b.posted + n.amount, entries = b.entries + n.entries
              FROM (SELECT e.account_id, sum(e.amount) AS amount, count(*) AS entries FROM ledger.entry e
                     WHERE e.ledger_id = p_ledger AND e.transaction_id = p_id GROUP BY e.account_id) n
             WHERE b.ledger_id = p_ledger AND b.account_id = n.account_id;
            transaction := p_id;
        EXCEPTION
            -- The key was used meanwhile by a transaction between other accounts.
            WHEN unique_violation THEN
                SELECT t.id, t.request_digest INTO prior
                  FROM ledger.transaction t
                 WHERE t.ledger_id = p_ledger AND t.principal = p_principal AND t.idempotency_key = p_key;
                IF prior.id IS NULL THEN
                    RAISE;
                END IF;
                outcome := CASE WHEN prior.request_digest = digest THEN 'duplicate' ELSE 'duplicate_changed' END;
                transaction := prior.id;
            WHEN numeric_value_out_of_range THEN
                outcome := 'amount_too_large';
        END;
    END IF;
    IF outcome IN ('done', 'duplicate') THEN
        answer := json_build_object('status', 'success', 'transaction', transaction, 'reverses', p_original);
    END IF;
    PERFORM ledger.audit_write(
        'transaction_reversed', CASE outcome WHEN 'done' THEN 'success' ELSE 'failure' END, p_principal::text,
        p_original::text, p_reason, p_origin,
        jsonb_build_object('ledger', p_ledger, 'transaction', transaction, 'outcome', outcome));
    RETURN NEXT;
END
$$;

GRANT EXECUTE ON FUNCTION ledger.reverse_transaction(integer, uuid, uuid, uuid, text, text, jsonb) TO :"service_role";

INSERT INTO ledger.schema_version (version) VALUES (4);

COMMIT;
