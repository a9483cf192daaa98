package main

import (
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport-id/sallyport"
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

// policy is the rules for the server.
func (r rules) policy() []sallyport.Rule {
	var list []sallyport.Rule
	for _, s := range r {
		list = append(list, sallyport.Rule{
			Name: s.Name, Clients: s.Clients, Groups: s.Groups, Networks: s.Networks, Require: sallyport.Requirement(s.Require),
			MaxAge: s.MaxAge, Methods: s.Methods, TrustedDeviceDays: s.TrustedDeviceDays, GraceDays: s.GraceDays,
		})
	}
	return list
}

// String is the rules on one line, as YAML.
func (r rules) String() string {
	if len(r) == 0 {
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
