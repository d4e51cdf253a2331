-- 0011_shadow.sql: what a policy on trial would have decided otherwise, so that the report outlives the broker.

-- One trial at a time.
CREATE TABLE shadow (
	began_at BIGINT PRIMARY KEY,
	asked BIGINT NOT NULL,      -- decisions so far
	different BIGINT NOT NULL,  -- of these, otherwise
	not_kept BIGINT NOT NULL    -- of these, without a row
);
CREATE TABLE shadow_row (
	key TEXT PRIMARY KEY, -- user, device, target, verdict of the policy in force; a line each
	"user" TEXT NOT NULL,
	device TEXT NOT NULL,
	target TEXT NOT NULL,
	allowed BIGINT NOT NULL,
	rule TEXT NOT NULL,
	shadow_rule TEXT NOT NULL,
	shadow_code TEXT NOT NULL,
	times BIGINT NOT NULL,
	first_at BIGINT NOT NULL,
	last_at BIGINT NOT NULL
);
