-- Deploy pacioli_wallet:ledgers to pg
-- requires: journal
-- How the owner makes a ledger and its assets, and the ledger main.

BEGIN;
SET LOCAL lock_timeout = '5s';

-- ISO 4217's active currencies, with their decimals. Left out: fund codes, codes without a minor unit
-- (XAU, XDR ...), XTS and XXX, and what has been withdrawn (ANG, BGN, CUC, HRK, SLL, ZWL).
CREATE FUNCTION ledger.iso_4217() RETURNS TABLE (code text, decimals smallint)
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c, d::smallint
      FROM (VALUES
        (0, 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF'),
        (2, 'AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD
             CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD
             GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL
             MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN
             PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP
             SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG'),
        (3, 'BHD IQD JOD KWD LYD OMR TND')
           ) AS v (d, codes),
           regexp_split_to_table(codes, '\s+') AS c
$$;

-- An asset comes with its settlement account: the other side of every deposit and withdrawal.
CREATE FUNCTION ledger.create_asset(ledger_id integer, code text, decimals integer) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO ledger.asset (ledger_id, code, decimals) VALUES ($1, $2, $3);
    WITH settlement AS (
        INSERT INTO ledger.account (ledger_id, id, asset, class, code)
        VALUES ($1, gen_random_uuid(), $2, 'asset', 'assets:settlement:' || $2)
        RETURNING ledger_id, id)
    INSERT INTO ledger.balance (ledger_id, account_id) SELECT s.ledger_id, s.id FROM settlement s;
$$;

CREATE FUNCTION ledger.create_ledger(name text) RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    new_id integer;
BEGIN
    INSERT INTO ledger.ledger (name) VALUES (create_ledger.name) RETURNING id INTO new_id;
    PERFORM ledger.create_asset(new_id, i.code, i.decimals) FROM ledger.iso_4217() i;
    RETURN new_id;
END
$$;

DO $$ BEGIN PERFORM ledger.create_ledger('main'); END $$;

-- Without statistics a plan takes a ledger for two rows, and walks all of it for each account it looks up.
ANALYZE ledger.asset, ledger.account, ledger.balance;

INSERT INTO ledger.schema_version (version) VALUES (1);

COMMIT;
