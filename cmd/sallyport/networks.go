package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// networks is a list of addresses and networks.
type networks []netip.Prefix

// UnmarshalYAML takes a list, or one alone.
func (n *networks) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		return n.set([]string{node.Value})
	}
	var list []string
	if err := node.Decode(&list); err != nil {
		return err
	}
	if err := n.set(list); err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	return nil
}

// set takes texts; empty ones are nothing.
func (n *networks) set(list []string) error {
	*n = nil
	for _, text := range list {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		network, err := parseNetwork(text)
		if err != nil {
			return err
		}
		*n = append(*n, network)
	}
	return nil
}

// parseNetwork reads a network, or an address as the network of itself.
func parseNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return p, fmt.Errorf("%q is no address and no network like 192.168.0.0/24", text)
	case p.Addr().Is4In6():
		return p, fmt.Errorf("%s: write it as a network of IPv4", p)
	case p != p.Masked():
		return p, fmt.Errorf("%s is no network: is it %s or %s?", p, p.Masked(), p.Addr())
	case p.Bits() == 0:
		return p, fmt.Errorf("%s is everybody", p)
	}
	return p, nil
}

// String is the list as it stands in a file. In quotes: YAML reads ::1 otherwise.
func (n networks) String() string {
	texts := make([]string, len(n))
	for i, p := range n {
		texts[i] = strconv.Quote(p.String())
		if p.IsSingleIP() {
			texts[i] = strconv.Quote(p.Addr().String())
		}
	}
	return "[" + strings.Join(texts, ", ") + "]"
}
