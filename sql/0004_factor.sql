-- 0004_factor.sql: the second factor that pam_sallyport asks for.
--
-- What opens a door is sealed with a key that is not in this database: secrets by ChaCha20-Poly1305 (nonce, ciphertext,
-- tag; hexadecimal; bound to the user's name), recovery codes as HMAC-SHA-256.

CREATE TABLE factor (
	"user" TEXT PRIMARY KEY CHECK ("user" <> ''),
	state TEXT NOT NULL CHECK (state IN ('pending', 'active')), -- pending: shown to the user, not yet confirmed by a code
	secret TEXT NOT NULL,
	last_step BIGINT NOT NULL,          -- of the newest code that was taken: that one and older ones are worthless
	failures BIGINT NOT NULL,           -- wrong codes in a row
	failed_at BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	used_at BIGINT
);

CREATE TABLE factor_recovery (
	"user" TEXT NOT NULL REFERENCES factor ("user"),
	hash TEXT NOT NULL,
	used_at BIGINT,
	PRIMARY KEY ("user", hash)
);
