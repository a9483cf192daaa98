// Package issuer reads what an authorization server says: it is what the client
// libraries, rp and rs, have in common. It knows how to fetch a document and
// keep it, which JSON to believe, and which keys may verify what. What a token
// means is the libraries' business.
//
// It imports the standard library and go-jose; a test of each library lists what
// a program links.
package issuer
