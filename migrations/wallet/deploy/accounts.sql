-- Deploy pacioli_wallet:accounts to pg
-- requires: schema
-- Ledgers, their assets, the accounts, and beside each account the snapshot of its entries.

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE ledger.ledger (
    id         integer     PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name       text        COLLATE "C" NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9_-]{0,62}$'),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE ledger.asset (
    ledger_id integer  NOT NULL REFERENCES ledger.ledger,
    code      text     COLLATE "C" NOT NULL CHECK (code ~ '^[A-Z][A-Z0-9_]{1,15}$'),
    decimals  smallint NOT NULL CHECK (decimals BETWEEN 0 AND 18),
    PRIMARY KEY (ledger_id, code)
);

-- The primary key carries the asset: the journal's check reads it for every entry, from the index alone.
CREATE TABLE ledger.account (
    ledger_id  integer       NOT NULL,
    id         uuid          NOT NULL,
    owner_id   uuid,
    asset      text          COLLATE "C" NOT NULL,
    class      text          COLLATE "C" NOT NULL
        CHECK (class IN ('asset', 'liability', 'equity', 'income', 'expense')),
    code       text          COLLATE "C" NOT NULL CHECK (length(code) BETWEEN 1 AND 255),
    status     text          COLLATE "C" NOT NULL DEFAULT 'open'
        CHECK (status IN ('open', 'frozen', 'closed')),
    floor      numeric(38,0) CHECK (floor <> 'NaN'),
    metadata   jsonb         NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at timestamptz   NOT NULL DEFAULT now(),
    PRIMARY KEY (ledger_id, id) INCLUDE (asset),
    UNIQUE (ledger_id, code),
    FOREIGN KEY (ledger_id, asset) REFERENCES ledger.asset
);

CREATE INDEX account_owner ON ledger.account (ledger_id, owner_id, created_at, id)
    WHERE owner_id IS NOT NULL;

-- Every posting updates rows here. Half-empty pages and no index but the key keep those updates HOT;
-- vacuum comes by dead rows alone, and often, so that chains stay short.
CREATE TABLE ledger.balance (
    ledger_id  integer       NOT NULL,
    account_id uuid          NOT NULL,
    posted     numeric(38,0) NOT NULL DEFAULT 0 CHECK (posted <> 'NaN'),
    held       numeric(38,0) NOT NULL DEFAULT 0 CHECK (held >= 0 AND held <> 'NaN'),
    entries    bigint        NOT NULL DEFAULT 0 CHECK (entries >= 0),
    PRIMARY KEY (ledger_id, account_id),
    FOREIGN KEY (ledger_id, account_id) REFERENCES ledger.account,
    CONSTRAINT balance_without_entries CHECK (entries > 0 OR posted = 0)
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.05
);

-- Some columns say what a row is; journal rows lean on them, so they never change. The triggers that call
-- this name those columns, so an UPDATE of others (every posting on balance) does not come here.
CREATE FUNCTION ledger.refuse_identity_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was     jsonb := to_jsonb(OLD);
    is_now  jsonb := to_jsonb(NEW);
    fixed   text;
BEGIN
    FOREACH fixed IN ARRAY TG_ARGV LOOP
        IF was -> fixed IS DISTINCT FROM is_now -> fixed THEN
            RAISE EXCEPTION USING
                ERRCODE = 'PC011',
                MESSAGE = format('%I.%I of %s cannot be changed: journal rows depend on it',
                                 TG_TABLE_NAME, fixed,
                                 concat_ws(', ', 'ledger ' || coalesce(was ->> 'ledger_id', was ->> 'id'),
                                           'account ' || (was ->> 'account_id'),
                                           TG_TABLE_NAME || ' ' || coalesce(was ->> 'code', was ->> 'name'))),
                SCHEMA = TG_TABLE_SCHEMA,
                TABLE = TG_TABLE_NAME,
                COLUMN = fixed;
        END IF;
    END LOOP;
    RETURN NEW;
END
$$;

CREATE TRIGGER ledger_identity
    BEFORE UPDATE OF id ON ledger.ledger
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_identity_change('id');
CREATE TRIGGER asset_identity
    BEFORE UPDATE ON ledger.asset
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_identity_change('ledger_id', 'code', 'decimals');
CREATE TRIGGER account_identity
    BEFORE UPDATE OF ledger_id, id, owner_id, asset, class, created_at ON ledger.account
    FOR EACH ROW EXECUTE FUNCTION
    ledger.refuse_identity_change('ledger_id', 'id', 'owner_id', 'asset', 'class', 'created_at');
CREATE TRIGGER balance_identity
    BEFORE UPDATE OF ledger_id, account_id ON ledger.balance
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_identity_change('ledger_id', 'account_id');

CREATE TRIGGER ledger_kept
    BEFORE DELETE OR TRUNCATE ON ledger.ledger
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC012');
CREATE TRIGGER asset_kept
    BEFORE DELETE OR TRUNCATE ON ledger.asset
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC012');
CREATE TRIGGER account_kept
    BEFORE DELETE OR TRUNCATE ON ledger.account
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC012');
CREATE TRIGGER balance_kept
    BEFORE DELETE OR TRUNCATE ON ledger.balance
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC012');

GRANT SELECT ON ledger.ledger, ledger.asset TO :"service_role";
GRANT SELECT, INSERT ON ledger.account, ledger.balance TO :"service_role";
GRANT UPDATE (posted, held, entries) ON ledger.balance TO :"service_role";

COMMIT;
