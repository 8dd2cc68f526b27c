-- Verify pacioli_wallet:ledgers on pg

BEGIN;
SET LOCAL pacioli.service_role = :'service_role';

DO $$
DECLARE
    service  text := current_setting('pacioli.service_role');
    func     text;
    lacking  text;
BEGIN
    FOREACH func IN ARRAY ARRAY['ledger.iso_4217()', 'ledger.create_asset(integer, text, integer)',
                                'ledger.create_ledger(text)'] LOOP
        IF has_function_privilege(service, func, 'EXECUTE') THEN
            RAISE EXCEPTION '% may execute %: only the owner may', service, func;
        END IF;
    END LOOP;

    IF NOT EXISTS (SELECT FROM ledger.ledger WHERE name = 'main') THEN
        RAISE EXCEPTION 'there is no ledger main';
    END IF;
    IF (SELECT count(*) FROM ledger.ledger l JOIN ledger.asset a ON a.ledger_id = l.id
         WHERE l.name = 'main' AND (a.code, a.decimals) IN (('JPY', 0), ('RUB', 2), ('BHD', 3))) <> 3 THEN
        RAISE EXCEPTION 'ledger main lacks currencies';
    END IF;
    SELECT string_agg(format('%s of ledger %s', s.code, s.ledger_id), ', ') INTO lacking
      FROM ledger.asset s
     WHERE NOT EXISTS (SELECT FROM ledger.account a
                         JOIN ledger.balance b ON b.ledger_id = a.ledger_id AND b.account_id = a.id
                        WHERE a.ledger_id = s.ledger_id AND a.asset = s.code AND a.class = 'asset'
                          AND a.owner_id IS NULL AND a.floor IS NULL
                          AND a.code = 'assets:settlement:' || s.code);
    IF lacking IS NOT NULL THEN
        RAISE EXCEPTION 'no settlement account for %', lacking;
    END IF;
    IF NOT EXISTS (SELECT FROM ledger.schema_version WHERE version = 1) THEN
        RAISE EXCEPTION 'version 1 is not recorded';
    END IF;
END
$$;

ROLLBACK;
