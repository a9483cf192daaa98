-- +goose Up
-- Authorization requests that clients sent ahead. A row is gone once it was answered; it
-- stays until needed_until, so that a sign-in may end after expires_at.
CREATE TABLE pushed_requests (
	id           {{text}} PRIMARY KEY,
	secret_hash  {{bytes}} NOT NULL,
	client_id    {{text}} NOT NULL,
	request      {{text}} NOT NULL,
	created_at   {{int64}} NOT NULL,
	expires_at   {{int64}} NOT NULL,
	needed_until {{int64}} NOT NULL
) {{strict}};
CREATE INDEX pushed_requests_client ON pushed_requests (client_id);
CREATE INDEX pushed_requests_needed ON pushed_requests (needed_until);
