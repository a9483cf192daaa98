package rptest

import (
	"strings"
	"time"
)

// A Fault is a way to misbehave.
type Fault string

// Faults of the ID token's claims.
const (
	WrongNonce     Fault = "nonce of another login"
	NoNonce        Fault = "no nonce"
	NonceExcused   Fault = "nonce of another login, and nonce_supported false"
	WrongIssuer    Fault = "iss of another server"
	WrongAudience  Fault = "aud of another client"
	TwoAudiences   Fault = "aud of two clients"
	WrongParty     Fault = "azp of another client"
	OnlyParty      Fault = "aud of another client, azp of this one"
	NoSubject      Fault = "no sub"
	Expired        Fault = "exp past"
	NoExpiry       Fault = "no exp"
	NoIssuedAt     Fault = "no iat"
	FromTheFuture  Fault = "iat in the future"
	NotYetValid    Fault = "nbf in the future"
	WrongTokenHash Fault = "at_hash of another token"
	OneFactor      Fault = "acr of one factor"
	PasswordOnly   Fault = "amr of a password alone"
	NoACR          Fault = "no acr"
	NoAMR          Fault = "no amr"
	AMRText        Fault = "amr is a string"
	OldAuthTime    Fault = "auth_time a day ago"
	NoAuthTime     Fault = "no auth_time"
	FutureAuthTime Fault = "auth_time in the future"
)

// Faults of the ID token's form and signature.
const (
	DuplicateClaims Fault = "sub occurs twice"
	UpperCaseClaims Fault = "ACR and AMR instead of acr and amr"
	AlgNone         Fault = "alg none"
	UnknownAlg      Fault = "alg that does not exist"
	HMACPublicKey   Fault = "HS256 with the public key"
	OwnKey          Fault = "jwk header with another key, which signed"
	OwnKeyAddress   Fault = "jku header with the address of another key, which signed"
	EncryptedRSA15  Fault = "encrypted with RSA1_5"
	EncryptedBomb   Fault = "encrypted, a megabyte compressed to a kilobyte"
	BadSignature    Fault = "signature of another key"
	UnknownKey      Fault = "kid that is not published"
	WrongKeyAlg     Fault = "alg that the key does not have"
	CriticalHeader  Fault = "crit header"
	AccessTokenType Fault = "typ at+jwt"
	LogoutTokenType Fault = "typ logout+jwt"
)

// Faults of the answers.
const (
	OtherResponseIss Fault = "iss parameter of another server"
	NoResponseIss    Fault = "no iss parameter"
	AccessDenied     Fault = "error access_denied"
	Unmet            Fault = "error unmet_authentication_requirements"
	InvalidGrant     Fault = "invalid_grant for every code"
	GarbageTokens    Fault = "token response is no JSON"
	DuplicateTokens  Fault = "access_token occurs twice in the token response"
	HugeTokens       Fault = "token response of a megabyte"
	HugeIDToken      Fault = "id_token of a megabyte"
	EmptyTokens      Fault = "token response {}"
	TooManyRequests  Fault = "token endpoint answers 429 in words"
	NoIDToken        Fault = "no id_token"
	NotBearer        Fault = "token_type DPoP"
	OtherTokenType   Fault = "issued_token_type of another type"
	NoTokenType      Fault = "no issued_token_type"
	TokenRedirect    Fault = "token endpoint redirects"
	OtherUserInfo    Fault = "userinfo about another user"
	OtherMetadata    Fault = "metadata of another issuer"
	Down             Fault = "503 for everything"
)

// What a provider may lack without misbehaving.
const (
	NoTokenHash       Fault = "no at_hash"
	NoEndSession      Fault = "no end_session_endpoint"
	NoClaimsParameter Fault = "no claims parameter"
	NoIssParameter    Fault = "no iss parameter, and none announced"
	NoDevices         Fault = "no endpoint for devices"
	OnlyPushed        Fault = "authorization requests must be pushed"
	NoPushed          Fault = "no endpoint for pushed requests"
	DPoPNonces        Fault = "DPoP proofs need a nonce, of which each is good once"
	NoDPoP            Fault = "DPoP proofs are passed over"
	NoRevocation      Fault = "no revocation endpoint"
	NoRegistration    Fault = "no registration endpoint"
	NoIntrospection   Fault = "no introspection endpoint"
)

// breakClaims applies the faults of claims.
func (p *Provider) breakClaims(c map[string]any) {
	now := p.Now()
	breaks := map[Fault]func(){
		WrongNonce:     func() { c["nonce"] = "another" },
		NoNonce:        func() { delete(c, "nonce") },
		WrongIssuer:    func() { c["iss"] = "https://other.example" },
		WrongAudience:  func() { c["aud"] = "other" },
		TwoAudiences:   func() { c["aud"] = []string{p.ClientID, "other"} },
		WrongParty:     func() { c["azp"] = "other" },
		NonceExcused:   func() { c["nonce"], c["nonce_supported"] = "another", false },
		OnlyParty:      func() { c["aud"], c["azp"] = "other", p.ClientID },
		NoTokenHash:    func() { delete(c, "at_hash") },
		HugeIDToken:    func() { c["more"] = strings.Repeat("x", 1<<20) },
		NoSubject:      func() { delete(c, "sub") },
		Expired:        func() { c["exp"] = now.Add(-2 * time.Minute).Unix() },
		NoExpiry:       func() { delete(c, "exp") },
		NoIssuedAt:     func() { delete(c, "iat") },
		FromTheFuture:  func() { c["iat"] = now.Add(2 * time.Minute).Unix() },
		NotYetValid:    func() { c["nbf"] = now.Add(2 * time.Minute).Unix() },
		WrongTokenHash: func() { c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" },
		OneFactor:      func() { c["acr"] = "urn:sallyport:acr:1fa" },
		PasswordOnly:   func() { c["amr"] = []string{"pwd"} },
		NoACR:          func() { delete(c, "acr") },
		NoAMR:          func() { delete(c, "amr") },
		AMRText:        func() { c["amr"] = "mfa" },
		OldAuthTime:    func() { c["auth_time"] = now.Add(-24 * time.Hour).Unix() },
		NoAuthTime:     func() { delete(c, "auth_time") },
		FutureAuthTime: func() { c["auth_time"] = now.Add(2 * time.Minute).Unix() },
		UpperCaseClaims: func() {
			c["ACR"], c["AMR"] = c["acr"], c["amr"]
			delete(c, "acr")
			delete(c, "amr")
		},
	}
	for fault, do := range breaks {
		if p.is(fault) {
			do()
		}
	}
}
