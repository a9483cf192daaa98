package keys

import (
	"fmt"

	"github.com/sallyport-id/sallyport/internal/oidc"
	"github.com/sallyport-id/sallyport/internal/store"
)

// SealClientSecret seals the secret in which a client signs (RFC 7523 §2.2), for that client
// alone.
func (s *Sealer) SealClientSecret(clientID, secret string) (store.ClientSecret, error) {
	id := store.NewID()
	sealed, err := s.Seal([]byte(secret), clientSecretPlace(id, clientID))
	return store.ClientSecret{ID: id, Sealed: sealed}, err
}

// OpenClientSecrets opens the secrets of a client: one that is another's is an error.
func (s *Sealer) OpenClientSecrets(clientID string, list []store.ClientSecret) (oidc.SecretKeys, error) {
	var secrets oidc.SecretKeys
	for _, v := range list {
		plain, err := s.Open(v.Sealed, clientSecretPlace(v.ID, clientID))
		if err != nil {
			return nil, fmt.Errorf("secret %s of client %s: %w", v.ID, clientID, err)
		}
		secrets = append(secrets, oidc.Secret(plain))
	}
	return secrets, nil
}

func clientSecretPlace(id, clientID string) Place {
	return Place{Table: "client_secrets", Column: "sealed", Row: id, Owner: clientID}
}
