package natsd

import (
	"context"
	"fmt"

	"github.com/nats-io/nats-server/v2/server"
)

// Run runs a NATS server with a configuration file until ctx ends.
func Run(ctx context.Context, path string) error {
	o, err := server.ProcessConfigFile(path)
	if err != nil {
		return fmt.Errorf("nats-server: %w", err)
	}
	o.NoSigs = true // ctx is who ends it
	s, err := server.NewServer(o)
	if err != nil {
		return fmt.Errorf("nats-server: %w", err)
	}
	s.ConfigureLogger()
	s.Start()
	<-ctx.Done()
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}
