-- Deploy pacioli_wallet:journal to pg
-- requires: accounts
-- The append-only journal. What a foreign key from entry would check, and more, is checked once per
-- statement over all the rows it inserted: a writer inserts a batch's transactions and their entries in one
-- statement, and both triggers run at that statement's end.

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE ledger.transaction (
    ledger_id       integer     NOT NULL,
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

-- Both functions look rows up by key, never otherwise. Their plans are kept for a whole session and made for
-- the first batch it happens to insert, under the statistics of that moment: with one transaction and tables
-- that were analysed when they had two rows, the planner would rather read all of them, for ever after. So each
-- look-up is a subquery of its own (OFFSET 0, LIMIT 1), and the other kinds of scan and join are switched off.
-- A group of one entry cannot sum to zero, because no amount is zero: the test for zero is the test for two
-- entries, too.
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
    bad         record;
    bad_account uuid;
    siblings    bigint;
    place       text;
BEGIN
    SELECT s.ledger_id, s.transaction_id, s.asset, s.total, t.recorded_xid INTO bad
      FROM (SELECT e.ledger_id, e.transaction_id, a.asset, sum(e.amount) AS total
              FROM new_entry e
              LEFT JOIN LATERAL (SELECT x.asset FROM ledger.account x
                                  WHERE x.ledger_id = e.ledger_id AND x.id = e.account_id
                                 OFFSET 0) a ON true
             GROUP BY e.ledger_id, e.transaction_id, a.asset) s
      LEFT JOIN LATERAL (SELECT x.recorded_xid FROM ledger.transaction x
                          WHERE x.ledger_id = s.ledger_id AND x.id = s.transaction_id
                         OFFSET 0) t ON true
     WHERE s.total <> 0
        OR s.asset IS NULL
        OR t.recorded_xid IS DISTINCT FROM pg_current_xact_id()
     LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;

    place := format('ledger %s, transaction %s', bad.ledger_id, bad.transaction_id);
    IF bad.recorded_xid IS NULL THEN
        RAISE EXCEPTION '%: entries for a transaction that does not exist', place
            USING ERRCODE = 'PC003', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
    END IF;
    IF bad.recorded_xid <> pg_current_xact_id() THEN
        RAISE EXCEPTION '%: it was recorded by database transaction %, nothing can be added to it',
            place, bad.recorded_xid
            USING ERRCODE = 'PC004', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
    END IF;
    SELECT e.account_id INTO bad_account
      FROM new_entry e
     WHERE e.ledger_id = bad.ledger_id AND e.transaction_id = bad.transaction_id
       AND NOT EXISTS (SELECT FROM ledger.account a
                        WHERE a.ledger_id = e.ledger_id AND a.id = e.account_id)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '%: account % does not exist in this ledger', place, bad_account
            USING ERRCODE = 'PC006', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
    END IF;
    SELECT count(*) INTO siblings
      FROM new_entry e
     WHERE e.ledger_id = bad.ledger_id AND e.transaction_id = bad.transaction_id;
    IF siblings < 2 THEN
        RAISE EXCEPTION '%: a transaction has at least two entries, this one has %', place, siblings
            USING ERRCODE = 'PC002', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
    END IF;
    RAISE EXCEPTION '%: its entries in % sum to %, not to zero', place, bad.asset, bad.total
        USING ERRCODE = 'PC001', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
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
      LEFT JOIN LATERAL (SELECT true AS found FROM ledger.entry x
                          WHERE x.ledger_id = t.ledger_id AND x.transaction_id = t.id
                          LIMIT 1) e ON true
     WHERE e.found IS NULL
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'ledger %, transaction %: it has no entries; insert both in one statement',
            bad.ledger_id, bad.id
            USING ERRCODE = 'PC005', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
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
