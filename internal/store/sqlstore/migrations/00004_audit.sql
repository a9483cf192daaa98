-- +goose Up
-- Who did it, where that is not the user.
ALTER TABLE audit ADD COLUMN actor {{text}} NOT NULL DEFAULT '';

-- Times rise, so that all inserts are at the end of this index. There is none by
-- user: each event would write a page of its own (docs/operate/audit.md).
CREATE INDEX audit_time ON audit (at);
