package cluster

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/chorale-rt/chorale/internal/cluster/natsd"
)

// TestMain lets the test binary be a NATS server.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "nats-server" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err := natsd.Run(ctx, os.Args[3])
		stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
