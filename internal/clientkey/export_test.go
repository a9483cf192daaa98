package clientkey

import "net/http"

// MostClients and MostWaitingAt are bounds.
const (
	MostClients   = mostClients
	MostFetches   = mostFetches
	MostWaitingAt = mostWaitingAt
)

// FreshFor reads Cache-Control.
func FreshFor(h http.Header) string { return freshFor(h).String() }

// Waiting is how many callers wait.
func (c *Cache) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting
}
