-- +goose Up
-- The rules of the policy, in one row, number 1; none before any were set.
CREATE TABLE policy_rules (
	id      {{int64}} PRIMARY KEY,
	version {{int64}} NOT NULL,
	rules   {{text}} NOT NULL
) {{keyed}};
