-- Verify pacioli_auth:refusals on pg

BEGIN;

SELECT 1 / (prosrc LIKE '%privilege_permissions_changed'' ELSE ''user_updated%')::integer
  FROM pg_proc WHERE oid = 'auth.user_change(uuid, uuid, jsonb, uuid, text, boolean)'::regprocedure;

ROLLBACK;
