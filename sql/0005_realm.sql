-- 0005_realm.sql: by which realm of the user's door a session came.

ALTER TABLE session ADD COLUMN realm TEXT NOT NULL DEFAULT 'default';

DROP VIEW v_session;
CREATE VIEW v_session AS
SELECT session.id AS session, "user", device.name AS device, address,
	strftime('%Y-%m-%dT%H:%M:%SZ', session.created_at / 1000, 'unixepoch') AS began,
	strftime('%Y-%m-%dT%H:%M:%SZ', expires_at / 1000, 'unixepoch') AS lease_until,
	strftime('%Y-%m-%dT%H:%M:%SZ', ended_at / 1000, 'unixepoch') AS ended, end_reason,
	(SELECT count(*) FROM tunnel WHERE tunnel.session = session.id) AS tunnels, realm
FROM session JOIN device ON device.id = session.device ORDER BY session.number;
