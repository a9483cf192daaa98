-- +goose Up
-- Where a session began, for its user to recognise it.
ALTER TABLE sessions ADD COLUMN user_agent {{text}} NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN address {{text}} NOT NULL DEFAULT '';
