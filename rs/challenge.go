package rs

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Error codes of challenges.
const (
	invalidRequest   = "invalid_request"                  // RFC 6750 §3.1
	invalidToken     = "invalid_token"                    // RFC 6750 §3.1
	insufficient     = "insufficient_scope"               // RFC 6750 §3.1
	insufficientUser = "insufficient_user_authentication" // RFC 9470 §3
	invalidProof     = "invalid_dpop_proof"               // RFC 9449 §7.1
	useNonce         = "use_dpop_nonce"                   // RFC 9449 §9
)

const retryAfter = 5 // seconds

// A refusal is the answer to a request that is not let through.
type refusal struct {
	status int
	code   string // "" for none
	text   string // for developers: error_description. It has nothing of the request in it.
	cause  error  // for the log, or nil
	unmet  level  // of insufficientUser
}

func missing(text string) *refusal {
	return &refusal{status: http.StatusUnauthorized, text: text}
}

func malformed(text string) *refusal {
	return &refusal{status: http.StatusBadRequest, code: invalidRequest, text: text}
}

func invalid(text string) *refusal {
	return &refusal{status: http.StatusUnauthorized, code: invalidToken, text: text}
}

func badProof(text string) *refusal {
	return &refusal{status: http.StatusUnauthorized, code: invalidProof, text: text}
}

// unavailable says nothing about the token: what cannot be asked is not refused.
func unavailable(err error) *refusal {
	return &refusal{status: http.StatusServiceUnavailable, code: "temporarily_unavailable",
		text: "access tokens cannot be checked at the moment", cause: err}
}

// refuse answers a request (RFC 6750 §3, RFC 9470 §3, RFC 9728 §5.1). The error
// stands in the challenge of the scheme that was used.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, used string, need needs, why *refusal) {
	s.log(r, why)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	if why.code == useNonce {
		s.giveNonce(h)
	}
	if why.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	} else {
		for _, scheme := range s.schemes() {
			h.Add("WWW-Authenticate", s.challenge(scheme, scheme == used, need, why))
		}
	}
	w.WriteHeader(why.status)
	body, _ := json.Marshal(struct {
		Error string `json:"error,omitempty"`
		Text  string `json:"error_description"`
	}{why.code, why.text})
	_, _ = w.Write(append(body, '\n')) // the client may be gone
}

// challenge writes one challenge (RFC 9110 §11.6.1). Its values were checked to have
// neither quotes nor backslashes.
func (s *Server) challenge(scheme string, used bool, need needs, why *refusal) string {
	var params []string
	add := func(name, value string) { params = append(params, name+`="`+value+`"`) }
	if used && why.code != "" {
		add("error", why.code)
		add("error_description", why.text)
	}
	if len(need.scope) > 0 && (why.code == "" || used && why.code == insufficient) {
		add("scope", strings.Join(need.scope, " "))
	}
	if used && why.code == insufficientUser {
		if why.unmet.acr != "" {
			add("acr_values", why.unmet.acr)
		}
		if why.unmet.limited() {
			add("max_age", strconv.FormatInt(int64(why.unmet.age/time.Second), 10))
		}
	}
	if scheme == dpop {
		add("algs", strings.Join(s.config.Algorithms, " "))
	}
	if s.metadataURL != "" {
		add("resource_metadata", s.metadataURL)
	}
	return strings.TrimSuffix(scheme+" "+strings.Join(params, ", "), " ")
}

// log tells why. A server that is away is one warning a minute, not one for each
// request, and none for a client that went away.
func (s *Server) log(r *http.Request, why *refusal) {
	ctx, attrs := r.Context(), []any{slog.Int("status", why.status), slog.String("error", why.code), slog.String("reason", why.text)}
	if why.cause != nil {
		attrs = append(attrs, slog.Any("cause", why.cause))
	}
	if why.status == http.StatusServiceUnavailable && ctx.Err() == nil {
		now, last := s.config.Now().Unix(), s.warned.Load()
		if now-last >= 60 && s.warned.CompareAndSwap(last, now) {
			s.config.Logger.WarnContext(ctx, "rs: access tokens cannot be checked", attrs...)
			return
		}
	}
	s.config.Logger.DebugContext(ctx, "rs: request refused", attrs...)
}
