-- Deploy pacioli_wallet:statement_plans to pg
-- requires: periods
-- The checks of statements and matches look their rows up by key whatever the statistics say, as those of the
-- journal do.

BEGIN;
SET LOCAL lock_timeout = '5s';

ALTER FUNCTION ledger.check_statements() SET enable_seqscan = off;
ALTER FUNCTION ledger.check_statements() SET enable_bitmapscan = off;
ALTER FUNCTION ledger.check_statements() SET enable_hashjoin = off;
ALTER FUNCTION ledger.check_statements() SET enable_mergejoin = off;
ALTER FUNCTION ledger.check_statements() SET jit = off;
ALTER FUNCTION ledger.check_statement_lines() SET enable_seqscan = off;
ALTER FUNCTION ledger.check_statement_lines() SET enable_bitmapscan = off;
ALTER FUNCTION ledger.check_statement_lines() SET enable_hashjoin = off;
ALTER FUNCTION ledger.check_statement_lines() SET enable_mergejoin = off;
ALTER FUNCTION ledger.check_statement_lines() SET jit = off;
ALTER FUNCTION ledger.check_match_members() SET enable_seqscan = off;
ALTER FUNCTION ledger.check_match_members() SET enable_bitmapscan = off;
ALTER FUNCTION ledger.check_match_members() SET enable_hashjoin = off;
ALTER FUNCTION ledger.check_match_members() SET enable_mergejoin = off;
ALTER FUNCTION ledger.check_match_members() SET jit = off;

CREATE OR REPLACE FUNCTION ledger.check_matches() RETURNS trigger
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
    SELECT m.account_id, m.id, l.total AS lines, e.total AS entries INTO bad
      FROM new_match m
      CROSS JOIN LATERAL (SELECT coalesce(sum(x.amount), 0) AS total, count(*) AS members
                            FROM (SELECT * FROM ledger.statement_match_line y
                                   WHERE y.ledger_id = m.ledger_id AND y.account_id = m.account_id
                                     AND y.match_id = m.id OFFSET 0) k
                            CROSS JOIN LATERAL (SELECT y.amount FROM ledger.statement_line y
                                                 WHERE y.ledger_id = k.ledger_id AND y.account_id = k.account_id
                                                   AND y.statement = k.statement AND y.n = k.n OFFSET 0) x) l
      CROSS JOIN LATERAL (SELECT coalesce(sum(x.amount), 0) AS total, count(*) AS members
                            FROM (SELECT * FROM ledger.statement_match_entry y
                                   WHERE y.ledger_id = m.ledger_id AND y.account_id = m.account_id
                                     AND y.match_id = m.id OFFSET 0) k
                            CROSS JOIN LATERAL (SELECT y.amount FROM ledger.entry y
                                                 WHERE y.ledger_id = k.ledger_id AND y.account_id = k.account_id
                                                   AND y.seq = k.seq OFFSET 0) x) e
     WHERE l.total <> e.total OR l.members + e.members < 2
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account %, match %: lines of % are not entries of %', bad.account_id, bad.id,
            bad.lines, bad.entries USING ERRCODE = 'PC033';
    END IF;
    RETURN NULL;
END
$$;

-- Led by what only the reader of a match asks for: an index that begins like the primary key is as good as that
-- for a planner without statistics, and is then read in full for each line.
DROP INDEX ledger.statement_match_line_match, ledger.statement_match_entry_match;
CREATE INDEX statement_match_line_match ON ledger.statement_match_line (match_id, ledger_id, account_id);
CREATE INDEX statement_match_entry_match ON ledger.statement_match_entry (match_id, ledger_id, account_id);

COMMIT;
