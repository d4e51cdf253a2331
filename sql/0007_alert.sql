-- 0007_alert.sql: what is to be told elsewhere, until it has arrived; what is usual for a user; what the gateway is made of.

-- One row for each alert section that wants the event. Deleted when it has arrived.
CREATE TABLE spool (
	id INTEGER PRIMARY KEY,
	alert TEXT NOT NULL,
	event TEXT NOT NULL,
	urgent INTEGER NOT NULL,
	at INTEGER NOT NULL,       -- milliseconds since 1970
	sequence INTEGER NOT NULL, -- its row of the audit record
	code TEXT NOT NULL,
	device TEXT NOT NULL,
	"user" TEXT NOT NULL,
	address TEXT NOT NULL,
	detail TEXT NOT NULL,
	state TEXT NOT NULL DEFAULT 'waiting', -- or 'aside': refused for what it says
	attempts INTEGER NOT NULL DEFAULT 0,
	trouble TEXT NOT NULL DEFAULT ''       -- why it has not arrived
);
CREATE INDEX spool_alert ON spool (alert, state, id);

-- Where a user has logged in before: kind is 'device' or 'network'.
CREATE TABLE login_place (
	"user" TEXT NOT NULL,
	kind TEXT NOT NULL,
	place TEXT NOT NULL,
	first_at INTEGER NOT NULL,
	last_at INTEGER NOT NULL,
	PRIMARY KEY ("user", kind, place)
);
INSERT INTO login_place ("user", kind, place, first_at, last_at)
SELECT "user", 'device', device.name, min(session.created_at), max(session.created_at)
FROM session JOIN device ON device.id = session.device GROUP BY "user", device.name;

-- SHA-256 of what the gateway was last started or reloaded with: 'policy', 'server_certificate', 'device_authority'.
CREATE TABLE gateway_print (
	name TEXT PRIMARY KEY,
	print TEXT NOT NULL
);

CREATE VIEW v_spool AS
SELECT id, alert, event, strftime('%Y-%m-%dT%H:%M:%SZ', at / 1000, 'unixepoch') AS time, sequence, device, "user", address, detail,
	state, attempts, trouble
FROM spool ORDER BY id;
