-- 0015_policy.sql: every policy that was in force, so that an audit can tell who could reach what, and when.

-- A row whenever another policy came into force; a record (event policy_in_force) names number and print in the same commit,
-- and again when that record goes for its age while the policy is still kept.
CREATE TABLE policy_version (
	number BIGINT PRIMARY KEY,          -- 1, 2, 3, ... without a gap
	since BIGINT NOT NULL,
	print TEXT NOT NULL,                -- SHA-256 of its files, in their order, each as LENGTH:TEXT
	recorded_at BIGINT NOT NULL         -- when the newest record that names it was written
);

-- Its text, once, however often it was in force. What is older than the record goes with it (audit_keep).
CREATE TABLE policy_file (
	print TEXT NOT NULL,
	position BIGINT NOT NULL,
	name TEXT NOT NULL,
	text TEXT NOT NULL,
	PRIMARY KEY (print, position)
);

CREATE VIEW v_policy AS
SELECT version.number AS version, strftime('%Y-%m-%dT%H:%M:%SZ', version.since / 1000, 'unixepoch') AS since,
	strftime('%Y-%m-%dT%H:%M:%SZ', next.since / 1000, 'unixepoch') AS until, version.print, policy_file.name, policy_file.text
FROM policy_version AS version LEFT JOIN policy_version AS next ON next.number = version.number + 1
	JOIN policy_file ON policy_file.print = version.print
ORDER BY version.number, policy_file.position;
