-- Verify pacioli_wallet:accounts on pg
SELECT 1;
