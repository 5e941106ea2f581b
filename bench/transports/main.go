package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A library serves a hall on a free port of the loopback interface until ctx ends.
// It calls ready once, with its address.
type library func(ctx context.Context, h *hall, ready func(net.Addr)) error

// libraries are what there is to choose from. Not changed.
var libraries = map[string]library{
	"coder":   serveCoder,
	"gnet":    serveGnet,
	"gorilla": serveGorilla,
	"gws":     serveGws,
	"nbio":    serveNbio,

	"queue":      ownLoop{}.serve,
	"queue-raw":  ownLoop{raw: true}.serve,
	"queue-here": ownLoop{here: true}.serve,
	"wait":       ownLoop{blocks: true}.serve,
	"wait-here":  ownLoop{blocks: true, here: true}.serve,
}

func main() {
	secret := flag.String("secret", "", "secret of the tokens (HS256)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, filepath.Base(os.Args[0]), *secret); err != nil {
		fmt.Fprintln(os.Stderr, "transports:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, name, secret string) error {
	serve, ok := libraries[name]
	if !ok {
		return fmt.Errorf("called %q: want to be called %s", name, strings.Join(slices.Sorted(maps.Keys(libraries)), ", "))
	}
	if secret == "" {
		return errors.New("--secret is missing")
	}
	h := newHall([]byte(secret))
	return serve(ctx, h, func(at net.Addr) { fmt.Printf("listening on http://%s\n", at) })
}
