-- Verify pacioli_wallet:schema on pg
SELECT 1;
