-- 0009_checkpoint.sql: what the signer has signed about the record, and how old records may go.

-- The chain of hashes stands in every row of audit since 0001; a checkpoint says under a signature where it stood.
CREATE TABLE checkpoint (
	kind TEXT NOT NULL CHECK (kind IN ('record', 'cut')), -- 'cut': the records up to there were removed for their age
	gateway TEXT NOT NULL,
	sequence INTEGER NOT NULL, -- of the last record that it covers
	hash TEXT NOT NULL,        -- that record's
	at INTEGER NOT NULL,       -- milliseconds since 1970, by the signer's clock
	key TEXT NOT NULL,         -- SHA-256 of the public key (DER SubjectPublicKeyInfo)
	signature TEXT NOT NULL,
	PRIMARY KEY (sequence, kind)
);
CREATE TRIGGER checkpoint_no_update BEFORE UPDATE ON checkpoint
BEGIN
	SELECT RAISE(ABORT, 'checkpoints are append-only');
END;
CREATE TRIGGER checkpoint_no_delete BEFORE DELETE ON checkpoint
BEGIN
	SELECT RAISE(ABORT, 'checkpoints are append-only');
END;

-- Records go only behind a signed cut.
DROP TRIGGER audit_no_delete;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
WHEN OLD.sequence > coalesce((SELECT max(sequence) FROM checkpoint WHERE kind = 'cut'), 0)
BEGIN
	SELECT RAISE(ABORT, 'the audit log is append-only');
END;

CREATE VIEW v_checkpoint AS
SELECT kind, sequence, strftime('%Y-%m-%dT%H:%M:%SZ', at / 1000, 'unixepoch') AS time, gateway, hash, key, signature
FROM checkpoint ORDER BY sequence;
