-- Verify pacioli_wallet:ledgers on pg
SELECT 1;
