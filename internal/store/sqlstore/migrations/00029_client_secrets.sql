-- +goose Up
-- Secrets of clients that sign with them, sealed. Those that the client's body names are
-- good.
CREATE TABLE client_secrets (
	id        {{text}} PRIMARY KEY,
	client_id {{text}} NOT NULL,
	sealed    {{bytes}} NOT NULL
) {{keyed}};
CREATE INDEX client_secrets_client ON client_secrets (client_id);
