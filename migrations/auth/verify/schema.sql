-- Verify pacioli_auth:schema on pg
SELECT 1;
