package natsengine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// reconnectWait is the pause between two attempts to reach the servers, which
// nats.go spreads by a random part.
const reconnectWait = 200 * time.Millisecond

// connect reaches one of the servers, or says until ctx ends why none was.
func connect(ctx context.Context, o *Options, on events) (*nats.Conn, error) {
	settings, err := connectOptions(o, on)
	if err != nil {
		return nil, err
	}
	for {
		nc, err := nats.Connect(strings.Join(o.Servers, ","), settings...)
		if err == nil {
			return nc, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connect to NATS at %s: %w", strings.Join(o.Servers, ", "), err)
		case <-time.After(reconnectWait):
		}
	}
}

// events is what the connection tells the engine of.
type events struct {
	lost, back func()
	missed     func(*nats.Subscription) // some of its messages were dropped
}

func connectOptions(o *Options, on events) ([]nats.Option, error) {
	log := o.Logger
	settings := []nats.Option{
		nats.Name("chorale"),
		nats.NoEcho(),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait, reconnectWait),
		// What is published while there is no connection fails at once: appends
		// are repeated by the engine, which knows whether they are still wanted.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(2 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.Timeout(2 * time.Second),
		// nats.go writes with its lock held, and the pings that would find out that
		// nobody is there wait for it: a server that reads nothing counts as gone.
		nats.FlusherTimeout(2 * time.Second),
		nats.ReconnectOnFlusherError(),
		nats.IgnoreAuthErrorAbort(),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if nc.IsClosed() {
				return
			}
			log.Warn("connection to NATS is lost; writes wait", "cause", err)
			on.lost()
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("connected to NATS again", "server", nc.ConnectedUrlRedacted())
			on.back()
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			if sub != nil {
				on.missed(sub)
			}
			log.Warn("NATS", "error", err)
		}),
	}
	switch {
	case o.Credentials != "":
		settings = append(settings, nats.UserCredentials(o.Credentials))
	case o.Token != "":
		settings = append(settings, nats.Token(o.Token))
	case o.User != "":
		settings = append(settings, nats.UserInfo(o.User, o.Password))
	}
	if o.CA != "" {
		settings = append(settings, nats.RootCAs(o.CA))
	}
	if (o.Certificate == "") != (o.Key == "") {
		return nil, fmt.Errorf("a client certificate needs its key, and a key its certificate")
	}
	if o.Certificate != "" {
		settings = append(settings, nats.ClientCert(o.Certificate, o.Key))
	}
	return settings, nil
}
