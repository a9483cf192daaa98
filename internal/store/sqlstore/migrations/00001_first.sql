-- +goose Up
-- Times are Unix milliseconds, 0 for none; truth values 0 or 1; "" for no reference.

CREATE TABLE meta (name {{text}} PRIMARY KEY, value {{text}} NOT NULL) {{keyed}};

CREATE TABLE clients (id {{text}} PRIMARY KEY, body {{text}} NOT NULL) {{strict}};

-- A user's row stays for ever: neither id nor login key is given to another.
CREATE TABLE users (
	id             {{text}} PRIMARY KEY,
	login          {{text}} NOT NULL,
	login_key      {{text}} NOT NULL UNIQUE,
	name           {{text}} NOT NULL,
	email          {{text}} NOT NULL,
	email_verified {{int64}} NOT NULL,
	locale         {{text}} NOT NULL,
	password_hash  {{text}} NOT NULL,
	claims         {{text}} NOT NULL,
	disabled       {{int64}} NOT NULL,
	may_enroll     {{int64}} NOT NULL,
	epoch          {{int64}} NOT NULL,
	created_at     {{int64}} NOT NULL,
	removed_at     {{int64}} NOT NULL
) {{strict}};

CREATE TABLE authenticators (
	id           {{text}} PRIMARY KEY,
	user_id      {{text}} NOT NULL,
	kind         {{text}} NOT NULL,
	name         {{text}} NOT NULL,
	secret       {{bytes}} NOT NULL,
	last_step    {{int64}} NOT NULL,
	disabled     {{int64}} NOT NULL,
	created_at   {{int64}} NOT NULL,
	last_used_at {{int64}} NOT NULL
) {{strict}};
CREATE INDEX authenticators_user ON authenticators (user_id);

CREATE TABLE recovery_codes (
	authenticator_id {{text}} NOT NULL REFERENCES authenticators (id) ON DELETE CASCADE,
	hash             {{bytes}} NOT NULL,
	used_at          {{int64}} NOT NULL,
	PRIMARY KEY (authenticator_id, hash)
) {{keyed}};

-- A session that ends is deleted. What hangs on it asks whether it is there.
CREATE TABLE sessions (
	id           {{text}} PRIMARY KEY,
	secret_hash  {{bytes}} NOT NULL,
	user_id      {{text}} NOT NULL,
	user_epoch   {{int64}} NOT NULL,
	version      {{int64}} NOT NULL,
	created_at   {{int64}} NOT NULL,
	last_seen_at {{int64}} NOT NULL,
	expires_at   {{int64}} NOT NULL
) {{keyed}};
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- Appended and never changed: a session's evidence.
CREATE TABLE proofs (
	session_id {{text}} NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
	seq        {{int64}} NOT NULL,
	body       {{text}} NOT NULL,
	PRIMARY KEY (session_id, seq)
) {{keyed}};

-- An interaction that is taken is deleted.
CREATE TABLE interactions (
	id           {{text}} PRIMARY KEY,
	browser_hash {{bytes}} NOT NULL,
	client_id    {{text}} NOT NULL,
	session_id   {{text}} NOT NULL,
	request      {{text}} NOT NULL,
	progress     {{text}} NOT NULL,
	version      {{int64}} NOT NULL,
	created_at   {{int64}} NOT NULL,
	expires_at   {{int64}} NOT NULL
) {{strict}};
CREATE INDEX interactions_session ON interactions (session_id);
CREATE INDEX interactions_expiry ON interactions (expires_at);

CREATE TABLE grants (
	id         {{text}} PRIMARY KEY,
	client_id  {{text}} NOT NULL,
	user_id    {{text}} NOT NULL,
	user_epoch {{int64}} NOT NULL,
	session_id {{text}} NOT NULL,
	offline    {{int64}} NOT NULL,
	body       {{text}} NOT NULL,
	created_at {{int64}} NOT NULL,
	revoked_at {{int64}} NOT NULL
) {{strict}};

