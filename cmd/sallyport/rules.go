package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/policy"
)

// rules are the policy, as a file has it.
type rules []ruleSetting

// ruleSetting is a sallyport.Rule in the words of a file.
type ruleSetting struct {
	Name              string        `yaml:"name,omitempty"`
	Clients           []string      `yaml:"clients,omitempty"`
	Groups            []string      `yaml:"groups,omitempty"`
	Networks          networks      `yaml:"networks,omitempty"`
	Require           string        `yaml:"require,omitempty"`
	MaxAge            time.Duration `yaml:"max_age,omitempty"`
	Methods           []string      `yaml:"methods,omitempty"`
	TrustedDeviceDays int           `yaml:"trusted_device_days,omitempty"`
	GraceDays         int           `yaml:"grace_days,omitempty"`
}

// policy is the rules for the server; nil of nil, which leaves them to the database.
func (r rules) policy() []sallyport.Rule {
	if r == nil {
		return nil
	}
	list := []sallyport.Rule{}
	for _, s := range r {
		list = append(list, sallyport.Rule{
			Name: s.Name, Clients: s.Clients, Groups: s.Groups, Networks: s.Networks, Require: sallyport.Requirement(s.Require),
			MaxAge: s.MaxAge, Methods: s.Methods, TrustedDeviceDays: s.TrustedDeviceDays, GraceDays: s.GraceDays,
		})
	}
	return list
}

// written is rules in the words of a file.
func written(list []sallyport.Rule) rules {
	r := rules{}
	for _, s := range list {
		r = append(r, ruleSetting{
			Name: s.Name, Clients: s.Clients, Groups: s.Groups, Networks: s.Networks, Require: string(s.Require),
			MaxAge: s.MaxAge, Methods: s.Methods, TrustedDeviceDays: s.TrustedDeviceDays, GraceDays: s.GraceDays,
		})
	}
	return r
}

// plain is the rules as maps and lists, for JSON with the words of a file.
func (r rules) plain() (v []any, err error) {
	text, err := yaml.Marshal(r)
	if err != nil {
		return nil, err
	}
	return v, yaml.Unmarshal(text, &v)
}

// mostOfRules bounds a file of rules, in bytes.
const mostOfRules = 1 << 20

// readRules reads a file of rules, "-" for standard input, and checks them.
func readRules(path string) ([]sallyport.Rule, error) {
	in, name := os.Stdin, "standard input"
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read rules: %w", err)
		}
		defer f.Close()
		in, name = f, path
	}
	text, err := io.ReadAll(io.LimitReader(in, mostOfRules+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read rules: %w", err)
	case len(text) > mostOfRules:
		return nil, fmt.Errorf("%s is longer than %d bytes", name, mostOfRules)
	}
	list, err := parseRules(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return list, nil
}

func parseRules(text []byte) ([]sallyport.Rule, error) {
	var r rules
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&r); err != nil && !errors.Is(err, io.EOF) {
		return nil, plainYAML(err)
	}
	if r == nil {
		return nil, errors.New("there is no list of rules in it; [] is one without rules")
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one document in it")
	}
	return r.policy(), policy.Check(r.policy())
}

// String is the rules on one line, as YAML.
func (r rules) String() string {
	switch {
	case r == nil:
		return "null"
	case len(r) == 0:
		return "[]"
	}
	var node yaml.Node
	if err := node.Encode([]ruleSetting(r)); err != nil {
		return err.Error()
	}
	node.Style = yaml.FlowStyle
	text, err := yaml.Marshal(&node)
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(string(text)), " ")
}
