-- 0012_responder.sql: whom an adopted certificate names to be asked whether it is good (OCSP).

ALTER TABLE certificate ADD COLUMN responder TEXT NOT NULL DEFAULT ''; -- URL; '': none
