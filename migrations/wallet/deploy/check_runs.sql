-- Deploy pacioli_wallet:check_runs to pg
-- requires: statement_plans
-- What `ledger_report check` found, run by run. A good run is where the next incremental one begins: everything
-- that a transaction below its watermark recorded had been decided, and was seen by it.

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE ledger.check_run (
    ledger_id    integer     NOT NULL REFERENCES ledger.ledger,
    number       bigint      GENERATED ALWAYS AS IDENTITY,
    mode         text        COLLATE "C" NOT NULL CHECK (mode IN ('full', 'incremental')),
    started_at   timestamptz NOT NULL,
    finished_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    watermark    xid8        NOT NULL,
    cluster      bigint      NOT NULL, -- transaction numbers mean nothing in another one (a restored dump)
    transactions bigint      NOT NULL CHECK (transactions >= 0),
    entries      bigint      NOT NULL CHECK (entries >= 0),
    differences  bigint      NOT NULL CHECK (differences >= 0),
    findings     jsonb       NOT NULL CHECK (jsonb_typeof(findings) = 'array' AND length(findings::text) <= 65536),
    PRIMARY KEY (ledger_id, number),
    CONSTRAINT check_run_findings CHECK ((differences = 0) = (findings = '[]'))
);

CREATE TRIGGER check_run_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.check_run
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC010');

GRANT SELECT ON ledger.check_run TO :"service_role";
GRANT INSERT (ledger_id, mode, started_at, watermark, cluster, transactions, entries, differences, findings)
    ON ledger.check_run TO :"service_role";

COMMIT;
