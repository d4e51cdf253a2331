-- 0001_schema.sql: the gateway's record. Never edited after a release: a change is a new file with the next number.
--
-- Portable as far as it goes: text, whole numbers, $1 parameters, no database's own types. Times are milliseconds
-- since 1970 (UTC); fingerprints, hashes, serials and public keys are lower-case hexadecimal. Numbers that grow are
-- handed out by the broker. The triggers and views at the end are spelled for SQLite; plain sqlite3 shows the views.

CREATE TABLE device (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	state TEXT NOT NULL CHECK (state IN ('active', 'locked', 'revoked')),
	tags TEXT NOT NULL,                 -- one a line
	generation BIGINT NOT NULL,         -- of the newest certificate
	created_at BIGINT NOT NULL,
	last_seen_at BIGINT,
	last_seen_from TEXT
);

-- The binding: these users, and no others, may log in on that device.
CREATE TABLE device_user (
	device TEXT NOT NULL REFERENCES device (id),
	"user" TEXT NOT NULL CHECK ("user" <> ''),
	PRIMARY KEY (device, "user")
);

-- Every device certificate ever issued.
CREATE TABLE certificate (
	fingerprint TEXT PRIMARY KEY,       -- SHA-256 of the DER
	serial TEXT NOT NULL UNIQUE,
	device TEXT NOT NULL REFERENCES device (id),
	generation BIGINT NOT NULL,
	public_key TEXT NOT NULL,           -- DER SubjectPublicKeyInfo; the device proof is verified with it
	key_kind TEXT NOT NULL,
	not_before BIGINT NOT NULL,
	not_after BIGINT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('active', 'superseded', 'revoked')),
	issued_at BIGINT NOT NULL
);
CREATE INDEX certificate_device ON certificate (device);

-- Device x user x lease. The token itself is nowhere.
CREATE TABLE session (
	id TEXT PRIMARY KEY,
	number BIGINT NOT NULL UNIQUE,
	token_hash TEXT NOT NULL UNIQUE,
	device TEXT NOT NULL REFERENCES device (id),
	"user" TEXT NOT NULL CHECK ("user" <> ''),
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	ended_at BIGINT,
	end_reason TEXT,
	address TEXT NOT NULL,              -- where the login came from
	connection TEXT NOT NULL
);
CREATE INDEX session_open ON session (ended_at) WHERE ended_at IS NULL;

-- A row stands before the dial. Byte counts are the worker's claim.
CREATE TABLE tunnel (
	id BIGINT PRIMARY KEY,
	session TEXT NOT NULL REFERENCES session (id),
	device TEXT NOT NULL REFERENCES device (id),
	"user" TEXT NOT NULL,
	rule TEXT NOT NULL,
	resource TEXT NOT NULL,
	requested_host TEXT NOT NULL,       -- canonical spelling
	requested_port BIGINT NOT NULL,
	address TEXT,                       -- the address that was checked and dialed
	bytes_to_target BIGINT,
	bytes_to_client BIGINT,
	opened_at BIGINT NOT NULL,
	closed_at BIGINT,
	close_reason TEXT,
	connection TEXT NOT NULL,
	request_id TEXT NOT NULL
);
CREATE INDEX tunnel_open ON tunnel (closed_at) WHERE closed_at IS NULL;
CREATE INDEX tunnel_session ON tunnel (session);

-- What happened, in order, chained: `hash` is the SHA-256 (hexadecimal) of the columns before it, in their order,
-- each written as LENGTH:BYTES, (a netstring; numbers in decimal). The first row's previous_hash is 64 zeros.
-- `code` is empty where nothing was refused.
CREATE TABLE audit (
	sequence BIGINT PRIMARY KEY,
	at BIGINT NOT NULL,
	event TEXT NOT NULL,
	code TEXT NOT NULL,
	request_id TEXT NOT NULL,
	device TEXT NOT NULL,               -- its name
	"user" TEXT NOT NULL,
	address TEXT NOT NULL,
	detail TEXT NOT NULL,
	previous_hash TEXT NOT NULL,
	hash TEXT NOT NULL
);
CREATE INDEX audit_request ON audit (request_id);

CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN
	SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN
	SELECT RAISE(ABORT, 'the audit log is append-only');
END;

CREATE VIEW v_device AS
SELECT name, state,
	coalesce((SELECT group_concat("user", ',') FROM device_user WHERE device_user.device = device.id), '') AS users,
	replace(trim(tags, char(10)), char(10), ',') AS tags, generation,
	strftime('%Y-%m-%dT%H:%M:%SZ', created_at / 1000, 'unixepoch') AS created,
	strftime('%Y-%m-%dT%H:%M:%SZ', last_seen_at / 1000, 'unixepoch') AS last_seen, last_seen_from,
	(SELECT strftime('%Y-%m-%dT%H:%M:%SZ', max(not_after) / 1000, 'unixepoch') FROM certificate
		WHERE certificate.device = device.id AND certificate.state = 'active') AS certificate_until
FROM device ORDER BY name;

CREATE VIEW v_session AS
SELECT session.id AS session, "user", device.name AS device, address,
	strftime('%Y-%m-%dT%H:%M:%SZ', session.created_at / 1000, 'unixepoch') AS began,
	strftime('%Y-%m-%dT%H:%M:%SZ', expires_at / 1000, 'unixepoch') AS lease_until,
	strftime('%Y-%m-%dT%H:%M:%SZ', ended_at / 1000, 'unixepoch') AS ended, end_reason,
	(SELECT count(*) FROM tunnel WHERE tunnel.session = session.id) AS tunnels
FROM session JOIN device ON device.id = session.device ORDER BY session.number;

CREATE VIEW v_tunnel AS
SELECT tunnel.id AS tunnel, "user", device.name AS device, requested_host || ':' || requested_port AS target, address,
	rule, resource, bytes_to_target, bytes_to_client,
	strftime('%Y-%m-%dT%H:%M:%SZ', opened_at / 1000, 'unixepoch') AS opened,
	strftime('%Y-%m-%dT%H:%M:%SZ', closed_at / 1000, 'unixepoch') AS closed, close_reason,
	session, request_id
FROM tunnel JOIN device ON device.id = tunnel.device ORDER BY tunnel.id;

CREATE VIEW v_audit AS
SELECT sequence, strftime('%Y-%m-%dT%H:%M:%SZ', at / 1000, 'unixepoch') AS at, event, code, "user", device, address,
	request_id, detail
FROM audit ORDER BY sequence;
