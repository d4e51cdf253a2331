-- 0003_account.sql: what the gateway itself knows of a user: a lock, and failed logins of users and devices.

CREATE TABLE account (
	"user" TEXT PRIMARY KEY CHECK ("user" <> ''),
	locked_at BIGINT                    -- NULL: not locked
);

-- Failed logins since the last good one, by the name that was typed and by the device.
CREATE TABLE login_failure (
	kind TEXT NOT NULL CHECK (kind IN ('user', 'device')),
	name TEXT NOT NULL,                 -- the user's name, or the device's id
	failures BIGINT NOT NULL,
	failed_at BIGINT NOT NULL,
	wait_until BIGINT NOT NULL,
	PRIMARY KEY (kind, name)
);
