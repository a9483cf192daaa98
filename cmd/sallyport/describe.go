package main

import (
	"fmt"
	"io"
	"strings"
)

// describeSettings writes the reference of the configuration, as Markdown. It is
// made from the types, and docs/operate/configure.md holds it.
func describeSettings(w io.Writer) error {
	var b strings.Builder
	s := defaultSettings()
	for _, f := range s.fields() {
		fmt.Fprintf(&b, "### `%s`\n\n%s\n\nDefault `%s`, environment `%s`.\n\n", f.key, f.help, f.defaultText(), f.env())
	}
	_, err := io.WriteString(w, strings.TrimSuffix(b.String(), "\n"))
	return err
}

func (f field) defaultText() string {
	if f.key == "issuer" {
		return "none: it must be given"
	}
	return f.text()
}

// commentedSettings is the file that init writes: each key with its help, and
// those that have their default value commented out.
func commentedSettings(s settings) string {
	var b strings.Builder
	b.WriteString("# The configuration of Sallyport. A key with # before it has its default value.\n" +
		"# Each key can also be given as an environment variable, which wins:\n" +
		"# issuer as SALLYPORT_ISSUER, and so on. \"sallyport config\" shows the outcome.\n")
	defaults := defaultSettings()
	standard := defaults.fields()
	for i, f := range s.fields() {
		b.WriteString("\n")
		for _, line := range wrapText(f.help, 90) {
			b.WriteString("# " + line + "\n")
		}
		mark := ""
		if f.text() == standard[i].text() {
			mark = "# "
		}
		fmt.Fprintf(&b, "%s%s: %s\n", mark, f.key, f.text())
	}
	return b.String()
}

// wrapText breaks a text into lines of at most width bytes where it can.
func wrapText(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}
