package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/chorale-rt/chorale/internal/server"
)

type serveCmd struct {
	Addr      string        `default:"127.0.0.1:4000" env:"CHORALE_ADDR" help:"Where to listen, as host:port; port 0 takes a free one."`
	Data      string        `default:"chorale-data" env:"CHORALE_DATA" type:"path" help:"Directory of the log; with NATS only of dev mode's secret."`
	Engine    string        `default:"embedded" env:"CHORALE_ENGINE" placeholder:"URL,…" help:"Where logs are kept: embedded (this process and --data), or the URLs of NATS servers, for several nodes."`
	NATS      natsFlags     `embed:"" prefix:"nats-"`
	Dev       bool          `env:"CHORALE_DEV" help:"Dev mode: loopback only, a secret made and kept, guest tokens, the notes app with a sample project."`
	JWTSecret string        `name:"jwt-secret" env:"CHORALE_JWT_SECRET" help:"Secret that verifies tokens (HS256, HS384, HS512), 32 bytes or more."`
	JWTKey    []string      `name:"jwt-key" env:"CHORALE_JWT_KEY" type:"existingfile" help:"PEM file with public keys that verify tokens."`
	JWKS      string        `name:"jwks" env:"CHORALE_JWKS" help:"Path or URL of a JSON Web Key Set."`
	Issuer    string        `env:"CHORALE_ISSUER" help:"What a token's iss must be."`
	Audience  string        `env:"CHORALE_AUDIENCE" help:"What a token's aud must contain."`
	AdminRole string        `name:"admin-role" default:"service_role" env:"CHORALE_ADMIN_ROLE" help:"Role whose tokens may disconnect, revoke and list channels."`
	Rules     string        `env:"CHORALE_RULES" type:"path" help:"YAML file with the rules of private channels; dev mode brings the app's."`
	Limits    limitFlags    `embed:"" prefix:"limit-"`
	Proxies   []string      `name:"trusted-proxy" env:"CHORALE_TRUSTED_PROXY" placeholder:"NETWORK" help:"Network of reverse proxies whose X-Forwarded-For is believed; this machine always is."`
	Drain     time.Duration `default:"1s" env:"CHORALE_DRAIN" help:"Window over which clients come back after a shutdown."`
	LogLevel  slog.Level    `default:"info" env:"CHORALE_LOG_LEVEL" help:"debug, info, warn or error."`
	LogFormat string        `default:"text" enum:"text,json" env:"CHORALE_LOG_FORMAT" help:"text or json."`
	Pprof     string        `env:"CHORALE_PPROF" placeholder:"ADDR" help:"Loopback address that serves profiles."`
	// ClockOffset is for tests of clocks that do not agree.
	ClockOffset time.Duration `name:"clock-offset" env:"CHORALE_CLOCK_OFFSET" help:"How much later than this machine's clock it is taken to be; for tests of clocks that do not agree."`
}

// Run implements the command.
func (c *serveCmd) Run(ctx context.Context) error {
	keys, err := readAll(c.JWTKey)
	if err != nil {
		return err
	}
	proxies, err := networks(c.Proxies)
	if err != nil {
		return err
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // before anybody can know that there is a server
	defer signal.Stop(hangups)
	s, err := server.New(server.Options{
		Addr: c.Addr, Data: c.Data, Engine: c.Engine, NATS: c.NATS.options(), Dev: c.Dev,
		Secret: []byte(c.JWTSecret), PublicKeys: keys, JWKS: c.JWKS, Issuer: c.Issuer, Audience: c.Audience,
		AdminRole: c.AdminRole, RulesFile: c.Rules, Limits: c.Limits.settings(), Proxies: proxies, Drain: c.Drain, PprofAddr: c.Pprof, Logger: c.logger(),
		Clock: func() time.Time { return time.Now().Add(c.ClockOffset) },
	})
	if err != nil {
		return explain(err)
	}
	fmt.Printf("listening on http://%s\n", s.Addr())
	if c.Dev {
		c.greet(s)
	}
	defer reloadOn(hangups, s, c.logger())()
	return s.Run(ctx)
}

// greet tells whoever tries Chorale where to look.
func (c *serveCmd) greet(s *server.Server) {
	fmt.Printf(`
  Chorale in DEV MODE: everybody on this machine may have a token.

    notes app    http://%[1]s            (open it in two windows)
    a second you http://%[1]s/?as=Ben
    WebSocket    ws://%[1]s/socket       (phoenix), http://%[1]s (supabase-js)
    log          %[2]s

`, s.Addr(), c.log())
}

// log says where logs are kept.
func (c *serveCmd) log() string {
	if c.Engine == "embedded" {
		return c.Data
	}
	return "in NATS"
}

func (c *serveCmd) logger() *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}

// explain names the flag behind an option that cannot be used.
func explain(err error) error {
	if field, ok := errors.AsType[*server.FieldError](err); ok {
		return fmt.Errorf("--%s: %s", field.Field, field.Why)
	}
	return err
}

func readAll(paths []string) ([][]byte, error) {
	out := make([][]byte, 0, len(paths))
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		out = append(out, data)
	}
	return out, nil
}
