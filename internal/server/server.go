package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/collection"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/embedded"
	"github.com/chorale-rt/chorale/internal/engine/natsengine"
	"github.com/chorale-rt/chorale/internal/httpapi"
	"github.com/chorale-rt/chorale/internal/hub"
	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/metrics"
	"github.com/chorale-rt/chorale/internal/policy"
	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/internal/transport"
)

// Server is one Chorale server.
type Server struct {
	opts      Options
	engine    engine.Engine
	verifier  *auth.Verifier
	policy    atomic.Pointer[policy.Policy]
	reloading sync.Mutex // held while the rules are read anew
	limits    *limit.Limiter
	records   *collection.Store
	revoked   *auth.Revocations // what the verifier asks
	revoking  *httpapi.RevocationLog
	sessions  *session.Registry
	transport *transport.Server
	metrics   *metrics.Server
	handler   http.Handler
	listener  net.Listener
	ready     atomic.Bool
}

// LogDir is where the log is in a data directory.
func LogDir(data string) string { return filepath.Join(data, "log") }

// New listens, reads the rules and opens the log; nothing is served before Run.
// When it fails nothing stays open.
//
// It listens first: who comes back while the log is being opened waits a moment
// in the backlog, where he would be refused, and then stay away for longer.
func New(o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := &Server{opts: o, listener: listener, metrics: metrics.New(), revoked: new(auth.Revocations), sessions: session.NewRegistry()}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s.build()
	return s, nil
}

// open reads keys and rules, and opens the log.
func (s *Server) open() error {
	if s.opts.Engine == "" || s.opts.Dev {
		if err := os.MkdirAll(s.opts.Data, 0o700); err != nil {
			return fmt.Errorf("data directory: %w", err)
		}
	}
	if err := s.setUpAuth(); err != nil {
		return err
	}
	eng, err := openEngine(&s.opts)
	if err != nil {
		return err
	}
	s.engine = eng
	s.records = collection.New(eng, collection.Options{Clock: s.opts.Clock})
	if err := s.openRevocations(); err != nil {
		return errors.Join(err, eng.Close())
	}
	return nil
}

// openEngine is the one place that chooses where logs are kept.
func openEngine(o *Options) (engine.Engine, error) {
	if o.Engine != "" {
		return natsengine.Open(context.Background(), o.NATS)
	}
	return embedded.Open(embedded.Options{Dir: LogDir(o.Data), Clock: o.Clock, Logger: o.Logger})
}

func (s *Server) setUpAuth() error {
	o := &s.opts
	if o.Dev && len(o.Secret) == 0 {
		secret, err := devSecret(o.Data)
		if err != nil {
			return err
		}
		o.Secret = secret
	}
	verifier, err := auth.NewVerifier(auth.VerifierOptions{
		Secret: o.Secret, PublicKeys: o.PublicKeys, JWKS: o.JWKS, Issuer: o.Issuer, Audience: o.Audience, Logger: o.Logger,
		Revocations: s.revoked, Now: o.Clock,
	})
	if err != nil {
		return err
	}
	p, err := loadPolicy(o)
	if err != nil {
		return err
	}
	s.verifier = verifier
	s.policy.Store(p)
	return nil
}

// openRevocations reads what was revoked before this start.
func (s *Server) openRevocations() error {
	log, err := httpapi.NewRevocationLog(context.Background(), httpapi.RevocationOptions{
		Engine: s.engine, Set: s.revoked, Now: s.opts.Clock, Logger: s.opts.Logger,
		Recheck: func() {
			s.sessions.Recheck(func(id *auth.Identity) error { return s.revoked.Check(id, s.opts.Clock()) })
		},
	})
	s.revoking = log
	return err
}

// followRevocations ends the sessions of revoked tokens until ctx ends.
func (s *Server) followRevocations(ctx context.Context) {
	if err := s.revoking.Run(ctx); err != nil {
		s.opts.Logger.Error("open sessions are not asked about revocations", "error", err)
	}
}

// build wires the parts; see ARCHITECTURE.md for the way of the data.
func (s *Server) build() {
	s.limits = limit.New(s.opts.Limits, s.opts.Clock)
	for _, name := range limit.Names() {
		s.metrics.Limits(string(name))
	}
	deps := &session.Deps{
		Hub:         hub.New(s.engine, s.metrics),
		Engine:      s.engine,
		Collections: s.records,
		Verifier:    s.verifier,
		Policy:      s.policy.Load,
		Metrics:     s.metrics,
		Limits:      s.limits,
		Logger:      s.opts.Logger,
		Now:         s.opts.Clock,
		Registry:    s.sessions,
	}
	s.transport = transport.NewServer(transport.Options{Deps: deps, Proxies: s.opts.Proxies, Logger: s.opts.Logger})
	api := httpapi.Options{
		Engine: s.engine, Hub: deps.Hub, Collections: s.records, Verifier: s.verifier, Policy: s.policy.Load,
		Sessions: s.sessions, Revocations: s.revoking, AdminRole: s.opts.AdminRole,
		Limits: s.limits, Proxies: s.opts.Proxies, Metrics: s.metrics, Logger: s.opts.Logger, Now: s.opts.Clock,
	}
	if s.opts.Dev {
		api.DevSecret = s.opts.Secret
	}
	mux := http.NewServeMux()
	s.transport.Register(mux)
	httpapi.New(api).Register(mux)
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /healthcheck", s.healthz)
	mux.HandleFunc("GET /api/tenants/{id}/health", s.tenantHealth)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", s.metrics.Handler())
	mux.Handle("GET /", app())
	s.handler = mux
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Secret is the secret that tokens may be signed with; nil without one.
func (s *Server) Secret() []byte { return s.opts.Secret }

// Run serves until ctx ends, then drains and closes the log. It returns when
// everything it started has ended. It may be called once.
func (s *Server) Run(ctx context.Context) error {
	if s.opts.Dev {
		if err := s.seed(ctx); err != nil {
			return errors.Join(err, s.listener.Close(), s.engine.Close())
		}
	}
	web := &http.Server{Handler: s.handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	var wg sync.WaitGroup
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	wg.Go(func() { s.verifier.Run(background) })
	wg.Go(func() { s.followRevocations(background) })
	wg.Go(func() { keepTidy(background) })
	profiles := s.profiles()
	if profiles != nil {
		wg.Go(func() { s.report(profiles.ListenAndServe()) })
	}
	s.ready.Store(true) // before the first request can ask
	served := make(chan error, 1)
	front := s.transport.Front(s.listener)
	wg.Go(func() { served <- web.Serve(front) })

	var err error
	select {
	case <-ctx.Done():
	case err = <-served:
	}
	s.ready.Store(false)
	err = errors.Join(err, s.drain(web, front))
	if profiles != nil {
		err = errors.Join(err, profiles.Close())
	}
	stop()
	wg.Wait()
	return errors.Join(err, s.engine.Close())
}

// drain stops accepting, sends the clients away and waits for what is under way.
func (s *Server) drain(web *http.Server, front net.Listener) error {
	s.opts.Logger.Info("draining", "sessions", s.transport.Conns())
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.Drain+5*time.Second)
	defer cancel()
	listening := front.Close()
	if errors.Is(listening, net.ErrClosed) {
		listening = nil
	}
	s.transport.Shutdown(ctx, s.opts.Drain)
	if err := web.Shutdown(ctx); err != nil {
		return errors.Join(listening, web.Close())
	}
	return listening
}

func (s *Server) report(err error) {
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		s.opts.Logger.Error("profiles are not served", "error", err)
	}
}
