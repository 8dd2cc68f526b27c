-- Deploy pacioli_wallet:account_status to pg
-- requires: audit
-- How an operator freezes, opens again and closes an account. The service's role has no right to change an account:
-- it may call this function, which runs as the owner, and never changes a status without a line in the audit trail.

BEGIN;
SET LOCAL lock_timeout = '5s';

-- The snapshot is locked before the account is looked at, as every writer does: no posting is between the two. The
-- outcome is 'done', or why not; `account` is null unless it is done. A status that is there already is done, too.
CREATE FUNCTION ledger.set_account_status(p_ledger integer, p_account uuid, p_status text, p_actor uuid,
                                          p_reason text, p_origin jsonb)
RETURNS TABLE (outcome text, account text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    snapshot record;
    was      record;
BEGIN
    SELECT b.posted, b.held INTO snapshot
      FROM ledger.balance b
     WHERE b.ledger_id = p_ledger AND b.account_id = p_account
       FOR UPDATE;
    SELECT a.status, a.code = 'assets:settlement:' || a.asset AS settlement INTO was
      FROM ledger.account a
     WHERE a.ledger_id = p_ledger AND a.id = p_account;
    outcome := CASE
        WHEN was.status IS NULL THEN 'account_not_found'
        WHEN was.settlement THEN 'settlement_account'
        WHEN was.status = p_status THEN 'done'
        WHEN was.status = 'closed' THEN 'account_closed'
        WHEN p_status = 'closed' AND (snapshot.posted <> 0 OR snapshot.held <> 0) THEN 'account_not_empty'
        ELSE 'done'
    END;
    IF outcome = 'done' AND was.status <> p_status THEN
        UPDATE ledger.account a SET status = p_status WHERE a.ledger_id = p_ledger AND a.id = p_account;
    END IF;
    IF outcome = 'done' THEN
        account := json_build_object('id', p_account, 'status', p_status);
    END IF;
    PERFORM ledger.audit_write(
        CASE p_status WHEN 'frozen' THEN 'account_frozen' WHEN 'closed' THEN 'account_closed'
                      ELSE 'account_unfrozen' END,
        CASE outcome WHEN 'done' THEN 'success' ELSE 'failure' END,
        p_actor::text, p_account::text, p_reason, p_origin,
        jsonb_build_object('ledger', p_ledger, 'was', was.status, 'outcome', outcome));
    RETURN NEXT;
END
$$;

GRANT EXECUTE ON FUNCTION ledger.set_account_status(integer, uuid, text, uuid, text, jsonb) TO :"service_role";

INSERT INTO ledger.schema_version (version) VALUES (3);

COMMIT;
