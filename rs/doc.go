// Package rs protects an API with access tokens: it is the resource server
// library of Sallyport, and works with any OAuth 2.0 authorization server.
//
// An API makes one Server and wraps its handlers:
//
//	api, err := rs.New(ctx, rs.Config{Issuer: "https://id.example.com", Resource: "https://orders.example.com/"})
//	mux.Handle("POST /refunds", api.Protect(refund, rs.Scope("orders:write"), rs.ACR(rs.ACR2FA, 10*time.Minute)))
//
// What happens to a request:
//
//	Authorization: Bearer …, or DPoP … with its proof
//	   │ one header, nothing in the query ────────────── else 400 invalid_request; no token: 401 without an error
//	   ▼
//	a JWT: signature, typ, iss, aud, exp, … (RFC 9068 §4)
//	anything else: the server is asked (RFC 7662 §2) ─── else 401 invalid_token; the server is away: 503
//	   ▼
//	bound to a key: a proof of this very request ─────── else 401 invalid_token, invalid_dpop_proof, use_dpop_nonce
//	bound to a certificate: on this very connection ──── else 401 invalid_token
//	   ▼
//	Scope ────────────────────────────────────────────── else 403 insufficient_scope
//	ACR, MaxAge ──────────────────────────────────────── else 401 insufficient_user_authentication (RFC 9470 §3)
//	   ▼
//	the handler, with FromContext(ctx)
//
// The refusals are what clients know how to act upon: the last one carries
// acr_values and max_age, with which the application sends its user to sign in
// again, better or more recently, and comes back with a token that will do.
//
// A claim that is missing, unreadable or occurs twice refuses the token. Options
// only ever add checks; what weakens one begins with Insecure. amr is told and
// never decides: servers use its words as they like.
//
// A browser asks before it sends a token to another origin (CORS), without one:
// what answers OPTIONS goes around Protect, and has to expose WWW-Authenticate, and
// DPoP-Nonce with a Config.NonceKey.
//
// It imports the standard library and go-jose; a test lists what a program links.
package rs
