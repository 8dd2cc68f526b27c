-- Verify pacioli_wallet:journal on pg

BEGIN;
SET LOCAL pacioli.service_role = :'service_role';

SELECT ledger_id, id, kind, principal, idempotency_key, request_digest, effective_at, created_at, reverses,
       description, metadata, recorded_xid
  FROM ledger.transaction WHERE false;
SELECT ledger_id, account_id, seq, transaction_id, amount, balance_after FROM ledger.entry WHERE false;

DO $$
DECLARE
    service text := current_setting('pacioli.service_role');
    tab     text;
    missing text;
BEGIN
    FOREACH tab IN ARRAY ARRAY['ledger.transaction', 'ledger.entry'] LOOP
        IF NOT has_table_privilege(service, tab, 'SELECT')
           OR NOT has_table_privilege(service, tab, 'INSERT') THEN
            RAISE EXCEPTION '% cannot read and append to %', service, tab;
        END IF;
        IF has_table_privilege(service, tab, 'DELETE, TRUNCATE, TRIGGER')
           OR has_any_column_privilege(service, tab, 'UPDATE') THEN
            RAISE EXCEPTION '% can do more than read and append to %', service, tab;
        END IF;
    END LOOP;

    SELECT string_agg(name, ', ') INTO missing
      FROM (VALUES ('ledger.transaction', 'transaction_check', 'ledger.check_transactions()'),
                   ('ledger.entry', 'entry_check', 'ledger.check_entries()'),
                   ('ledger.transaction', 'transaction_append_only', 'ledger.refuse_change()'),
                   ('ledger.entry', 'entry_append_only', 'ledger.refuse_change()')
           ) AS v (tab_name, name, func)
     WHERE NOT EXISTS (SELECT FROM pg_trigger
                        WHERE tgrelid = tab_name::regclass AND tgname = name
                          AND tgfoid = func::regprocedure AND tgenabled <> 'D');
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'missing or disabled triggers: %', missing;
    END IF;

    IF NOT EXISTS (SELECT FROM pg_constraint
                    WHERE conrelid = 'ledger.transaction'::regclass
                      AND conname = 'transaction_idempotency_key'
                      AND pg_get_constraintdef(oid) = 'UNIQUE (ledger_id, principal, idempotency_key)') THEN
        RAISE EXCEPTION 'constraint transaction_idempotency_key is missing';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_constraint
                    WHERE conrelid = 'ledger.entry'::regclass AND contype = 'p'
                      AND pg_get_constraintdef(oid) = 'PRIMARY KEY (ledger_id, account_id, seq)') THEN
        RAISE EXCEPTION 'the primary key of ledger.entry is missing';
    END IF;
END
$$;

ROLLBACK;
