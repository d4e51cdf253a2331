-- 0002_reserved.sql: this number is reserved; nothing changes. (A migration without a statement is none: hence the view.)
DROP VIEW IF EXISTS v_reserved;
