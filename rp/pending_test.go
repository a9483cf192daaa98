package rp

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// The name of a cookie has only part of the state's hash; all of the state is
// compared with what was sealed.
func TestTakePendingComparesTheWholeState(t *testing.T) {
	t.Parallel()
	c := fuzzClient(t)
	name := c.pendingName("mine")
	aead, err := c.aead(pendingPurpose, name)
	if err != nil {
		t.Fatal(err)
	}
	sealed := aead.Seal(nil, nil, []byte(newPending(time.Now(), "/").text()), nil)
	r := httptest.NewRequest(http.MethodGet, "/callback", nil)
	r.AddCookie(&http.Cookie{Name: name, Value: base64.RawURLEncoding.EncodeToString(sealed)})
	_, err = c.takePending(httptest.NewRecorder(), r, "mine")
	var state *StateError
	if !errors.As(err, &state) || state.Diagnosis != StateMismatch {
		t.Errorf("got %v, want %q", err, StateMismatch)
	}
}
