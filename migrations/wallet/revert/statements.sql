-- Revert pacioli_wallet:statements from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DO $$
BEGIN
    IF EXISTS (SELECT FROM ledger.statement) OR EXISTS (SELECT FROM ledger.statement_break) THEN
        RAISE EXCEPTION 'there are statements: a revert never deletes books';
    END IF;
END
$$;

DROP FUNCTION ledger.resolve_breaks(integer, bigint[], text, text, text, text, uuid),
    ledger.post_adjustment(integer, uuid, text, uuid, text, numeric, text, jsonb),
    ledger.lock_reconciliation(integer);
DROP TABLE ledger.statement_break_event, ledger.statement_break, ledger.statement_match_entry,
    ledger.statement_match_line, ledger.statement_match, ledger.statement_line, ledger.statement;
DROP FUNCTION ledger.check_statements(), ledger.check_statement_lines(), ledger.check_matches(),
    ledger.check_match_members();

COMMIT;
