-- Deploy pacioli_wallet:statements to pg
-- requires: moments
-- External reconciliation: what banks say about settlement accounts (statement, statement_line), which lines
-- and entries are the same money (statement_match with its members), and what is not explained (statement_break,
-- whose state is its newest event). History only: every table is append-only.

BEGIN;
SET LOCAL lock_timeout = '5s';

-- An account's statements are a chain, 1, 2, 3 ...: each opens where the one before closed.
CREATE TABLE ledger.statement (
    ledger_id      integer       NOT NULL,
    account_id     uuid          NOT NULL,
    number         integer       NOT NULL CHECK (number > 0),
    reference      text          COLLATE "C" NOT NULL CHECK (length(reference) BETWEEN 1 AND 140),
    bank_account   text          NOT NULL,
    sequence       bigint        CHECK (sequence > 0),
    format         text          COLLATE "C" NOT NULL CHECK (format IN ('camt053', 'mt940', 'ofx', 'csv')),
    file_name      text          NOT NULL,
    file_digest    bytea         NOT NULL CHECK (octet_length(file_digest) = 32),
    content_digest bytea         NOT NULL CHECK (octet_length(content_digest) = 32),
    opened_on      date          NOT NULL,
    closed_on      date          NOT NULL CHECK (closed_on >= opened_on),
    opening        numeric(38,0) NOT NULL CHECK (opening <> 'NaN'),
    closing        numeric(38,0) NOT NULL CHECK (closing <> 'NaN'),
    line_count     integer       NOT NULL CHECK (line_count >= 0),
    imported_by    text          NOT NULL CHECK (length(imported_by) BETWEEN 1 AND 100),
    imported_at    timestamptz   NOT NULL DEFAULT statement_timestamp(),
    recorded_xid   xid8          NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (ledger_id, account_id, number),
    CONSTRAINT statement_reference UNIQUE (ledger_id, account_id, reference),
    FOREIGN KEY (ledger_id, account_id) REFERENCES ledger.account
);
CREATE INDEX statement_file ON ledger.statement (ledger_id, file_digest);

-- The amount has the sign of the entry that it should be: money that came in is positive.
CREATE TABLE ledger.statement_line (
    ledger_id      integer       NOT NULL,
    account_id     uuid          NOT NULL,
    statement      integer       NOT NULL,
    n              integer       NOT NULL CHECK (n > 0),
    booked_on      date          NOT NULL,
    value_on       date,
    amount         numeric(38,0) NOT NULL CHECK (amount <> 0 AND amount <> 'NaN'),
    refs           text[]        NOT NULL,
    bank_reference text          NOT NULL,
    counterparty   text          NOT NULL,
    description    text          NOT NULL,
    reversal       boolean       NOT NULL,
    PRIMARY KEY (ledger_id, account_id, statement, n),
    FOREIGN KEY (ledger_id, account_id, statement) REFERENCES ledger.statement
);

-- pass: 1 to 3, which rule found it (reports/statements/match.h); 0: a person did.
CREATE TABLE ledger.statement_match (
    ledger_id    integer     NOT NULL,
    account_id   uuid        NOT NULL,
    id           bigint      NOT NULL CHECK (id > 0),
    pass         smallint    NOT NULL CHECK (pass BETWEEN 0 AND 3),
    made_by      text        NOT NULL CHECK (length(made_by) BETWEEN 1 AND 100),
    made_at      timestamptz NOT NULL DEFAULT statement_timestamp(),
    recorded_xid xid8        NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (ledger_id, account_id, id),
    FOREIGN KEY (ledger_id, account_id) REFERENCES ledger.account
);

CREATE TABLE ledger.statement_match_line (
    ledger_id  integer NOT NULL,
    account_id uuid    NOT NULL,
    statement  integer NOT NULL,
    n          integer NOT NULL,
    match_id   bigint  NOT NULL,
    PRIMARY KEY (ledger_id, account_id, statement, n),
    FOREIGN KEY (ledger_id, account_id, statement, n) REFERENCES ledger.statement_line,
    FOREIGN KEY (ledger_id, account_id, match_id) REFERENCES ledger.statement_match
);
CREATE INDEX statement_match_line_match ON ledger.statement_match_line (ledger_id, account_id, match_id);

