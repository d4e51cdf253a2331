-- 0008_spool.sql: a flood of the same is one row with a number: nobody buries an alert under thousands of another.

ALTER TABLE spool ADD COLUMN repeats INTEGER NOT NULL DEFAULT 0;

DROP VIEW v_spool;
CREATE VIEW v_spool AS
SELECT id, alert, event, strftime('%Y-%m-%dT%H:%M:%SZ', at / 1000, 'unixepoch') AS time, sequence, device, "user", address, detail,
	repeats, state, attempts, trouble
FROM spool ORDER BY id;
