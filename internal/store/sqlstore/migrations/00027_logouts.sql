-- +goose Up
-- The client has a backchannel_logout_uri: it is told of sessions that end.
ALTER TABLE clients ADD COLUMN hears_logout {{int64}} NOT NULL DEFAULT 0;

-- What sessions are called at the clients that are told when they end. Grants are
-- forgotten sooner.
CREATE TABLE session_clients (
	session_id {{text}} NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
	client_id  {{text}} NOT NULL,
	sid        {{text}} NOT NULL,
	PRIMARY KEY (session_id, client_id)
) {{keyed}};
CREATE INDEX session_clients_client ON session_clients (client_id);

-- Messages of logouts that are not delivered yet. Who claims one moves due_at on.
CREATE TABLE logouts (
	id        {{text}} PRIMARY KEY,
	client_id {{text}} NOT NULL,
	user_id   {{text}} NOT NULL,
	sid       {{text}} NOT NULL,
	at        {{int64}} NOT NULL,
	attempts  {{int64}} NOT NULL,
	due_at    {{int64}} NOT NULL,
	error     {{text}} NOT NULL
) {{strict}};
CREATE INDEX logouts_client ON logouts (client_id, due_at);
CREATE INDEX logouts_at ON logouts (at);
