-- 0002_enrolment.sql: invitations, and what a certificate's life after its issue needs.

ALTER TABLE device ADD COLUMN forgotten_at BIGINT;

-- The certificate itself is kept until it was used once: an answer that was lost can be given again.
ALTER TABLE certificate ADD COLUMN der TEXT NOT NULL DEFAULT '';
ALTER TABLE certificate ADD COLUMN key_store TEXT NOT NULL DEFAULT '';  -- software, pkcs11, tpm: the laptop's claim
ALTER TABLE certificate ADD COLUMN authority TEXT NOT NULL DEFAULT '';  -- SHA-256 of its certificate; '': issued elsewhere
ALTER TABLE certificate ADD COLUMN first_used_at BIGINT;
ALTER TABLE certificate ADD COLUMN superseded_at BIGINT;               -- when its successor was first used
ALTER TABLE certificate ADD COLUMN noticed_at BIGINT;                  -- when its coming end was recorded

-- The secret itself is nowhere.
CREATE TABLE invitation (
	id TEXT PRIMARY KEY,
	secret_hash TEXT NOT NULL,
	device_name TEXT NOT NULL,
	device TEXT REFERENCES device (id), -- reinvitation: from the start; else once it is used
	users TEXT NOT NULL,                -- one a line; * stands for everybody
	tags TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('open', 'pending', 'approved', 'used', 'withdrawn')),
	attempts BIGINT NOT NULL,           -- with a wrong secret
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	public_key TEXT NOT NULL,           -- of whoever came with the secret first; DER SubjectPublicKeyInfo
	key_kind TEXT NOT NULL,
	key_store TEXT NOT NULL,
	address TEXT NOT NULL               -- from where
);

DROP VIEW v_device;
CREATE VIEW v_device AS
SELECT name, state,
	coalesce((SELECT group_concat("user", ',') FROM device_user WHERE device_user.device = device.id), '') AS users,
	replace(trim(tags, char(10)), char(10), ',') AS tags, generation,
	strftime('%Y-%m-%dT%H:%M:%SZ', created_at / 1000, 'unixepoch') AS created,
	strftime('%Y-%m-%dT%H:%M:%SZ', last_seen_at / 1000, 'unixepoch') AS last_seen, last_seen_from,
	(SELECT strftime('%Y-%m-%dT%H:%M:%SZ', max(not_after) / 1000, 'unixepoch') FROM certificate
		WHERE certificate.device = device.id AND certificate.state = 'active') AS certificate_until,
	(SELECT key_kind FROM certificate WHERE certificate.device = device.id ORDER BY generation DESC LIMIT 1) AS key_kind,
	(SELECT key_store FROM certificate WHERE certificate.device = device.id ORDER BY generation DESC LIMIT 1) AS key_store,
	strftime('%Y-%m-%dT%H:%M:%SZ', forgotten_at / 1000, 'unixepoch') AS forgotten
FROM device ORDER BY name;

CREATE VIEW v_invitation AS
SELECT id AS invitation, device_name AS device, replace(trim(users, char(10)), char(10), ',') AS users, state, attempts,
	strftime('%Y-%m-%dT%H:%M:%SZ', created_at / 1000, 'unixepoch') AS created,
	strftime('%Y-%m-%dT%H:%M:%SZ', expires_at / 1000, 'unixepoch') AS expires, key_kind, address
FROM invitation ORDER BY created_at;
