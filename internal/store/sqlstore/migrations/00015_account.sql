-- +goose Up
-- What a user sees of the own account is found without reading that of all others.
-- The audit log's events of tokens and codes, most of all, are not in this index: so
-- it costs a page at a sign-in, and none at a refresh.
CREATE INDEX audit_user ON audit (user_id, id) WHERE user_id <> '' AND substr(type, 1, 6) <> 'token.' AND type <> 'authorize.granted';
-- A client's grants of one user end with the consent.
CREATE INDEX grants_user ON grants (user_id, client_id) WHERE revoked_at = 0;
