package web

import (
	"net/http"
	"net/netip"
	"strings"
)

// address is whose request it is: the peer's, or what trusted proxies say. The
// last one that is not a proxy of ours in X-Forwarded-For is whom the first of
// our proxies has seen; what stands before it anybody can have written.
func (s *server) address(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.IPv4Unspecified()
	}
	seen := peer.Addr().Unmap().WithZone("")
	rest := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for rest != "" && s.trusts(seen) {
		i := strings.LastIndexByte(rest, ',')
		claimed, ok := parseForwarded(rest[i+1:])
		if !ok {
			break
		}
		seen, rest = claimed, rest[:max(i, 0)]
	}
	return seen
}

func (s *server) trusts(a netip.Addr) bool {
	for _, network := range s.TrustedProxies {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// parseForwarded reads one element: an address, which some proxies write with its
// port.
func parseForwarded(element string) (netip.Addr, bool) {
	element = strings.TrimSpace(element)
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(element, "["), "]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(element)
		if err != nil {
			return a, false
		}
		a = withPort.Addr()
	}
	return a.Unmap().WithZone(""), true
}

// probeHeader is how "sallyport doctor" asks, through whatever proxies there are,
// what of a request arrives here. Its value proves that it has the master key.
const probeHeader = "Sallyport-Probe"

// answerProbe tells where a request seems to come from.
func (s *server) answerProbe(w http.ResponseWriter, r *http.Request) error {
	return writeJSON(w, http.StatusOK, struct {
		Issuer    string `json:"issuer"`
		Peer      string `json:"peer"`
		Address   string `json:"address"`
		Forwarded string `json:"x_forwarded_for"`
	}{s.Issuer.String(), r.RemoteAddr, s.address(r).String(), strings.Join(r.Header.Values("X-Forwarded-For"), ", ")})
}