-- entry_check and the primary key of entry do for the journal what a foreign key does; nothing points there
-- that a writer would have to check, so this one may.
CREATE TABLE ledger.statement_match_entry (
    ledger_id  integer NOT NULL,
    account_id uuid    NOT NULL,
    seq        bigint  NOT NULL,
    match_id   bigint  NOT NULL,
    PRIMARY KEY (ledger_id, account_id, seq),
    FOREIGN KEY (ledger_id, account_id, seq) REFERENCES ledger.entry,
    FOREIGN KEY (ledger_id, account_id, match_id) REFERENCES ledger.statement_match
);
CREATE INDEX statement_match_entry_match ON ledger.statement_match_entry (ledger_id, account_id, match_id);

-- What has no counterpart: a line of a statement, or an entry.
CREATE TABLE ledger.statement_break (
    ledger_id  integer     NOT NULL,
    id         bigint      NOT NULL CHECK (id > 0),
    account_id uuid        NOT NULL,
    statement  integer,
    n          integer,
    seq        bigint,
    found_at   timestamptz NOT NULL DEFAULT statement_timestamp(),
    PRIMARY KEY (ledger_id, id),
    CONSTRAINT statement_break_line UNIQUE (ledger_id, account_id, statement, n),
    CONSTRAINT statement_break_entry UNIQUE (ledger_id, account_id, seq),
    CHECK ((statement IS NULL) = (n IS NULL) AND (n IS NULL) <> (seq IS NULL)),
    FOREIGN KEY (ledger_id, account_id, statement, n) REFERENCES ledger.statement_line,
    FOREIGN KEY (ledger_id, account_id, seq) REFERENCES ledger.entry
);

-- Each event repeats all of the break's state, so that the newest one is the state.
CREATE TABLE ledger.statement_break_event (
    ledger_id      integer     NOT NULL,
    break_id       bigint      NOT NULL,
    n              integer     NOT NULL CHECK (n > 0),
    status         text        COLLATE "C" NOT NULL CHECK (status IN ('open', 'resolved')),
    category       text        COLLATE "C" NOT NULL
        CHECK (category IN ('missing_in_ledger', 'missing_in_statement', 'amount_mismatch', 'date_mismatch',
                            'currency_mismatch', 'duplicate', 'reversal_unpaired', 'ambiguous')),
    owner          text        CHECK (length(owner) BETWEEN 1 AND 100),
    reason         text        CHECK (length(reason) BETWEEN 1 AND 500),
    match_id       bigint,
    transaction_id uuid,
    made_by        text        NOT NULL CHECK (length(made_by) BETWEEN 1 AND 100),
    approved_by    text        CHECK (length(approved_by) BETWEEN 1 AND 100),
    made_at        timestamptz NOT NULL DEFAULT statement_timestamp(),
    PRIMARY KEY (ledger_id, break_id, n),
    FOREIGN KEY (ledger_id, break_id) REFERENCES ledger.statement_break,
    CONSTRAINT statement_break_resolved CHECK ((status = 'resolved') = (match_id IS NOT NULL)),
    -- Who moves money to close a break is not who says that it is right.
    CONSTRAINT statement_break_four_eyes
        CHECK (transaction_id IS NULL OR (approved_by IS NOT NULL AND approved_by <> made_by))
);

-- Statements come with their lines, in one database transaction, and the sums are right.
CREATE FUNCTION ledger.check_statements() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    bad   record;
    place text;
BEGIN
    FOR bad IN
        SELECT s.*, l.total, l.lines, p.closing AS before, p.number AS previous
          FROM new_statement s
          CROSS JOIN LATERAL (SELECT coalesce(sum(x.amount), 0) AS total, count(*) AS lines
                                FROM ledger.statement_line x
                               WHERE x.ledger_id = s.ledger_id AND x.account_id = s.account_id
                                 AND x.statement = s.number) l
          LEFT JOIN ledger.statement p ON p.ledger_id = s.ledger_id AND p.account_id = s.account_id
                                      AND p.number = s.number - 1
    LOOP
        place := format('account %s, statement %s', bad.account_id, bad.number);
        IF bad.lines <> bad.line_count OR bad.opening + bad.total <> bad.closing THEN
            RAISE EXCEPTION '%: opening % and % lines of % do not make closing %', place, bad.opening,
                bad.lines, bad.total, bad.closing USING ERRCODE = 'PC030';
        END IF;
        IF (bad.number = 1) <> (bad.previous IS NULL) OR bad.before <> bad.opening THEN
            RAISE EXCEPTION '%: it does not open where the one before closed', place USING ERRCODE = 'PC031';
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

