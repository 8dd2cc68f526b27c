-- Revert pacioli_wallet:statement_plans from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

ALTER FUNCTION ledger.check_statements() RESET enable_seqscan;
ALTER FUNCTION ledger.check_statements() RESET enable_bitmapscan;
ALTER FUNCTION ledger.check_statements() RESET enable_hashjoin;
ALTER FUNCTION ledger.check_statements() RESET enable_mergejoin;
ALTER FUNCTION ledger.check_statements() RESET jit;
ALTER FUNCTION ledger.check_statement_lines() RESET enable_seqscan;
ALTER FUNCTION ledger.check_statement_lines() RESET enable_bitmapscan;
ALTER FUNCTION ledger.check_statement_lines() RESET enable_hashjoin;
ALTER FUNCTION ledger.check_statement_lines() RESET enable_mergejoin;
ALTER FUNCTION ledger.check_statement_lines() RESET jit;
ALTER FUNCTION ledger.check_match_members() RESET enable_seqscan;
ALTER FUNCTION ledger.check_match_members() RESET enable_bitmapscan;
ALTER FUNCTION ledger.check_match_members() RESET enable_hashjoin;
ALTER FUNCTION ledger.check_match_members() RESET enable_mergejoin;
ALTER FUNCTION ledger.check_match_members() RESET jit;

CREATE OR REPLACE FUNCTION ledger.check_matches() RETURNS trigger
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

DROP INDEX ledger.statement_match_line_match, ledger.statement_match_entry_match;
CREATE INDEX statement_match_line_match ON ledger.statement_match_line (ledger_id, account_id, match_id);
CREATE INDEX statement_match_entry_match ON ledger.statement_match_entry (ledger_id, account_id, match_id);

COMMIT;
