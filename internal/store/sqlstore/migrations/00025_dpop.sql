-- +goose Up
-- The thumbprint of the key that must be proven with what is bound to it; "" for none.
ALTER TABLE codes ADD COLUMN jkt {{text}} NOT NULL DEFAULT '';
ALTER TABLE access_tokens ADD COLUMN jkt {{text}} NOT NULL DEFAULT '';
ALTER TABLE client_tokens ADD COLUMN jkt {{text}} NOT NULL DEFAULT '';
ALTER TABLE refresh_tokens ADD COLUMN jkt {{text}} NOT NULL DEFAULT '';
