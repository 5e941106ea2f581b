package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/chorale-rt/chorale/client"
	"github.com/chorale-rt/chorale/internal/auth"
)

// remoteFlags say which server a command talks to, as whom, and in which kind of
// channel.
type remoteFlags struct {
	URL       string        `name:"url" default:"http://127.0.0.1:4000" env:"CHORALE_URL" help:"The server (${default})."`
	Token     string        `env:"CHORALE_TOKEN" help:"Token to use."`
	JWTSecret string        `name:"jwt-secret" env:"CHORALE_JWT_SECRET" help:"Secret to sign tokens with when there is no --token; without it the dev mode's in --data."`
	Data      string        `default:"chorale-data" env:"CHORALE_DATA" type:"path" help:"Directory of the log, for the dev mode's secret."`
	Sub       string        `default:"operator" help:"Who signed tokens are for (${default})."`
	Role      string        `default:"authenticated" help:"The role that they claim (${default})."`
	Public    bool          `negatable:"private" help:"The public channel of the name; private is the default."`
	Wait      time.Duration `default:"10s" env:"CHORALE_WAIT" help:"How long to wait for the connection, the join and each answer (${default})."`
}

// tokenLife is how long tokens are good that a command signs for itself; it signs
// another before that.
const tokenLife = 10 * time.Minute

func (r *remoteFlags) tokens() (client.TokenProvider, error) {
	if r.Token != "" {
		return client.StaticToken(r.Token), nil
	}
	secret, err := signingSecret(r.JWTSecret, r.Data)
	if err != nil {
		return nil, fmt.Errorf("no --token, %w", err)
	}
	return func(context.Context, client.TokenReason) (string, error) {
		return auth.Mint(secret, auth.MintOptions{Subject: r.Sub, Role: r.Role, TTL: tokenLife})
	}, nil
}

// dial connects. Whoever gets a client closes it.
func (r *remoteFlags) dial(ctx context.Context) (*client.Client, error) {
	tokens, err := r.tokens()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.Wait)
	defer cancel()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	return client.Dial(ctx, r.URL, &client.Options{Token: tokens, Logger: log})
}

// join claims a channel and waits until it is joined.
func (r *remoteFlags) join(ctx context.Context, c *client.Client, name string, o client.ChannelOptions) (*client.Channel, error) {
	o.Public = r.Public
	ch, err := c.Channel(name, &o)
	if err != nil {
		return nil, err
	}
	return ch, r.ready(ctx, ch)
}

func (r *remoteFlags) ready(ctx context.Context, ch *client.Channel) error {
	ctx, cancel := context.WithTimeout(ctx, r.Wait)
	defer cancel()
	return ch.Ready(ctx)
}

// A printer writes lines of JSON, of any number of goroutines, and counts them.
type printer struct {
	mu    sync.Mutex // guards the following
	out   *json.Encoder
	err   error
	count int // of lines that count
	want  int // 0 for no end
	done  func()
}

func newPrinter(w io.Writer, want int, done func()) *printer {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	return &printer{out: out, want: want, done: done}
}

// print writes a line, unless enough was written. What counts brings the end nearer.
func (p *printer) print(line any, counts bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil || (p.want > 0 && p.count == p.want) {
		return
	}
	if p.err = p.out.Encode(line); p.err != nil {
		p.done() // whoever reads is gone
		return
	}
	if counts {
		if p.count++; p.count == p.want {
			p.done()
		}
	}
}

// result is what to say at the end: nothing when enough was printed.
func (p *printer) result() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.err != nil:
		return p.err
	case p.count < p.want:
		return fmt.Errorf("%d of %d", p.count, p.want)
	}
	return nil
}
