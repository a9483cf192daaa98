-- +goose Up
-- Devices that wait for their users. grant_id: what was allowed; "" before. used_at: the
-- device has its tokens. A row stays until needed_until, so that a second use is seen.
CREATE TABLE device_codes (
	id           {{text}} PRIMARY KEY,
	secret_hash  {{bytes}} NOT NULL,
	user_code    {{bytes}} NOT NULL,
	client_id    {{text}} NOT NULL,
	request      {{text}} NOT NULL,
	address      {{text}} NOT NULL,
	pace         {{int64}} NOT NULL,
	polled_at    {{int64}} NOT NULL,
	too_fast     {{int64}} NOT NULL,
	created_at   {{int64}} NOT NULL,
	expires_at   {{int64}} NOT NULL,
	grant_id     {{text}} NOT NULL,
	denied_at    {{int64}} NOT NULL,
	used_at      {{int64}} NOT NULL,
	needed_until {{int64}} NOT NULL
) {{keyed}};
CREATE UNIQUE INDEX device_codes_user_code ON device_codes (user_code);
CREATE INDEX device_codes_grant ON device_codes (grant_id) WHERE grant_id <> '';
CREATE INDEX device_codes_client ON device_codes (client_id);
CREATE INDEX device_codes_needed ON device_codes (needed_until);
