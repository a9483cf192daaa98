-- +goose Up
-- Everything that is for a resource server names its id, which no other gets.
CREATE TABLE resources (
	id   {{text}} PRIMARY KEY,
	uri  {{text}} NOT NULL UNIQUE,
	body {{text}} NOT NULL
) {{strict}};

-- born differs from one client of an id to the next.
ALTER TABLE clients ADD COLUMN born {{text}} NOT NULL DEFAULT '';

-- The tokens of clients for themselves. No index by client: a token whose client
-- was born at another time is worth nothing, and expires.
CREATE TABLE client_tokens (
	id          {{text}} PRIMARY KEY,
	secret_hash {{bytes}} NOT NULL,
	client_id   {{text}} NOT NULL,
	client_born {{text}} NOT NULL,
	resource_id {{text}} NOT NULL,
	scope       {{text}} NOT NULL,
	created_at  {{int64}} NOT NULL,
	expires_at  {{int64}} NOT NULL
) {{keyed}};
CREATE INDEX client_tokens_expiry ON client_tokens (expires_at);

-- "" for this server itself.
ALTER TABLE access_tokens ADD COLUMN resource_id {{text}} NOT NULL DEFAULT '';
