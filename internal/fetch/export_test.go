package fetch

import "net/netip"

// Judge is what is said of an address that is to be dialled.
func Judge(address string, loopbackOnly bool, allow ...netip.Prefix) error {
	return guard{allow: allow, loopbackOnly: loopbackOnly}.control("tcp", address, nil)
}
