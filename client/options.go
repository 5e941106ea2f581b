package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

// TokenReason says why a token is wanted.
type TokenReason int

const (
	// TokenNeeded: there is none yet.
	TokenNeeded TokenReason = iota
	// TokenExpiring: the held one is close to its end, or past it.
	TokenExpiring
	// TokenRefused: the server did not take the held one, although it may look
	// good. Answer with another one, not from a cache.
	TokenRefused
)

func (r TokenReason) String() string {
	switch r {
	case TokenNeeded:
		return "needed"
	case TokenExpiring:
		return "expiring"
	case TokenRefused:
		return "refused"
	}
	return "unknown"
}

// A TokenProvider returns a JWT for this client. It is called before a
// connection or a join that needs one and before the held one expires, by at most
// two goroutines at a time, never while anything of the client is locked. ctx
// ends after 10 s, and with the client; Close waits for the provider to return.
//
// When it fails it is asked again, ever more slowly. When no further try can
// help, because somebody has to sign in, return an [*Error] whose Retryable is
// false: the state becomes [NeedsAuth], until [Client.Reconnect].
type TokenProvider func(ctx context.Context, reason TokenReason) (string, error)

// StaticToken provides one token. When it is used up, by its own word or the
// server's, the state becomes [NeedsAuth].
func StaticToken(token string) TokenProvider {
	return func(_ context.Context, reason TokenReason) (string, error) {
		// The first word is the server's: this clock may be wrong.
		if at, ok := expiryOf(token); reason != TokenNeeded && ok && !at.After(time.Now()) {
			return "", &Error{Code: protocol.CodeTokenExpired, Message: "the token expired at " + at.UTC().Format(time.RFC3339)}
		}
		return token, nil
	}
}

// Options say how to connect. Only Token must be given.
type Options struct {
	// Token provides tokens.
	Token TokenProvider

	// Nodes are addresses of further nodes of the same cluster, for where nothing
	// stands in front of it. After a connection that was lost, and after an attempt
	// that failed, the next one is tried, and after the last the first again.
	Nodes []string

	// BufferItems and BufferBytes bound what waits in one [Stream] for its
	// reader: how many items, and how many bytes of payload. 0 means 4,096 and
	// 8 MiB. A single item is taken however large it is.
	BufferItems int
	BufferBytes int

	// DialContext opens the connection below the WebSocket; nil means
	// [net.Dialer]'s. TLSConfig is for wss and https addresses; nil means the
	// defaults of crypto/tls.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	TLSConfig   *tls.Config
	// Header is sent with the handshake, for what stands in front of the server.
	Header http.Header

	// Logger hears of frames that cannot be understood and of tokens that could
	// not be refreshed; nil means nobody does. Tokens are never logged.
	Logger *slog.Logger

	roll func() float64 // chance, for tests
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.BufferItems == 0 {
		out.BufferItems = 4096
	}
	if out.BufferBytes == 0 {
		out.BufferBytes = 8 << 20
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	if out.roll == nil {
		out.roll = rand.Float64
	}
	return out
}

func (o *Options) validate() error {
	switch {
	case o.Token == nil:
		return errors.New("client: Options.Token must be given; StaticToken makes one of a token")
	case o.BufferItems < 0 || o.BufferBytes < 0:
		return errors.New("client: Options.BufferItems and Options.BufferBytes must not be negative")
	}
	return nil
}

// endpoint is the WebSocket address of a server: https://h/x becomes
// wss://h/x/socket/websocket?….
func endpoint(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		u = &url.URL{}
	}
	switch u.Scheme {
	case "http", "ws":
		u.Scheme = "ws"
	case "https", "wss":
		u.Scheme = "wss"
	default:
		return "", fmt.Errorf("client: %q is no address such as http://127.0.0.1:4000", address)
	}
	if u.Host == "" {
		return "", fmt.Errorf("client: %q names no host", address)
	}
	path := strings.TrimRight(u.Path, "/")
	path = strings.TrimSuffix(strings.TrimSuffix(path, "/websocket"), "/socket")
	u.Path, u.RawQuery, u.Fragment = path+"/socket/websocket", "vsn=2.0.0&chorale=1", ""
	return u.String(), nil
}
