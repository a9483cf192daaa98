// Package oidc is the protocol without I/O: it parses what clients send, checks
// it against what they registered, and words the answer (RFC 6749, OpenID
// Connect Core). It knows no HTTP requests, no storage and no clock.
//
//	url.Values ──Parse…──► request ──Check…──► allowed, or *Error
//	                                              │
//	                    AuthorizationResponse, IDToken, Metadata
//
// A value that a Parse function returned holds no control characters, is valid
// UTF-8 and bounded in length; whoever gets one need not look again. What a
// client may do is checked apart from it, because the client is not known yet.
package oidc
