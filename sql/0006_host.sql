-- 0006_host.sql: internal hosts have certificates too: they may ask who is present, and nothing else.

ALTER TABLE device ADD COLUMN kind TEXT NOT NULL DEFAULT 'device' CHECK (kind IN ('device', 'host'));
ALTER TABLE invitation ADD COLUMN kind TEXT NOT NULL DEFAULT 'device' CHECK (kind IN ('device', 'host'));

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
	strftime('%Y-%m-%dT%H:%M:%SZ', forgotten_at / 1000, 'unixepoch') AS forgotten, kind
FROM device ORDER BY name;
