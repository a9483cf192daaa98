-- +goose Up
-- The interaction that a mailed code is for; '' for any other mail.
ALTER TABLE outbox ADD COLUMN interaction {{text}} NOT NULL DEFAULT '';
