-- +goose Up
-- A handle names an account to authenticators; '' until the first is registered.
ALTER TABLE users ADD COLUMN handle {{text}} NOT NULL DEFAULT '';

-- The public key of each authenticator of kind webauthn. No two users have a
-- credential of the same id.
CREATE TABLE credentials (
	id               {{bytes}} PRIMARY KEY,
	authenticator_id {{text}} NOT NULL UNIQUE REFERENCES authenticators (id) ON DELETE CASCADE,
	rp_id            {{text}} NOT NULL,
	sign_count       {{int64}} NOT NULL,
	record           {{text}} NOT NULL
) {{strict}};
