package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

type healthCmd struct {
	configFlag
	Live bool `help:"Ask only whether the process is to be left alone (/livez)."`
}

// Run asks the server on this machine, as an orchestrator would over HTTP, and
// fails if it is not to be sent requests.
func (c *healthCmd) Run() error {
	s, _, err := c.load()
	if err != nil {
		return err
	}
	path := "/readyz"
	if c.Live {
		path = "/livez"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	return s.askHealth(ctx, path)
}

func (s *settings) askHealth(ctx context.Context, path string) error {
	if s.PrivateListen == "" {
		return errors.New("private_listen is empty: the server does not say how it is")
	}
	host, port, err := net.SplitHostPort(s.PrivateListen)
	if err != nil {
		return fmt.Errorf("private_listen: %w", err)
	}
	if address, err := netip.ParseAddr(host); host == "" || err == nil && address.IsUnspecified() {
		host = "localhost"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+path, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Transport{}).RoundTrip(req) // no proxy between
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(why)))
	}
	return nil
}
