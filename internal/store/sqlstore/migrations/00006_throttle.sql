-- +goose Up
-- idle_at: nothing was counted for so long that failures start again; 0: never.
-- total: failures of somebody's bucket since the last success, however idle; 0 for
-- a bucket that is nobody's.
ALTER TABLE throttle ADD COLUMN idle_at {{int64}} NOT NULL DEFAULT 0;
ALTER TABLE throttle ADD COLUMN total {{int64}} NOT NULL DEFAULT 0;
