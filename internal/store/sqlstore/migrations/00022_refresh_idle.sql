-- +goose Up
-- When an unused refresh token ends, if that comes before its end; 0: it does not.
ALTER TABLE refresh_tokens ADD COLUMN idle_at {{int64}} NOT NULL DEFAULT 0;
