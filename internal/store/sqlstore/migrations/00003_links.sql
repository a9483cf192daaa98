-- +goose Up
-- What is handed to a person and may be used once. One that is used, or replaced,
-- is deleted; one whose user_epoch is not the user's any more has ended.
CREATE TABLE links (
	id          {{text}} PRIMARY KEY,
	secret_hash {{bytes}} NOT NULL,
	user_id     {{text}} NOT NULL,
	user_epoch  {{int64}} NOT NULL,
	purpose     {{text}} NOT NULL,
	made_by     {{text}} NOT NULL,
	created_at  {{int64}} NOT NULL,
	expires_at  {{int64}} NOT NULL
) {{keyed}};
CREATE INDEX links_user ON links (user_id);
CREATE INDEX links_expiry ON links (expires_at);
