package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/engine/natsengine"
	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/web/notes"
)

// Options say how to run a server. Addr and Data must be given.
type Options struct {
	Addr string // host:port to listen on; port 0 takes a free one
	Data string // directory of the log, or of the secret of dev mode; made when it does not exist

	// Engine keeps the logs: "" for this process and Data, or the URLs of NATS
	// servers, separated by commas, for several nodes. NATS says how to use those;
	// its Servers, Clock and Logger are set from here.
	Engine string
	NATS   natsengine.Options

	// Dev is dev mode: loopback only, a secret made once and kept in Data, guest
	// tokens, the app's own rules unless Rules is given, and a sample project.
	Dev bool

	Secret     []byte // verifies HS256, HS384 and HS512
	PublicKeys [][]byte
	JWKS       string // path or URL
	Issuer     string
	Audience   string

	// AdminRole is the role whose tokens may administer: disconnect, revoke, list
	// channels. "" means service_role.
	AdminRole string

	RulesFile string // path of the rules; "" means none, or the app's in dev mode

	// Limits hold senders to a rate. Zero fields mean the defaults.
	Limits limit.Settings
	// Proxies are believed when they say where a request came from; this machine
	// always is.
	Proxies limit.Proxies

	// Drain is the window over which clients come back after a shutdown. 0
	// means 1 second.
	Drain time.Duration

	PprofAddr string // loopback address that serves profiles; "" means none

	// Clock tells the time of entries, and what tokens, limits and history are
	// judged by. nil means time.Now.
	Clock func() time.Time

	Logger *slog.Logger
}

// FieldError says which option cannot be used and why.
type FieldError struct{ Field, Why string }

func (e *FieldError) Error() string { return e.Field + ": " + e.Why }

func (o *Options) validate() error {
	if o.Addr == "" {
		return &FieldError{"addr", "must be given, as host:port"}
	}
	if o.Data == "" {
		return &FieldError{"data", "must be given: the directory that holds the log"}
	}
	o.Limits = o.Limits.WithDefaults()
	if fault, ok := errors.AsType[*limit.FieldError](o.Limits.Validate()); ok {
		return &FieldError{limit.Name(fault.Field).Flag(), fault.Why}
	}
	if o.Drain == 0 {
		o.Drain = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if err := o.validateEngine(); err != nil {
		return err
	}
	if o.PprofAddr != "" && !loopback(o.PprofAddr) {
		return &FieldError{"pprof", "profiles are served on loopback only"}
	}
	if o.Dev && !loopback(o.Addr) {
		return &FieldError{"addr", "dev mode listens on loopback only, because everybody may have a token; give 127.0.0.1:PORT, or turn dev mode off"}
	}
	if !o.Dev && len(o.Secret) == 0 && o.JWKS == "" && len(o.PublicKeys) == 0 {
		return &FieldError{"jwt-secret", "outside dev mode a secret, a public key or a JWKS must be given; for a try on this machine use --dev"}
	}
	return nil
}

// validateEngine reads the engine's URLs.
func (o *Options) validateEngine() error {
	o.NATS.Clock, o.NATS.Logger = o.Clock, o.Logger
	if o.Engine == "" || o.Engine == "embedded" {
		o.Engine = ""
		return nil
	}
	servers, err := NATSServers(o.Engine)
	for _, u := range servers {
		o.NATS.Servers = append(o.NATS.Servers, u.String())
	}
	return err
}

// NATSServers reads the URLs of NATS servers in what Options.Engine may be. The
// error is a *FieldError.
func NATSServers(engine string) ([]*url.URL, error) {
	var out []*url.URL
	for raw := range strings.SplitSeq(engine, ",") {
		u, err := url.Parse(strings.TrimSpace(raw))
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			return nil, &FieldError{"engine", fmt.Sprintf("%q is neither embedded nor the URL of a NATS server, such as nats://127.0.0.1:4222", raw)}
		}
		out = append(out, u)
	}
	return out, nil
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// devSecret is the secret of dev mode, made on the first start and kept, so that
// tokens and guests outlive a restart.
func devSecret(dir string) ([]byte, error) {
	path := filepath.Join(dir, "dev-secret")
	data, err := os.ReadFile(path)
	if err == nil {
		return []byte(strings.TrimSpace(string(data))), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("dev secret: %w", err)
	}
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return nil, fmt.Errorf("dev secret: %w", err)
	}
	secret := hex.EncodeToString(raw)
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("dev secret: %w", err)
	}
	return []byte(secret), nil
}

// loadRules reads the rules file, or the app's rules in dev mode.
func loadRules(o *Options) (*auth.Rules, error) {
	switch {
	case o.RulesFile != "":
		src, err := os.ReadFile(o.RulesFile)
		if err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		}
		return auth.ParseRules(o.RulesFile, src, os.DirFS(filepath.Dir(o.RulesFile)))
	case o.Dev:
		return auth.ParseRules("rules.yaml", notes.Rules(), notes.Schemas())
	}
	return nil, nil
}
