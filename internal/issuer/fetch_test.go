package issuer

import (
	"net/http"
	"net/http/cookiejar"
	"testing"
	"time"
)

func TestGuardedClient(t *testing.T) {
	t.Parallel()
	jar, _ := cookiejar.New(nil)
	theirs := &http.Client{Jar: jar}
	ours := guarded(theirs)
	if ours.Jar != nil || ours.Timeout != defaultTimeout || ours.CheckRedirect(nil, nil) != http.ErrUseLastResponse {
		t.Errorf("got %+v", ours)
	}
	if theirs.Jar == nil || theirs.CheckRedirect != nil {
		t.Errorf("the caller's client was changed")
	}
	if got := guarded(&http.Client{Timeout: time.Second}).Timeout; got != time.Second {
		t.Errorf("got timeout %v, want the caller's", got)
	}
	if got := guarded(nil).Timeout; got != defaultTimeout {
		t.Errorf("got timeout %v without a client", got)
	}
}
