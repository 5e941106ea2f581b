package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/chorale-rt/chorale/internal/cluster"
	"github.com/chorale-rt/chorale/internal/cluster/natsd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if len(os.Args) == 4 && os.Args[1] == "nats-server" { // this program is its own NATS server
		return natsd.Run(ctx, os.Args[3])
	}
	chorale := flag.String("chorale", "bin/chorale", "the binary")
	data := flag.String("data", "", "where everything is stored; a temporary directory without it")
	port := flag.Int("port", 4000, "port of the first node; the others have the next ones")
	flag.Parse()

	dir := *data
	if dir == "" {
		temporary, err := os.MkdirTemp("", "chorale-cluster-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temporary)
		dir = temporary
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails, see crypto/rand
	o := cluster.Options{
		NATS: []string{self, "nats-server"}, Chorale: []string{*chorale, "serve"}, Serve: []string{"--dev"},
		Dir: dir, Secret: []byte(hex.EncodeToString(secret)),
	}
	for i := range o.Addrs {
		o.Addrs[i] = net.JoinHostPort("127.0.0.1", strconv.Itoa(*port+i))
	}
	c, err := cluster.Start(ctx, o)
	if err != nil {
		return err
	}
	greet(c, &o)
	var keeping sync.WaitGroup
	for i := range cluster.Size {
		keeping.Go(func() { keep(ctx, c.NATS[i]) })
		keeping.Go(func() { keep(ctx, c.Nodes[i]) })
	}
	<-ctx.Done()
	keeping.Wait()
	fmt.Println("\nending three nodes and three NATS servers")
	return c.Close()
}

// away is how long a server stays away that somebody has ended: long enough to
// see what the others do without it.
const away = 15 * time.Second

// keep starts a server again that somebody has ended, until ctx ends.
func keep(ctx context.Context, p *cluster.Process) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.Ended():
		}
		fmt.Printf("  %s has ended; it comes back in %v\n", p.Name(), away)
		select {
		case <-ctx.Done():
			return
		case <-time.After(away):
		}
		switch err := p.Start(ctx); {
		case err == nil:
			fmt.Printf("  %s is back (kill -9 %d)\n", p.Name(), p.PID())
		case ctx.Err() == nil:
			fmt.Printf("  %v\n", err)
		}
	}
}

// greet tells whoever tries a cluster where to look, and how to break it.
func greet(c *cluster.Cluster, o *cluster.Options) {
	fmt.Printf(`
  Three nodes, one cluster. Open the notes app on different nodes:

    Ada on node 1   %s/?as=Ada
    Ben on node 2   %s/?as=Ben
    Cleo on node 3  %s/?as=Cleo

  Or from other shells:

    export CHORALE_JWT_SECRET=%s
    %s sub --url %s room:1 --public --presence
    %s pub --url %s room:1 greeting '{"text": "Hi"}' --public

  End any of them, with kill -9 or kill; it comes back after %v:

`, c.URL(0), c.URL(1), c.URL(2), o.Secret, o.Chorale[0], c.URL(1), o.Chorale[0], c.URL(0), away)
	for i := range cluster.Size {
		fmt.Printf("    %s %-8d %s %-8d %s\n", c.Nodes[i].Name(), c.Nodes[i].PID(), c.NATS[i].Name(), c.NATS[i].PID(), c.NATSURLs()[i])
	}
	fmt.Printf("\n  Logs and stores: %s\n  Ctrl-C ends all of it.\n\n", o.Dir)
}
