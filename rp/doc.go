// Package rp signs people in with an OpenID Connect server and proves how that
// was done: it is the relying party (client) library of Sallyport, and works
// with any OpenID Connect provider.
//
// An application needs two routes. Login sends the browser to the server;
// Callback checks what comes back and says who it is:
//
//	GET /login      Login ──► 303 to the server, one sealed cookie per pending login
//	                            │
//	                            ▼  password, second factor, consent
//	                            │
//	GET /callback   Callback ◄── code, state, iss
//	                  state cookie → iss → token request (PKCE) → ID token:
//	                  signature, iss, aud, exp, iat, nonce, at_hash → Requirement
//
// What a Requirement asks for is both sent to the server and verified in the
// ID token. A claim that is missing, unreadable or too weak refuses the login.
// Options only ever add checks; what weakens one begins with Insecure.
//
// The package keeps no state but caches of the server's metadata, keys and nonces: a
// pending login lives in a cookie, so any node that has the same CookieKey can
// finish it.
//
// That a login happened is for the application to remember, under a cookie value
// that it makes anew at each login; or for Sessions, which does so in a sealed
// cookie or in a SessionStore:
//
//	Begin                    after Callback: a session in place of any other
//	RequireSession           who has none goes to Login, and comes back to the page
//	WithSession              a page for everybody, which greets who is signed in
//	RequireFresh, StepUp     who proved too little, or too long ago, does so again
//	Logout                   here and at the server
//	BackchannelLogout        the server says that a session is over
//
// A Registry is several servers to choose from, with such sessions.
//
// Beyond the sign-in, TokenSource keeps its tokens fresh, in several processes too,
// and HTTPClient calls APIs with them. Sessions have both, and StepUpFor, where an API
// takes more than the session has proved. Poll signs in where there is no browser, and
// ClientCredentials is for what the client does by itself. Exchange gets a token for
// another one, Revoke ends them, and Introspect asks what one is worth.
//
// Config.PrivateKey or Config.Certificate takes the place of a secret, Config.DPoPKey
// makes stolen tokens useless, and Config.PushRequests keeps requests out of the
// browser. Register makes a client at a server that lets clients register themselves.
//
// It imports the standard library, go-jose, and golang.org/x/oauth2 for its
// types; a test lists them.
package rp
