package fetch

import (
	"fmt"
	"net/netip"
	"slices"
)

// notPublic are the networks of IPv4, and those within 2000::/3, that are not the
// public Internet (RFC 6890 and the IANA special-purpose registries).
var notPublic = prefixes(
	"0.0.0.0/8",        // this network, and this machine where it is dialled
	"10.0.0.0/8",       // private
	"100.64.0.0/10",    // shared by a carrier's customers
	"127.0.0.0/8",      // loopback
	"168.63.129.16/32", // public by number, but Azure's machines reach their host there
	"169.254.0.0/16",   // link-local, and metadata of cloud machines
	"172.16.0.0/12",    // private
	"192.0.0.0/24",     // protocols
	"192.0.2.0/24",     // documentation
	"192.88.99.0/24",   // relays of 6to4
	"192.168.0.0/16",   // private
	"198.18.0.0/15",    // benchmarks
	"198.51.100.0/24",  // documentation
	"203.0.113.0/24",   // documentation
	"224.0.0.0/4",      // multicast
	"240.0.0.0/4",      // reserved, and broadcast
	"2001::/23",        // protocols, with Teredo, benchmarks and ORCHID
	"2001:db8::/32",    // documentation
	"2002::/16",        // 6to4: an IPv4 address is within
	"3fff::/20",        // documentation
)

// globalUnicast is all of IPv6 that is given out. Loopback, link-local, unique
// local, multicast and the translations of NAT64 lie outside.
var globalUnicast = netip.MustParsePrefix("2000::/3")

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// within takes an address without a zone, IPv4 as IPv4.
func within(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

func public(a netip.Addr) bool {
	return (a.Is4() || globalUnicast.Contains(a)) && !within(notPublic, a)
}

// RefusedError is an address that is not spoken to. Its text is for the operator.
type RefusedError struct{ Addr netip.Addr }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s is no public address, and outbound_allow does not name it", e.Addr)
}
