-- Verify pacioli_wallet:accounts on pg

BEGIN;
SET LOCAL pacioli.service_role = :'service_role';

SELECT id, name, created_at FROM ledger.ledger WHERE false;
SELECT ledger_id, code, decimals FROM ledger.asset WHERE false;
SELECT ledger_id, id, owner_id, asset, class, code, status, floor, metadata, created_at
  FROM ledger.account WHERE false;
SELECT ledger_id, account_id, posted, held, entries FROM ledger.balance WHERE false;

DO $$
DECLARE
    service text := current_setting('pacioli.service_role');
    missing text;
BEGIN
    SELECT string_agg(format('%s on %s', privilege, tab), ', ') INTO missing
      FROM (VALUES ('ledger.ledger', 'SELECT'), ('ledger.asset', 'SELECT'),
                   ('ledger.account', 'SELECT'), ('ledger.account', 'INSERT'),
                   ('ledger.balance', 'SELECT'), ('ledger.balance', 'INSERT')) AS v (tab, privilege)
     WHERE NOT has_table_privilege(service, tab, privilege);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% lacks %', service, missing;
    END IF;
    SELECT string_agg('UPDATE on ledger.balance.' || col, ', ') INTO missing
      FROM unnest(ARRAY['posted', 'held', 'entries']) AS col
     WHERE NOT has_column_privilege(service, 'ledger.balance', col, 'UPDATE');
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% lacks %', service, missing;
    END IF;
    IF has_any_column_privilege(service, 'ledger.ledger', 'INSERT, UPDATE')
       OR has_any_column_privilege(service, 'ledger.asset', 'INSERT, UPDATE')
       OR has_table_privilege(service, 'ledger.account', 'UPDATE, DELETE, TRUNCATE')
       OR has_table_privilege(service, 'ledger.balance', 'UPDATE, DELETE, TRUNCATE') THEN
        RAISE EXCEPTION '% has rights that it must not have', service;
    END IF;

    SELECT string_agg(name, ', ') INTO missing
      FROM (VALUES ('ledger.ledger', 'ledger_identity'), ('ledger.ledger', 'ledger_kept'),
                   ('ledger.asset', 'asset_identity'), ('ledger.asset', 'asset_kept'),
                   ('ledger.account', 'account_identity'), ('ledger.account', 'account_kept'),
                   ('ledger.balance', 'balance_identity'), ('ledger.balance', 'balance_kept')
           ) AS v (tab, name)
     WHERE NOT EXISTS (SELECT FROM pg_trigger
                        WHERE tgrelid = tab::regclass AND tgname = name AND tgenabled <> 'D');
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'missing or disabled triggers: %', missing;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_class
                    WHERE oid = 'ledger.balance'::regclass AND 'fillfactor=50' = ANY (reloptions)) THEN
        RAISE EXCEPTION 'ledger.balance has lost its fillfactor';
    END IF;
END
$$;

ROLLBACK;
