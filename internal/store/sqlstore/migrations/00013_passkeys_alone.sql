-- +goose Up
-- 1: the credential is a way in without the password.
ALTER TABLE credentials ADD COLUMN alone {{int64}} NOT NULL DEFAULT 0;
