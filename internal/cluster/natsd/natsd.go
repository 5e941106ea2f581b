package natsd

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Lame duck mode spreads what it closes over this long, where nats-server takes
// two minutes: here are a few connections, and somebody who waits.
const (
	lameDuck      = 3 * time.Second
	lameDuckGrace = time.Second
)

// Run runs a NATS server with a configuration file until ctx ends, or until it
// has left in lame duck mode, which SIGUSR2 asks for as it does of nats-server.
func Run(ctx context.Context, path string) error {
	o, err := server.ProcessConfigFile(path)
	if err != nil {
		return fmt.Errorf("nats-server: %w", err)
	}
	o.NoSigs = true // ctx is who ends it
	o.LameDuckDuration, o.LameDuckGracePeriod = lameDuck, lameDuckGrace
	leave := make(chan os.Signal, 1)
	signal.Notify(leave, syscall.SIGUSR2)
	defer signal.Stop(leave)
	s, err := server.NewServer(o)
	if err != nil {
		return fmt.Errorf("nats-server: %w", err)
	}
	s.ConfigureLogger()
	s.Start()
	select {
	case <-ctx.Done():
		s.Shutdown()
	case <-leave:
		s.LameDuckShutdown()
	}
	s.WaitForShutdown()
	return nil
}
