package main

import (
	"context"

	"github.com/sallyport-id/sallyport/internal/clientkey"
	"github.com/sallyport-id/sallyport/internal/fetch"
)

// clientKeys asks for the keys of the clients that have them at an address.
func (d *doctor) clientKeys(ctx context.Context) {
	const check = "client keys"
	clients, err := d.db.Clients(ctx)
	if err != nil {
		d.bad(check, "The database must answer.", "the clients cannot be read: %v", err)
		return
	}
	asking := fetch.New(fetch.Config{Allow: d.settings.OutboundAllow})
	defer asking.Close()
	had := 0
	for _, c := range clients {
		if c.JWKSURI == "" || c.Disabled {
			continue
		}
		if _, _, err := clientkey.Fetch(ctx, asking, c.JWKSURI); err != nil {
			d.warn(check, "Until they can be had, the client "+c.ID+" is nobody. Does its jwks_uri lead to them, from this machine, too? Another is set by \"sallyport client set-keys\".", "of %s: %v", c.ID, err)
			continue
		}
		had++
	}
	if had > 0 {
		d.ok(check, "those of %d clients are at their jwks_uri", had)
	}
}
