// Command chorale is the server, and the tools around it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set by the linker.
var version = "dev"

// cli is the command line. Every flag is also CHORALE_<FLAG> in the environment
// and a key of the YAML file; flags are stronger than the environment, which is
// stronger than the file.
type cli struct {
	Config kong.ConfigFlag `help:"YAML file with the same names as the flags." placeholder:"FILE" env:"CHORALE_CONFIG"`

	Serve   serveCmd   `cmd:"" help:"Run the server."`
	Token   tokenCmd   `cmd:"" help:"Make a token."`
	Pub     pubCmd     `cmd:"" help:"Publish messages."`
	Sub     subCmd     `cmd:"" help:"Print what happens in a channel, as lines of JSON."`
	Records recordsCmd `cmd:"" help:"Read and write the records of a collection."`
	Rules   rulesCmd   `cmd:"" help:"Look into the rules."`
	Backup  backupCmd  `cmd:"" help:"Copy everything that is stored, of a server that runs or of a data directory."`
	Restore restoreCmd `cmd:"" help:"Make a data directory of a backup."`
	Bench   BenchCmd   `cmd:"" help:"Measure a server."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

type versionCmd struct{}

// Run implements the command.
func (versionCmd) Run() error {
	fmt.Println("chorale", version)
	return nil
}

func main() {
	// Called through a function so that deferred calls run before the exit.
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	var c cli
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	parser, err := kong.New(&c,
		kong.Name("chorale"),
		kong.Description("Many voices, one order: a realtime server for collaborative apps."),
		kong.UsageOnError(),
		limitDefaults(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Configuration(yamlConfig),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chorale:", err)
		return 2
	}
	k, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chorale:", err)
		return 2
	}
	if err := k.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "chorale:", err)
		return 1
	}
	return 0
}