-- Codes and refresh tokens stay, used or not, as long as their grant, so that a
-- second use is recognised. needed_until: the grant is needed until then, because
-- of the code or token itself or of the access token that it brought.
CREATE TABLE codes (
	id             {{text}} PRIMARY KEY,
	secret_hash    {{bytes}} NOT NULL,
	grant_id       {{text}} NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
	client_id      {{text}} NOT NULL,
	redirect_uri   {{text}} NOT NULL,
	redirect_sent  {{int64}} NOT NULL,
	code_challenge {{text}} NOT NULL,
	created_at     {{int64}} NOT NULL,
	expires_at     {{int64}} NOT NULL,
	used_at        {{int64}} NOT NULL,
	needed_until   {{int64}} NOT NULL
) {{keyed}};
CREATE INDEX codes_grant ON codes (grant_id);

CREATE TABLE refresh_tokens (
	id           {{text}} PRIMARY KEY,
	secret_hash  {{bytes}} NOT NULL,
	grant_id     {{text}} NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
	scope        {{text}} NOT NULL,
	created_at   {{int64}} NOT NULL,
	expires_at   {{int64}} NOT NULL,
	used_at      {{int64}} NOT NULL,
	successor    {{text}} NOT NULL,
	retried      {{int64}} NOT NULL,
	needed_until {{int64}} NOT NULL
) {{keyed}};
CREATE INDEX refresh_tokens_grant ON refresh_tokens (grant_id);

-- No index by grant: a token without its grant is worth nothing, and expires.
CREATE TABLE access_tokens (
	id          {{text}} PRIMARY KEY,
	secret_hash {{bytes}} NOT NULL,
	grant_id    {{text}} NOT NULL,
	scope       {{text}} NOT NULL,
	created_at  {{int64}} NOT NULL,
	expires_at  {{int64}} NOT NULL
) {{keyed}};
CREATE INDEX access_tokens_expiry ON access_tokens (expires_at);

CREATE TABLE consents (
	user_id     {{text}} NOT NULL,
	client_id   {{text}} NOT NULL,
	scope       {{text}} NOT NULL,
	updated_at  {{int64}} NOT NULL,
	client_hash {{bytes}} NOT NULL,
	PRIMARY KEY (user_id, client_id)
) {{keyed}};

-- retry_at: no attempt before it. ends_at: the count starts again then; 0: never.
CREATE TABLE throttle (
	key      {{text}} PRIMARY KEY,
	failures {{int64}} NOT NULL,
	retry_at {{int64}} NOT NULL,
	ends_at  {{int64}} NOT NULL
) {{keyed}};
CREATE INDEX throttle_end ON throttle (ends_at) WHERE ends_at > 0;

CREATE TABLE known_browsers (
	id         {{text}} PRIMARY KEY,
	user_id    {{text}} NOT NULL,
	created_at {{int64}} NOT NULL
) {{keyed}};
CREATE INDEX known_browsers_user ON known_browsers (user_id);

CREATE TABLE signing_keys (
	id         {{text}} PRIMARY KEY,
	alg        {{text}} NOT NULL,
	sealed     {{bytes}} NOT NULL,
	created_at {{int64}} NOT NULL,
	only_first {{int64}} NOT NULL
) {{keyed}};
CREATE UNIQUE INDEX signing_keys_first ON signing_keys (alg) WHERE only_first = 1;

CREATE TABLE audit (
	id          {{serial}},
	at          {{int64}} NOT NULL,
	type        {{text}} NOT NULL,
	user_id     {{text}} NOT NULL,
	client_id   {{text}} NOT NULL,
	session     {{text}} NOT NULL,
	interaction {{text}} NOT NULL,
	address     {{text}} NOT NULL,
	request_id  {{text}} NOT NULL,
	detail      {{text}} NOT NULL
) {{strict}};
