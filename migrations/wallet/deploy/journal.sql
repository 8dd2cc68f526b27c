-- Deploy pacioli_wallet:journal to pg
-- requires: accounts
-- The append-only journal. What a foreign key from entry would check, and more, is checked once per
-- statement over all the rows it inserted: a writer inserts a batch's transactions and their entries in one
-- statement, and both triggers run at that statement's end.

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE ledger.transaction (
    ledger_id       integer     NOT NULL REFERENCES ledger.ledger,
    id              uuid        NOT NULL,
    kind            text        COLLATE "C" NOT NULL
        CHECK (kind IN ('deposit', 'withdraw', 'transfer', 'reversal', 'adjustment')),
    principal       uuid        NOT NULL,
    idempotency_key text        COLLATE "C" NOT NULL CHECK (length(idempotency_key) BETWEEN 1 AND 255),
    request_digest  bytea       NOT NULL CHECK (octet_length(request_digest) = 32),
    effective_at    timestamptz NOT NULL DEFAULT statement_timestamp(),
    created_at      timestamptz NOT NULL DEFAULT statement_timestamp(),
    reverses        uuid,
    description     text,
    metadata        jsonb,
    recorded_xid    xid8        NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (ledger_id, id),
    CONSTRAINT transaction_idempotency_key UNIQUE (ledger_id, principal, idempotency_key),
    FOREIGN KEY (ledger_id, reverses) REFERENCES ledger.transaction
);

CREATE UNIQUE INDEX transaction_reversed_once ON ledger.transaction (ledger_id, reverses)
    WHERE reverses IS NOT NULL;

CREATE TABLE ledger.entry (
    ledger_id      integer       NOT NULL,
    account_id     uuid          NOT NULL,
    seq            bigint        NOT NULL CHECK (seq > 0),
    transaction_id uuid          NOT NULL,
    amount         numeric(38,0) NOT NULL CHECK (amount <> 0 AND amount <> 'NaN'),
    balance_after  numeric(38,0) NOT NULL CHECK (balance_after <> 'NaN'),
    PRIMARY KEY (ledger_id, account_id, seq)
);

CREATE INDEX entry_transaction ON ledger.entry (ledger_id, transaction_id);

-- The plans of both functions are made once per session, from the first batch it happens to insert; only
-- index look-ups are right for every later one, whatever the statistics said then.
CREATE FUNCTION ledger.check_entries() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
    bad record;
BEGIN
    SELECT * INTO bad
      FROM (SELECT e.ledger_id, e.transaction_id, a.asset,
                   sum(e.amount) AS total, count(*) AS entries, (array_agg(e.account_id))[1] AS account_id
              FROM new_entry e
              LEFT JOIN ledger.account a ON a.ledger_id = e.ledger_id AND a.id = e.account_id
             GROUP BY e.ledger_id, e.transaction_id, a.asset) s
      LEFT JOIN ledger.transaction t ON t.ledger_id = s.ledger_id AND t.id = s.transaction_id
     WHERE s.asset IS NULL OR s.total <> 0 OR t.recorded_xid IS DISTINCT FROM pg_current_xact_id()
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'bad entries in ledger %, transaction %', bad.ledger_id, bad.transaction_id
            USING ERRCODE = 'PC001';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION ledger.check_transactions() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
    bad record;
BEGIN
    SELECT t.ledger_id, t.id INTO bad
      FROM new_transaction t
     WHERE NOT EXISTS (SELECT FROM ledger.entry e
                        WHERE e.ledger_id = t.ledger_id AND e.transaction_id = t.id)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transaction % of ledger % has no entries', bad.id, bad.ledger_id
            USING ERRCODE = 'PC005';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER entry_check AFTER INSERT ON ledger.entry
    REFERENCING NEW TABLE AS new_entry
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_entries();
CREATE TRIGGER transaction_check AFTER INSERT ON ledger.transaction
    REFERENCING NEW TABLE AS new_transaction
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_transactions();

CREATE TRIGGER transaction_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.transaction
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC010');
CREATE TRIGGER entry_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.entry
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC010');

GRANT SELECT, INSERT ON ledger.transaction, ledger.entry TO :"service_role";

COMMIT;
