package store

// ClientSecret is a secret in which a client signs (OpenID Connect Core §9, client_secret_jwt).
type ClientSecret struct {
	ID     string // as oidc.Client.SealedSecrets names it
	Sealed []byte // for its id and its client
}
