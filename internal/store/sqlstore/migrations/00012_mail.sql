-- +goose Up
-- Mails that are not sent yet, or given up (dead). Who claims one moves due_at on.
CREATE TABLE outbox (
	id           {{text}} PRIMARY KEY,
	kind         {{text}} NOT NULL,
	user_id      {{text}} NOT NULL,
	recipient    {{text}} NOT NULL,
	locale       {{text}} NOT NULL,
	at           {{int64}} NOT NULL,
	address      {{text}} NOT NULL,
	browser      {{text}} NOT NULL,
	actor        {{text}} NOT NULL,
	browser_hash {{text}} NOT NULL,
	attempts     {{int64}} NOT NULL,
	due_at       {{int64}} NOT NULL,
	dead         {{int64}} NOT NULL,
	error        {{text}} NOT NULL
) {{strict}};
CREATE INDEX outbox_due ON outbox (due_at) WHERE dead = 0;
CREATE INDEX outbox_at ON outbox (at);

-- How many mails were written to a user in the hour that began then.
CREATE TABLE mail_counts (
	user_id {{text}} PRIMARY KEY,
	hour    {{int64}} NOT NULL,
	mails   {{int64}} NOT NULL
) {{keyed}};

-- The browser that a link must be used in; '' for any.
ALTER TABLE links ADD COLUMN browser {{text}} NOT NULL DEFAULT '';
