package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"

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
	greet(c, dir)
	<-ctx.Done()
	fmt.Println("\nending three nodes and three NATS servers")
	return errors.Join(c.Close())
}

// greet tells whoever tries a cluster where to look.
func greet(c *cluster.Cluster, dir string) {
	fmt.Printf(`
  Three nodes, one cluster. Open the notes app on different nodes:

    Ada on node 1   %s/?as=Ada
    Ben on node 2   %s/?as=Ben
    Cleo on node 3  %s/?as=Cleo
    logs, stores    %s

  Ctrl-C ends all of it.

`, c.URL(0), c.URL(1), c.URL(2), dir)
}
