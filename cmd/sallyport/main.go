// Command sallyport is the server and its tools.
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// commands is the command line.
type commands struct {
	Dev     devCommands    `cmd:"" help:"Try it: a server with a fresh database, two users and a demo application, on this machine only."`
	Init    initCmd        `cmd:"" help:"Make an installation: configuration, key file and database."`
	Serve   serveCmd       `cmd:"" help:"Run the server."`
	Client  clientCommands `cmd:"" help:"Register applications. Works while the server runs."`
	API     apiCommands    `cmd:"" name:"api" help:"Register APIs that take access tokens. Works while the server runs."`
	User    userCommands   `cmd:"" help:"Register people. Works while the server runs."`
	Policy  policyCommands `cmd:"" help:"Who must prove what: the rules, and why somebody is asked for a second factor."`
	Audit   auditCommands  `cmd:"" help:"Look at what happened. Works while the server runs."`
	Mail    mailCommands   `cmd:"" help:"Mail to people: send a test, list what waits."`
	Key     keyCommands    `cmd:"" help:"Signing keys and the master key: list, rotate, reseal."`
	Health  healthCmd      `cmd:"" help:"Exit with 0 if the server on this machine is ready, for containers."`
	Doctor  doctorCmd      `cmd:"" help:"Look whether everything is well, and say how to mend it."`
	Backup  backupCmd      `cmd:"" help:"Copy the database while the server runs (SQLite)."`
	Restore restoreCmd     `cmd:"" help:"Put a backup in place, and end what must not live twice."`
	Config  configCmd      `cmd:"" help:"Show the effective configuration, or its reference."`
	Version versionCmd     `cmd:"" help:"Print the version."`

	Completion completionCmd `cmd:"" help:"Print a script that completes commands in bash, zsh or fish."`
	Complete   completeCmd   `cmd:"" hidden:""`
}

type versionCmd struct{}

func (versionCmd) Run() error {
	version := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	_, err := fmt.Println("sallyport", version)
	return err
}

func main() {
	var c commands
	parsed := kong.Parse(&c, kong.Name("sallyport"), kong.UsageOnError(),
		kong.Description("OAuth 2.0 and OpenID Connect with second factors built in."))
	if err := parsed.Run(parsed.Kong); err != nil {
		fmt.Fprintln(os.Stderr, "sallyport:", err)
		os.Exit(1)
	}
}
