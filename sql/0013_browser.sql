-- 0013_browser.sql: sessions of browsers, and by which way a tunnel was authorised.

ALTER TABLE session ADD COLUMN portal BIGINT NOT NULL DEFAULT 0 CHECK (portal IN (0, 1)); -- 1: opened by the portal
ALTER TABLE session ADD COLUMN browser_token_hash TEXT;                                   -- NULL: none was made
ALTER TABLE tunnel ADD COLUMN way TEXT NOT NULL DEFAULT 'token'
	CHECK (way IN ('token', 'browser_token', 'browser_session'));
ALTER TABLE tunnel ADD COLUMN form TEXT NOT NULL DEFAULT 'connect' CHECK (form IN ('connect', 'request'));

DROP VIEW v_session;
CREATE VIEW v_session AS
SELECT session.id AS session, "user", device.name AS device, address,
	strftime('%Y-%m-%dT%H:%M:%SZ', session.created_at / 1000, 'unixepoch') AS began,
	strftime('%Y-%m-%dT%H:%M:%SZ', expires_at / 1000, 'unixepoch') AS lease_until,
	strftime('%Y-%m-%dT%H:%M:%SZ', ended_at / 1000, 'unixepoch') AS ended, end_reason,
	(SELECT count(*) FROM tunnel WHERE tunnel.session = session.id) AS tunnels, realm, portal
FROM session JOIN device ON device.id = session.device ORDER BY session.number;

DROP VIEW v_tunnel;
CREATE VIEW v_tunnel AS
SELECT tunnel.id AS tunnel, "user", device.name AS device, requested_host || ':' || requested_port AS target, address,
	rule, resource, bytes_to_target, bytes_to_client,
	strftime('%Y-%m-%dT%H:%M:%SZ', opened_at / 1000, 'unixepoch') AS opened,
	strftime('%Y-%m-%dT%H:%M:%SZ', closed_at / 1000, 'unixepoch') AS closed, close_reason,
	session, request_id, way, form
FROM tunnel JOIN device ON device.id = tunnel.device ORDER BY tunnel.id;
