-- Deploy pacioli_wallet:attempts to pg
-- requires: check_runs
-- What an operator asks for is one statement, and one that the server reads late may come after its service has died
-- and somebody has asked again. So each attempt gets a number first, in a statement of its own, and is made only while
-- no later attempt on the same thing (a transaction, an account, the ledger's periods) has been made: whatever was
-- answered to that one stays true.

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE SEQUENCE ledger.attempt_number;

-- The latest attempt that was made, or refused, on each thing.
CREATE TABLE ledger.attempt (
    ledger_id integer NOT NULL,
    subject   uuid    NOT NULL,
    number    bigint  NOT NULL CHECK (number > 0),
    PRIMARY KEY (ledger_id, subject)
);

CREATE FUNCTION ledger.next_attempt() RETURNS bigint
LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$ SELECT nextval('ledger.attempt_number') $$;

-- Called with an argument of what is to be done, so that it comes first; returns the ledger. Its row is locked until
-- the end of the attempt: the next one waits, and sees all of it.
CREATE FUNCTION ledger.begin_attempt(p_ledger integer, p_subject uuid, p_number bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO ledger.attempt AS a (ledger_id, subject, number) VALUES (p_ledger, p_subject, p_number)
        ON CONFLICT (ledger_id, subject) DO UPDATE SET number = excluded.number WHERE a.number < excluded.number;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'ledger %, attempt % on %: a later one was made', p_ledger, p_number, p_subject
            USING ERRCODE = 'PC040', SCHEMA = 'ledger', TABLE = 'attempt';
    END IF;
    RETURN p_ledger;
END
$$;

GRANT EXECUTE ON FUNCTION ledger.next_attempt() TO :"service_role";
GRANT EXECUTE ON FUNCTION ledger.begin_attempt(integer, uuid, bigint) TO :"service_role";

INSERT INTO ledger.schema_version (version) VALUES (6);

COMMIT;
