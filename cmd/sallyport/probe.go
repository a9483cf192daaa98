package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// probeHeader asks the server what of a request arrives.
const probeHeader = "Sallyport-Probe"

// largestProbe bounds what is read of an answer, in bytes.
const largestProbe = 64 << 10

// readProbe reads the server's answer to a probe, or says what else answered.
func readProbe(resp *http.Response, issuer string) (*probed, error) {
	switch {
	case resp.StatusCode == http.StatusMisdirectedRequest:
		return nil, &probeError{"the server gets another Host than the issuer's", "Let the proxy pass the Host header on as it is."}
	case resp.StatusCode/100 == 3:
		return nil, &probeError{"the proxy redirects to " + resp.Header.Get("Location"), "The issuer must be the URL that answers itself."}
	case resp.StatusCode != http.StatusOK:
		return nil, &probeError{fmt.Sprintf("%s answers with %s", issuer, resp.Status), "Does the proxy reach the server at its \"listen\", with the whole path?"}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, largestProbe))
	if err != nil {
		return nil, err
	}
	var seen probed
	if err := json.Unmarshal(body, &seen); err != nil || seen.Issuer != issuer {
		return nil, &probeError{"something else answers at " + issuer, "Does the name lead to this server?"}
	}
	if seen.Peer == "" {
		return nil, &probeError{"the server at " + issuer + " has another master key, a clock that is minutes off, or is of another version",
			"Every server of an installation has the same key file, clock and version."}
	}
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		seen.certificate = resp.TLS.PeerCertificates[0]
	}
	return &seen, nil
}
