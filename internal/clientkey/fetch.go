package clientkey

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-id/sallyport/internal/fetch"
	"github.com/sallyport-id/sallyport/internal/oidc"
)

// How long keys are fresh: as long as their answer says, within bounds.
const (
	leastFresh = 5 * time.Minute
	usualFresh = time.Hour
	mostFresh  = 24 * time.Hour
)

// Fetch gets the keys at a jwks_uri, and says for how long they need not be asked for
// again. The error is for the operator.
func Fetch(ctx context.Context, client *fetch.Client, uri string) (keys *oidc.ClientKeys, fresh time.Duration, err error) {
	answer, err := client.Get(ctx, uri, oidc.LongestKeys)
	if err != nil {
		return nil, 0, err
	}
	if keys, err = oidc.ParseClientKeys(answer.Body); err != nil {
		return nil, 0, err
	}
	return keys, freshFor(answer.Header), nil
}

// freshFor reads Cache-Control (RFC 9111 §5.2.2).
func freshFor(h http.Header) time.Duration {
	fresh := usualFresh
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return leastFresh
		case "max-age":
			seconds, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 32)
			if err != nil || seconds < 0 {
				return leastFresh
			}
			fresh = time.Duration(seconds) * time.Second
		}
	}
	return min(max(fresh, leastFresh), mostFresh)
}