CREATE FUNCTION ledger.check_statement_lines() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM new_line l
                 LEFT JOIN ledger.statement s ON s.ledger_id = l.ledger_id AND s.account_id = l.account_id
                                             AND s.number = l.statement
                WHERE s.recorded_xid IS DISTINCT FROM pg_current_xact_id()) THEN
        RAISE EXCEPTION 'a statement that is recorded gets no more lines' USING ERRCODE = 'PC032';
    END IF;
    RETURN NULL;
END
$$;

-- A match has at least two members, and both sides of it have the same sum.
CREATE FUNCTION ledger.check_matches() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    bad record;
BEGIN
    SELECT m.account_id, m.id, l.total AS lines, e.total AS entries INTO bad
      FROM new_match m
      CROSS JOIN LATERAL (SELECT coalesce(sum(x.amount), 0) AS total, count(*) AS members
                            FROM ledger.statement_match_line k
                            JOIN ledger.statement_line x USING (ledger_id, account_id, statement, n)
                           WHERE k.ledger_id = m.ledger_id AND k.account_id = m.account_id
                             AND k.match_id = m.id) l
      CROSS JOIN LATERAL (SELECT coalesce(sum(x.amount), 0) AS total, count(*) AS members
                            FROM ledger.statement_match_entry k
                            JOIN ledger.entry x USING (ledger_id, account_id, seq)
                           WHERE k.ledger_id = m.ledger_id AND k.account_id = m.account_id
                             AND k.match_id = m.id) e
     WHERE l.total <> e.total OR l.members + e.members < 2
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account %, match %: lines of % are not entries of %', bad.account_id, bad.id,
            bad.lines, bad.entries USING ERRCODE = 'PC033';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION ledger.check_match_members() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM new_member k
                 LEFT JOIN ledger.statement_match m ON m.ledger_id = k.ledger_id
                                                   AND m.account_id = k.account_id AND m.id = k.match_id
                WHERE m.recorded_xid IS DISTINCT FROM pg_current_xact_id()) THEN
        RAISE EXCEPTION 'a match that is recorded gets no more members' USING ERRCODE = 'PC032';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER statement_check AFTER INSERT ON ledger.statement
    REFERENCING NEW TABLE AS new_statement
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_statements();
CREATE TRIGGER statement_line_check AFTER INSERT ON ledger.statement_line
    REFERENCING NEW TABLE AS new_line
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_statement_lines();
CREATE TRIGGER statement_match_check AFTER INSERT ON ledger.statement_match
    REFERENCING NEW TABLE AS new_match
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_matches();
CREATE TRIGGER statement_match_line_check AFTER INSERT ON ledger.statement_match_line
    REFERENCING NEW TABLE AS new_member
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_match_members();
CREATE TRIGGER statement_match_entry_check AFTER INSERT ON ledger.statement_match_entry
    REFERENCING NEW TABLE AS new_member
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.check_match_members();

CREATE TRIGGER statement_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.statement
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC010');
CREATE TRIGGER statement_line_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.statement_line
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC010');
CREATE TRIGGER statement_match_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.statement_match
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC010');
CREATE TRIGGER statement_match_line_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.statement_match_line
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC010');
CREATE TRIGGER statement_match_entry_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.statement_match_entry
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC010');
CREATE TRIGGER statement_break_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.statement_break
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC010');
CREATE TRIGGER statement_break_event_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.statement_break_event
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC010');

-- One reconciliation of a ledger at a time: numbers of statements, matches and breaks follow each other.
CREATE FUNCTION ledger.lock_reconciliation(ledger_id integer) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$ SELECT pg_advisory_xact_lock(hashtext('pacioli reconciliation'), $1) $$;

-- Posts what a break needs: `amount` on the settlement account, the opposite on another account. Returns the
-- number of the entry on the settlement account. The same key again posts nothing, and returns the same.
CREATE FUNCTION ledger.post_adjustment(ledger_id integer, transaction_id uuid, idempotency_key text,
                                       account_id uuid, against_code text, amount numeric,
                                       description text, metadata jsonb) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    books   CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    other   record;
    digest  bytea;
    known   record;
    new_seq bigint;
