-- +goose Up
-- Secrets of the server itself, sealed: one for each purpose, made once and never
-- another.
CREATE TABLE server_secrets (
	id     {{text}} PRIMARY KEY,
	sealed {{bytes}} NOT NULL
) {{keyed}};
