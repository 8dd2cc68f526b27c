-- Verify pacioli_wallet:journal on pg
SELECT 1;
