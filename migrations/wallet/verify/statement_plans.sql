-- Verify pacioli_wallet:statement_plans on pg

BEGIN;

DO $$
BEGIN
    IF (SELECT count(*) FROM pg_proc
         WHERE pronamespace = 'ledger'::regnamespace
           AND proname IN ('check_statements', 'check_statement_lines', 'check_matches', 'check_match_members')
           AND 'enable_seqscan=off' = ANY (proconfig)) <> 4 THEN
        RAISE EXCEPTION 'a check of statements or matches may read whole tables';
    END IF;
    IF pg_get_indexdef('ledger.statement_match_line_match'::regclass) NOT LIKE '%(match_id, ledger_id, account_id)' THEN
        RAISE EXCEPTION 'statement_match_line_match is not led by the match';
    END IF;
END
$$;

ROLLBACK;
