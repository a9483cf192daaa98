package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// configFlag names the configuration file.
type configFlag struct {
	Config string `default:"sallyport.yaml" env:"SALLYPORT_CONFIG" complete:"file" help:"The configuration file."`
}

func (c configFlag) load() (settings, map[string]string, error) {
	return loadSettings(c.Config, os.LookupEnv)
}

// outputFlag chooses between people and programs.
type outputFlag struct {
	Output string `default:"text" enum:"text,json" help:"text or json."`
}

// print writes v as JSON, or calls text.
func (o outputFlag) print(w io.Writer, v any, text func(io.Writer) error) error {
	if o.Output != "json" {
		return text(w)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

type configCmd struct {
	configFlag
	outputFlag
	Describe bool `help:"Print the reference of every key instead, as Markdown."`
}

// Run prints the effective configuration and where each value is from.
func (c *configCmd) Run() error {
	if c.Describe {
		return describeSettings(os.Stdout)
	}
	s, origins, err := c.load()
	if err != nil {
		return err
	}
	values := map[string]any{}
	for _, f := range s.fields() {
		values[f.key] = f.text()
	}
	return c.print(os.Stdout, values, func(w io.Writer) error {
		for _, f := range s.fields() {
			if _, err := fmt.Fprintf(w, "%s: %s  # %s\n", f.key, f.text(), origins[f.key]); err != nil {
				return err
			}
		}
		return nil
	})
}
