package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/google/uuid"

	"github.com/chorale-rt/chorale/protocol"
)

// Client is a connection to a Chorale server that comes back by itself, and the
// channels that are joined over it. Its methods may be called concurrently.
type Client struct {
	opts      Options
	addresses []string // of the nodes' WebSocket endpoints, the one that was given first
	id        string

	// ctx ends with Close. It is the lifetime of what the client starts.
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// mu guards everything below, and all that is reached from there: the
	// connection, the tokens, memberships, their records, their presence. Whoever
	// holds it does not block, and calls nobody else's code.
	mu       sync.Mutex
	alarms   alarms
	tokens   tokens
	conn     connection
	channels map[string]*membership // by topic
	events   map[*Stream[Event]]struct{}
	settled  bell // rings when a write has settled
	stats    Stats
}

// Dial connects to the server at an address such as http://127.0.0.1:4000, and
// returns when it is connected. It fails when ctx ends before, or when the server
// or the token provider say that trying again is of no use. ctx counts for
// dialling only; the client lives until [Client.Close].
//
// A program that should start before its server does uses [New].
func Dial(ctx context.Context, address string, o *Options) (*Client, error) {
	c, err := New(address, o)
	if err != nil {
		return nil, err
	}
	if err := c.WaitConnected(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("client: connect to %s: %w", address, err)
	}
	return c, nil
}

// New begins to connect and returns at once: [Client.Watch] and
// [Client.WaitConnected] tell what becomes of it. Meanwhile channels may be
// joined and written to; it is sent when the connection is there. The client must
// be closed.
func New(address string, o *Options) (*Client, error) {
	opts := o.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	var addresses []string
	for _, node := range append([]string{address}, opts.Nodes...) {
		wsAddress, err := endpoint(node)
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, wsAddress)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	c := &Client{
		opts: opts, addresses: addresses, id: id.String(), alarms: newAlarms(),
		channels: map[string]*membership{}, events: map[*Stream[Event]]struct{}{},
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.tokens.c = c
	c.conn = connection{c: c, replies: map[string]func(reply){}}
	c.wg.Go(c.run)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn.dispatch(event{kind: evNeeded})
	return c, nil
}

// run waits for the client's deadlines until it is closed.
func (c *Client) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for c.ctx.Err() == nil {
		c.mu.Lock()
		wait, more := c.alarms.fireDue(time.Now())
		c.mu.Unlock()
		if timer.Stop(); more {
			timer.Reset(wait)
		}
		select {
		case <-timer.C:
		case <-c.alarms.wake:
		case <-c.ctx.Done():
		}
	}
}

// ID is this client's id, a UUIDv7: its key in presence, and who it is in the
// stamps of what it writes.
func (c *Client) ID() string { return c.id }

// Close leaves all channels, ends the connection and waits for everything that
// the client has started. Writes that have not settled end as unknown; call
// [Client.Flush] before it where that matters. It is idempotent.
func (c *Client) Close() {
	c.mu.Lock()
	for topic, m := range c.channels {
		delete(c.channels, topic)
		m.close(ErrClosed)
	}
	c.conn.dispatch(event{kind: evClose})
	for s := range c.events {
		s.end(ErrClosed)
	}
	clear(c.events)
	c.settled.ring()
	c.cancel()
	c.mu.Unlock()
	c.wg.Wait()
}

// Status is the connection's state now.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn.status()
}

// Watch ranges over the connection's states, the present one first. What changes
// while a state is being handled comes as one. It ends with ctx, or with the
// client, whose last state is [Closed].
func (c *Client) Watch(ctx context.Context) iter.Seq[Status] {
	return watch(ctx, &c.mu, &c.conn.changed, func() (Status, bool) {
		s := c.conn.status()
		return s, s.State == Closed
	})
}

// WaitConnected waits until the client is connected. It fails when ctx ends
// before, with the reason of the last attempt, when no further attempt will be
// made, and after Close.
func (c *Client) WaitConnected(ctx context.Context) error {
	var last error
	for s := range c.Watch(ctx) {
		switch s.State {
		case Connected:
			return nil
		case NeedsAuth, Failed, Closed:
			return s.Err
		}
		if s.Err != nil {
			last = s.Err
		}
	}
	return errors.Join(context.Cause(ctx), last)
}

// Reconnect tries again at once, from whatever state but [Closed]. When there is
// a connection it is asked whether it is alive.
func (c *Client) Reconnect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn.dispatch(event{kind: evReconnect})
}

// Pending is how many writes to collections, in all channels, have not settled.
func (c *Client) Pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pending()
}

func (c *Client) pending() int {
	n := 0
	for _, m := range c.channels {
		n += m.records.outbox.size()
	}
	return n
}

// Flush waits until every write to a collection that was made so far, in all
// channels, has settled. It fails when ctx ends or the client is closed before.
func (c *Client) Flush(ctx context.Context) error {
	return c.waitSettled(ctx, c.pending)
}

// waitSettled waits until pending says 0.
func (c *Client) waitSettled(ctx context.Context, pending func() int) error {
	for {
		c.mu.Lock()
		n, rung, isClosed := pending(), c.settled.wait(), c.conn.state.phase == closed
		c.mu.Unlock()
		switch {
		case isClosed:
			return ErrClosed
		case n == 0:
			return nil
		}
		select {
		case <-rung:
		case <-ctx.Done():
			return fmt.Errorf("%d writes have not settled: %w", n, context.Cause(ctx))
		}
	}
}

// Events is a stream of what nobody waits for: a [*Conflict] when somebody
// else's write won over one of this client's, a [*Failure] when a write was
// refused, a [*Resync] when messages were missed, a [*Fault] when something else
// was refused. It begins now, and ends with the client or when it is closed.
func (c *Client) Events() *Stream[Event] {
	s := newStream[Event](&c.opts, func() error { return &Resync{Reason: ResyncSlow} })
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn.state.phase == closed {
		s.end(ErrClosed)
		return s
	}
	c.events[s] = struct{}{}
	s.onClose = func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.events, s)
	}
	return s
}

func (c *Client) emit(e Event) {
	for s := range c.events {
		s.push(item[Event]{value: e, bytes: 256})
	}
}

// report tells the log of what nobody else hears.
func (c *Client) report(what string, err error) { c.opts.Logger.Warn("client: "+what, "error", err) }

// tokenRenewed hears of each token that takes another one's place.
func (c *Client) tokenRenewed(token string) {
	if c.conn.isOpen() {
		c.conn.scheduleRefresh(0)
	}
	for _, m := range c.channels {
		m.onToken(token)
	}
}

// deliver hands a frame that is no reply to its channel.
func (c *Client) deliver(f *protocol.Frame) {
	m := c.channels[f.Topic]
	if m == nil {
		return
	}
	if err := m.onFrame(f); err != nil {
		c.report("a frame of "+m.name+" was dropped", err)
		c.emit(&Fault{Channel: m.name, Err: err})
	}
}

func (o *Options) dialer(token string) ws.Dialer {
	header := o.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("X-Api-Key", token) // not in the address, which proxies log
	return ws.Dialer{NetDial: o.DialContext, TLSConfig: o.TLSConfig, Header: ws.HandshakeHeaderHTTP(header)}
}