BEGIN
    SELECT a.id, a.status, a.floor, a.asset = own.asset AS same_asset,
           CASE WHEN a.class IN ('asset', 'expense') THEN 1 ELSE -1 END AS side INTO other
      FROM ledger.account a, ledger.account own
     WHERE a.ledger_id = $1 AND a.code = $5 AND own.ledger_id = $1 AND own.id = $4;
    IF NOT FOUND OR other.id = $4 OR NOT other.same_asset THEN
        RAISE EXCEPTION 'there is no other account % of the same currency', $5 USING ERRCODE = 'PC034';
    END IF;
    IF other.status <> 'open' THEN
        RAISE EXCEPTION 'the account % is %', $5, other.status USING ERRCODE = 'PC034';
    END IF;

    PERFORM FROM ledger.balance b
      WHERE b.ledger_id = $1 AND b.account_id IN ($4, other.id) ORDER BY b.account_id FOR UPDATE;
    digest := sha256(convert_to(concat_ws('|', 'adjustment', $4, other.id, $6), 'UTF8'));
    SELECT t.id, t.request_digest INTO known FROM ledger.transaction t
     WHERE t.ledger_id = $1 AND t.principal = books AND t.idempotency_key = $3;
    IF FOUND THEN
        IF known.request_digest <> digest THEN
            RAISE EXCEPTION 'the key % has posted something else', $3 USING ERRCODE = 'PC035';
        END IF;
        RETURN (SELECT e.seq FROM ledger.entry e
                 WHERE e.ledger_id = $1 AND e.transaction_id = known.id AND e.account_id = $4);
    END IF;
    IF EXISTS (SELECT FROM ledger.balance b
                WHERE b.ledger_id = $1 AND b.account_id = other.id AND other.side * -$6 < 0
                  AND other.side * (b.posted - $6) - b.held < other.floor) THEN
        RAISE EXCEPTION 'the account % does not have that much', $5 USING ERRCODE = 'PC036';
    END IF;

    WITH t AS (
        INSERT INTO ledger.transaction (ledger_id, id, kind, principal, idempotency_key, request_digest,
                                        description, metadata)
        VALUES ($1, $2, 'adjustment', books, $3, digest, $7, $8)
    ), leg AS (
        SELECT * FROM (VALUES ($4, $6), (other.id, -$6)) AS v (account_id, amount)
    )
    INSERT INTO ledger.entry (ledger_id, account_id, seq, transaction_id, amount, balance_after)
    SELECT $1, b.account_id, b.entries + 1, $2, leg.amount, b.posted + leg.amount
      FROM leg JOIN ledger.balance b ON b.ledger_id = $1 AND b.account_id = leg.account_id;
    WITH moved AS (
        UPDATE ledger.balance b SET posted = e.balance_after, entries = e.seq
          FROM ledger.entry e
         WHERE e.ledger_id = $1 AND e.transaction_id = $2
           AND b.ledger_id = e.ledger_id AND b.account_id = e.account_id AND b.entries = e.seq - 1
        RETURNING b.account_id, b.entries
    )
    SELECT max(m.entries) FILTER (WHERE m.account_id = $4) INTO new_seq
      FROM moved m
    HAVING ledger.confirm_rows(count(*), 2) = 2;
    RETURN new_seq;
END
$$;

-- Closes breaks: what they stand for is recorded as one match; when its two sides differ, the difference is
-- posted against the named account first. Returns the match.
CREATE FUNCTION ledger.resolve_breaks(ledger_id integer, breaks bigint[], reason text, made_by text,
                                      approved_by text, against_code text, transaction_id uuid) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found      record;
    new_match  bigint;
    difference numeric;
    posted_seq bigint;
