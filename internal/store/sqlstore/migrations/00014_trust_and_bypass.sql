-- +goose Up
-- A device that ends is deleted; one whose user_epoch is not the user's any more has
-- ended. What was granted because of it asks whether it is there.
CREATE TABLE trusted_devices (
	id           {{text}} PRIMARY KEY,
	user_id      {{text}} NOT NULL,
	user_epoch   {{int64}} NOT NULL,
	level        {{int64}} NOT NULL,
	user_agent   {{text}} NOT NULL,
	address      {{text}} NOT NULL,
	created_at   {{int64}} NOT NULL,
	last_used_at {{int64}} NOT NULL,
	expires_at   {{int64}} NOT NULL
) {{keyed}};
CREATE INDEX trusted_devices_user ON trusted_devices (user_id);
CREATE INDEX trusted_devices_expiry ON trusted_devices (expires_at);

-- Secrets stay, used or not, as long as their device, so that a second use is
-- recognised. successor is the hash of the one that followed.
CREATE TABLE device_secrets (
	device_id {{text}} NOT NULL REFERENCES trusted_devices (id) ON DELETE CASCADE,
	hash      {{bytes}} NOT NULL,
	used_at   {{int64}} NOT NULL,
	retried   {{int64}} NOT NULL,
	successor {{bytes}} NOT NULL,
	PRIMARY KEY (device_id, hash)
) {{keyed}};

-- The trusted device that the grant relies on; "" for none.
ALTER TABLE grants ADD COLUMN device_id {{text}} NOT NULL DEFAULT '';

-- One of a user at most. used_in: the interaction that may enrol with it; "" before.
CREATE TABLE bypass_codes (
	user_id    {{text}} PRIMARY KEY,
	id         {{text}} NOT NULL,
	user_epoch {{int64}} NOT NULL,
	salt       {{bytes}} NOT NULL,
	hash       {{bytes}} NOT NULL,
	replaces   {{int64}} NOT NULL,
	made_by    {{text}} NOT NULL,
	created_at {{int64}} NOT NULL,
	expires_at {{int64}} NOT NULL,
	used_in    {{text}} NOT NULL
) {{keyed}};
CREATE INDEX bypass_codes_expiry ON bypass_codes (expires_at);
