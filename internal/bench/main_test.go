package bench

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the test binary stand in for the chorale binary that Run starts:
// called as "serve" it is the fake server, as "bench floor-server" the floor, as
// "bench newcomers" those of a rush, with "--secret" a peer.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && (slices.Contains([]string{"serve", "bench", "--secret"}, os.Args[1])) {
		if err := standIn(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func standIn(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ready := func(addr string) { fmt.Println("listening on http://" + addr) }
	if args[0] == "bench" && args[1] == "newcomers" {
		return RunNewcomers(ctx, os.Stdin, os.Stdout)
	}
	if args[0] == "bench" {
		return ServeFloor(ctx, "127.0.0.1:0", ready)
	}
	for i, arg := range args {
		if arg == "--rules" {
			if _, err := os.Stat(args[i+1]); err != nil {
				return err
			}
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if args[0] == "--secret" {
		ready(l.Addr().String())
		return plainPeer(ctx, l)
	}
	f := newFake(l)
	ready(l.Addr().String())
	<-ctx.Done()
	f.close()
	return nil
}
