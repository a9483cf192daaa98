-- +goose Up
-- Names of what may be used once, as hashes, until it is worth nothing anyway.
CREATE TABLE used_once (
	name    {{bytes}} PRIMARY KEY,
	ends_at {{int64}} NOT NULL
) {{keyed}};
CREATE INDEX used_once_end ON used_once (ends_at);
