package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// completionScripts ask the binary itself, so that they never grow old.
var completionScripts = map[string]string{
	"bash": `# sallyport completion bash >/etc/bash_completion.d/sallyport
_sallyport() {
  local IFS=$'\n'
  COMPREPLY=($(sallyport complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f 1))
}
complete -F _sallyport sallyport
`,
	"zsh": `#compdef sallyport
# sallyport completion zsh >"${fpath[1]}/_sallyport"
_sallyport() {
  local line
  local -a words_ shown
  for line in "${(@f)$(sallyport complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] || continue
    words_+=("${line%%$'\t'*}")
    shown+=("${line/$'\t'/  -- }")
  done
  compadd -l -d shown -a words_
}
compdef _sallyport sallyport
`,
	"fish": `# sallyport completion fish >~/.config/fish/completions/sallyport.fish
complete -c sallyport -f -a '(sallyport complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
`,
}

// Run prints the script of a shell.
func (c *completionCmd) Run() error {
	_, err := fmt.Print(completionScripts[c.Shell])
	return err
}

// completeCmd is what those scripts ask.
type completeCmd struct {
	Words []string `arg:"" optional:"" passthrough:""`
}

// Run prints what the last word may become, one a line, with a tab before its help.
func (c *completeCmd) Run(k *kong.Kong) error {
	words := slices.DeleteFunc(slices.Clone(c.Words), func(w string) bool { return w == "=" })
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	for _, candidate := range complete(k.Model.Node, words) {
		if _, err := fmt.Fprintln(os.Stdout, candidate); err != nil {
			return err
		}
	}
	return nil
}

// complete returns what the last of the words may become.
func complete(node *kong.Node, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	var valueOf *kong.Value // whose value the next word is
	positional := 0
	for _, word := range words[:len(words)-1] {
		switch child := childNamed(node, word); {
		case valueOf != nil:
			valueOf = nil
		case strings.HasPrefix(word, "--"):
			valueOf = flagWithValue(node, word)
		case child != nil:
			node = child
		default:
			positional++
		}
	}
	switch {
	case valueOf != nil:
		return completeValue(valueOf, last)
	case strings.HasPrefix(last, "-"):
		return completeFlag(node, last)
	case positional < len(node.Positional):
		return completeValue(node.Positional[positional], last)
	}
	return completeCommand(node, last)
}

func childNamed(node *kong.Node, name string) *kong.Node {
	i := slices.IndexFunc(node.Children, func(c *kong.Node) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return node.Children[i]
}

// flagsOf are the flags that may stand after a command.
func flagsOf(node *kong.Node) (list []*kong.Flag) {
	if node.DefaultCmd != nil {
		list = append(list, node.DefaultCmd.Flags...)
	}
	for ; node != nil; node = node.Parent {
		list = append(list, node.Flags...)
	}
	return list
}

// flagWithValue returns the flag if its value is the next word.
func flagWithValue(node *kong.Node, word string) *kong.Value {
	for _, f := range flagsOf(node) {
		if word == "--"+f.Name && !f.IsBool() {
			return f.Value
		}
	}
	return nil
}

func completeFlag(node *kong.Node, prefix string) (list []string) {
	for _, f := range flagsOf(node) {
		if name := "--" + f.Name; !f.Hidden && strings.HasPrefix(name, prefix) {
			list = append(list, name+"\t"+f.Help)
		}
	}
	return list
}

func completeCommand(node *kong.Node, prefix string) (list []string) {
	for _, c := range node.Children {
		if !c.Hidden && strings.HasPrefix(c.Name, prefix) {
			list = append(list, c.Name+"\t"+c.Help)
		}
	}
	return list
}

// completeValue knows the values of an enumeration, and the names of files.
func completeValue(v *kong.Value, prefix string) (list []string) {
	if v.Tag.Get("complete") == "file" {
		return completeFile(prefix)
	}
	for _, value := range v.EnumSlice() {
		if value != "" && strings.HasPrefix(value, prefix) {
			list = append(list, value)
		}
	}
	return list
}

func completeFile(prefix string) (list []string) {
	names, err := filepath.Glob(escapeGlob(prefix) + "*")
	if err != nil {
		return nil
	}
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			name += "/"
		}
		list = append(list, name)
	}
	return list
}

func escapeGlob(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}
