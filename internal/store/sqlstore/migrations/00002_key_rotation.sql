-- +goose Up
-- Keys that are there sign at once, and their retirement is not planned.
ALTER TABLE signing_keys ADD COLUMN not_before {{int64}} NOT NULL DEFAULT 0;
ALTER TABLE signing_keys ADD COLUMN retire {{int64}} NOT NULL DEFAULT 0;
