-- 0010_issuer.sql: other authorities: who has issued an adopted certificate, and what they have revoked.

ALTER TABLE certificate ADD COLUMN issuer TEXT NOT NULL DEFAULT ''; -- of an adopted one: SHA-256 of its authority's certificate; '': not known

-- The last good list of revoked certificates (CRL) of each authority.
CREATE TABLE issuer_list (
	authority TEXT PRIMARY KEY,         -- SHA-256 of its certificate
	number TEXT NOT NULL,               -- its CRL number, 40 hexadecimal digits
	this_update BIGINT NOT NULL,
	next_update BIGINT NOT NULL,
	noticed_at BIGINT NOT NULL,         -- when it was told that the next one has not come; 0: it was not
	serials TEXT NOT NULL               -- 40 hexadecimal digits each, sorted, nothing between them
);
