-- Deploy pacioli_wallet:audit to pg
-- requires: revision
-- Who did what beside posting, from where, with what outcome. A row is written by the statement that does it, or
-- refuses it, so that there is never one without the other; it stays as it was written, and holds no secret. Names of
-- events are those of OWASP's logging vocabulary, as far as it has one. Postings are not repeated here: the journal
-- itself says who posted what and when.

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE TABLE ledger.audit (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    event       text        COLLATE "C" NOT NULL CHECK (event ~ '^[a-z][a-z_]{2,63}$'),
    outcome     text        COLLATE "C" NOT NULL CHECK (outcome IN ('success', 'failure')),
    actor       text        COLLATE "C" CHECK (length(actor) <= 128),   -- who: a principal; null: nobody known
    subject     text        COLLATE "C" CHECK (length(subject) <= 128), -- what it is about
    reason      text        CHECK (length(reason) <= 256),
    request_id  text        CHECK (length(request_id) <= 64),
    address     text        CHECK (length(address) <= 64),
    agent       text        CHECK (length(agent) <= 256),
    detail      jsonb       NOT NULL DEFAULT '{}'
        CHECK (jsonb_typeof(detail) = 'object' AND length(detail::text) <= 4096)
);
CREATE INDEX audit_actor ON ledger.audit (actor, id);
CREATE INDEX audit_subject ON ledger.audit (subject, id);
CREATE INDEX audit_event ON ledger.audit (event, id);

CREATE TRIGGER audit_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.audit
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change('PC010');

-- p_origin is what service_kit/audit.h makes of a request: {"request_id", "address", "agent"}.
CREATE FUNCTION ledger.audit_write(p_event text, p_outcome text, p_actor text, p_subject text, p_reason text,
                                   p_origin jsonb, p_detail jsonb DEFAULT '{}') RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO ledger.audit (event, outcome, actor, subject, reason, request_id, address, agent, detail)
    VALUES (p_event, p_outcome, p_actor, p_subject, p_reason, left(p_origin ->> 'request_id', 64),
            left(p_origin ->> 'address', 64), left(p_origin ->> 'agent', 256), coalesce(p_detail, '{}'))
$$;

GRANT SELECT ON ledger.audit TO :"service_role";
GRANT INSERT (event, outcome, actor, subject, reason, request_id, address, agent, detail) ON ledger.audit
    TO :"service_role";
GRANT EXECUTE ON FUNCTION ledger.audit_write(text, text, text, text, text, jsonb, jsonb) TO :"service_role";

COMMIT;
