-- Verify pacioli_auth:users on pg
SELECT 1;