BEGIN
    PERFORM ledger.lock_reconciliation($1);
    SELECT count(*) AS breaks, count(DISTINCT b.account_id) AS accounts,
           min(b.account_id::text)::uuid AS account_id,
           count(*) FILTER (WHERE s.status = 'open') AS open,
           coalesce(sum(l.amount), 0) AS lines, coalesce(sum(e.amount), 0) AS entries INTO found
      FROM ledger.statement_break b
      CROSS JOIN LATERAL (SELECT v.status FROM ledger.statement_break_event v
                           WHERE v.ledger_id = b.ledger_id AND v.break_id = b.id
                           ORDER BY v.n DESC LIMIT 1) s
      LEFT JOIN ledger.statement_line l ON l.ledger_id = b.ledger_id AND l.account_id = b.account_id
                                       AND l.statement = b.statement AND l.n = b.n
      LEFT JOIN ledger.entry e ON e.ledger_id = b.ledger_id AND e.account_id = b.account_id AND e.seq = b.seq
     WHERE b.ledger_id = $1 AND b.id = ANY ($2);
    IF found.breaks <> cardinality($2) OR found.open <> found.breaks OR found.breaks = 0 THEN
        RAISE EXCEPTION 'not each of these is an open break' USING ERRCODE = 'PC037';
    END IF;
    IF found.accounts <> 1 THEN
        RAISE EXCEPTION 'these breaks belong to different accounts' USING ERRCODE = 'PC037';
    END IF;
    difference := found.lines - found.entries;
    IF (difference = 0) <> ($6 IS NULL) THEN
        RAISE EXCEPTION 'lines and entries differ by % minor units: %', difference,
            CASE WHEN difference = 0 THEN 'there is nothing to post'
                 ELSE 'name the account that it is to be posted against' END USING ERRCODE = 'PC037';
    END IF;
    IF difference <> 0 THEN
        posted_seq := ledger.post_adjustment($1, $7, 'statement-break-' || $2[1], found.account_id, $6,
                                             difference, $3, jsonb_build_object('breaks', to_jsonb($2),
                                                                                'approved_by', $5));
    END IF;

    SELECT coalesce(max(m.id), 0) + 1 INTO new_match
      FROM ledger.statement_match m WHERE m.ledger_id = $1 AND m.account_id = found.account_id;
    WITH m AS (
        INSERT INTO ledger.statement_match (ledger_id, account_id, id, pass, made_by)
        VALUES ($1, found.account_id, new_match, 0, $4)
    ), l AS (
        INSERT INTO ledger.statement_match_line (ledger_id, account_id, statement, n, match_id)
        SELECT b.ledger_id, b.account_id, b.statement, b.n, new_match
          FROM ledger.statement_break b WHERE b.ledger_id = $1 AND b.id = ANY ($2) AND b.n IS NOT NULL
    )
    INSERT INTO ledger.statement_match_entry (ledger_id, account_id, seq, match_id)
    SELECT b.ledger_id, b.account_id, b.seq, new_match
      FROM ledger.statement_break b WHERE b.ledger_id = $1 AND b.id = ANY ($2) AND b.seq IS NOT NULL
     UNION ALL
    SELECT $1, found.account_id, posted_seq, new_match WHERE posted_seq IS NOT NULL;
    INSERT INTO ledger.statement_break_event (ledger_id, break_id, n, status, category, owner, reason, match_id,
                                              transaction_id, made_by, approved_by)
    SELECT v.ledger_id, v.break_id, v.n + 1, 'resolved', v.category, v.owner, $3, new_match,
           CASE WHEN posted_seq IS NOT NULL THEN $7 END, $4, $5
      FROM (SELECT DISTINCT ON (v.break_id) v.* FROM ledger.statement_break_event v
             WHERE v.ledger_id = $1 AND v.break_id = ANY ($2)
             ORDER BY v.break_id, v.n DESC) v;
    RETURN new_match;
END
$$;

REVOKE ALL ON FUNCTION ledger.check_statements(), ledger.check_statement_lines(), ledger.check_matches(),
    ledger.check_match_members(), ledger.lock_reconciliation(integer),
    ledger.post_adjustment(integer, uuid, text, uuid, text, numeric, text, jsonb),
    ledger.resolve_breaks(integer, bigint[], text, text, text, text, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.lock_reconciliation(integer),
    ledger.post_adjustment(integer, uuid, text, uuid, text, numeric, text, jsonb),
    ledger.resolve_breaks(integer, bigint[], text, text, text, text, uuid) TO :"service_role";
GRANT SELECT, INSERT ON ledger.statement, ledger.statement_line, ledger.statement_match,
    ledger.statement_match_line, ledger.statement_match_entry, ledger.statement_break,
    ledger.statement_break_event TO :"service_role";

COMMIT;
