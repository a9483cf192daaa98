-- +goose Up
-- Whether the user made the account without an operator.
ALTER TABLE users ADD COLUMN registered {{int64}} NOT NULL DEFAULT 0;
-- Whose an address is, is asked whenever somebody wants an account for it.
CREATE INDEX users_email ON users (lower(email));
