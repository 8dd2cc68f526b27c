-- The same postings without group commit: one function call, one commit. What a careful team would write
-- on the same tables, for the comparison in ops/bench. Deployed into the benchmark's own database alone.

CREATE FUNCTION ledger.bench_transfer(source uuid, target uuid, amount_minor bigint, key text)
RETURNS numeric
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    new_id uuid := gen_random_uuid();
    one    ledger.balance;
    other  ledger.balance;
    least  numeric;
    owner  uuid;
BEGIN
    -- Always in the order of the ids, so that opposite transfers do not wait for each other.
    IF source < target THEN
        SELECT * INTO one FROM ledger.balance WHERE ledger_id = 1 AND account_id = source FOR UPDATE;
        SELECT * INTO other FROM ledger.balance WHERE ledger_id = 1 AND account_id = target FOR UPDATE;
    ELSE
        SELECT * INTO other FROM ledger.balance WHERE ledger_id = 1 AND account_id = target FOR UPDATE;
        SELECT * INTO one FROM ledger.balance WHERE ledger_id = 1 AND account_id = source FOR UPDATE;
    END IF;
    SELECT floor, owner_id INTO least, owner FROM ledger.account WHERE ledger_id = 1 AND id = source;
    PERFORM FROM ledger.transaction WHERE ledger_id = 1 AND principal = owner AND idempotency_key = key;
    IF FOUND THEN
        RAISE EXCEPTION 'key used';
    END IF;
    IF -(one.posted + amount_minor) - one.held < least THEN
        RAISE EXCEPTION 'insufficient funds';
    END IF;
    WITH t AS (
        INSERT INTO ledger.transaction (ledger_id, id, kind, principal, idempotency_key, request_digest)
        VALUES (1, new_id, 'transfer', owner, key, sha256(key::bytea)))
    INSERT INTO ledger.entry (ledger_id, account_id, seq, transaction_id, amount, balance_after)
    VALUES (1, source, one.entries + 1, new_id, amount_minor, one.posted + amount_minor),
           (1, target, other.entries + 1, new_id, -amount_minor, other.posted - amount_minor);
    UPDATE ledger.balance SET posted = posted + amount_minor, entries = entries + 1
     WHERE ledger_id = 1 AND account_id = source;
    UPDATE ledger.balance SET posted = posted - amount_minor, entries = entries + 1
     WHERE ledger_id = 1 AND account_id = target;
    RETURN -(one.posted + amount_minor);
END
$$;

CREATE TABLE ledger.bench_account (number integer PRIMARY KEY, id uuid NOT NULL);
INSERT INTO ledger.bench_account
SELECT row_number() OVER (ORDER BY id), id FROM ledger.account WHERE owner_id IS NOT NULL;
ANALYZE ledger.bench_account;
