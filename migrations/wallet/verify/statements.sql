-- Verify pacioli_wallet:statements on pg

BEGIN;
SET LOCAL pacioli.service_role = :'service_role';

SELECT ledger_id, account_id, number, reference, sequence, file_digest, content_digest, opening, closing,
       line_count, recorded_xid
  FROM ledger.statement WHERE false;
SELECT ledger_id, account_id, statement, n, booked_on, value_on, amount, refs, reversal
  FROM ledger.statement_line WHERE false;
SELECT ledger_id, account_id, id, pass, recorded_xid FROM ledger.statement_match WHERE false;
SELECT ledger_id, account_id, statement, n, match_id FROM ledger.statement_match_line WHERE false;
SELECT ledger_id, account_id, seq, match_id FROM ledger.statement_match_entry WHERE false;
SELECT ledger_id, id, account_id, statement, n, seq FROM ledger.statement_break WHERE false;
SELECT ledger_id, break_id, n, status, category, owner, reason, match_id, transaction_id, approved_by
  FROM ledger.statement_break_event WHERE false;

DO $$
DECLARE
    service text := current_setting('pacioli.service_role');
    tab     text;
BEGIN
    FOREACH tab IN ARRAY ARRAY['statement', 'statement_line', 'statement_match', 'statement_match_line',
                               'statement_match_entry', 'statement_break', 'statement_break_event'] LOOP
        IF NOT has_table_privilege(service, 'ledger.' || tab, 'SELECT')
           OR NOT has_table_privilege(service, 'ledger.' || tab, 'INSERT') THEN
            RAISE EXCEPTION '% cannot read and append to %', service, tab;
        END IF;
        IF has_table_privilege(service, 'ledger.' || tab, 'UPDATE, DELETE, TRUNCATE, TRIGGER') THEN
            RAISE EXCEPTION '% can do more than read and append to %', service, tab;
        END IF;
        IF NOT EXISTS (SELECT FROM pg_trigger
                        WHERE tgrelid = ('ledger.' || tab)::regclass AND tgname = tab || '_append_only'
                          AND tgfoid = 'ledger.refuse_change()'::regprocedure AND tgenabled <> 'D') THEN
            RAISE EXCEPTION 'the trigger %_append_only is missing or disabled', tab;
        END IF;
    END LOOP;
    FOREACH tab IN ARRAY ARRAY['statement', 'statement_line', 'statement_match', 'statement_match_line',
                               'statement_match_entry'] LOOP
        IF NOT EXISTS (SELECT FROM pg_trigger
                        WHERE tgrelid = ('ledger.' || tab)::regclass AND tgname = tab || '_check'
                          AND tgenabled <> 'D') THEN
            RAISE EXCEPTION 'the trigger %_check is missing or disabled', tab;
        END IF;
    END LOOP;
    IF NOT has_function_privilege(service,
            'ledger.resolve_breaks(integer, bigint[], text, text, text, text, uuid)', 'EXECUTE') THEN
        RAISE EXCEPTION '% cannot resolve breaks', service;
    END IF;
END
$$;

ROLLBACK;
