-- Deploy pacioli_wallet:audit_ledger to pg
-- requires: attempts
-- A service shows the audit trail of its own ledger alone. Where several share a database, the few rows of one are found
-- between the many of another.

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE INDEX audit_ledger ON ledger.audit ((detail ->> 'ledger'), id);

COMMIT;
