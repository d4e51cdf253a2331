-- 0014_self_service.sql: a user replaces his second factor by himself, and sees where his devices were.

-- The next secret, sealed like the present one, which stays good until the next one was confirmed by a code; '': none.
ALTER TABLE factor ADD COLUMN next_secret TEXT NOT NULL DEFAULT '';
ALTER TABLE factor ADD COLUMN next_at BIGINT NOT NULL DEFAULT 0;       -- when it was shown
ALTER TABLE factor ADD COLUMN next_failures BIGINT NOT NULL DEFAULT 0; -- wrong codes for it

CREATE INDEX session_device ON session (device, "user", created_at);
