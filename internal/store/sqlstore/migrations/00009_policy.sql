-- +goose Up
-- What rules of the policy ask about a user: the groups, a JSON list or null, and until
-- when the first second factor may be put off; 0: that has not begun.
ALTER TABLE users ADD COLUMN member_of {{text}} NOT NULL DEFAULT 'null';
ALTER TABLE users ADD COLUMN grace_until {{int64}} NOT NULL DEFAULT 0;
