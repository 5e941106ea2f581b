package session_test

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/metrics"
	"github.com/chorale-rt/chorale/protocol"
)

// counted is an engine that counts what reaches it.
type counted struct {
	engine.Engine
	appends, leases atomic.Int64
}

func (c *counted) Append(ctx context.Context, channel string, w engine.Write) (engine.Receipt, error) {
	c.appends.Add(1)
	return c.Engine.Append(ctx, channel, w)
}

func (c *counted) PutLease(ctx context.Context, channel, holder string, value []byte) error {
	c.leases.Add(1)
	return c.Engine.PutLease(ctx, channel, holder, value)
}

// limitedWorld is a world with limits, a clock for them that the test moves, and
// an engine that counts.
type limitedWorld struct {
	*world
	counted *counted
	metrics *metrics.Server

	mu  sync.Mutex
	now time.Time
}

func newLimitedWorld(t *testing.T, s limit.Settings) *limitedWorld {
	t.Helper()
	w := &limitedWorld{world: newWorld(t), metrics: metrics.New(), now: time.Now()}
	w.counted = &counted{Engine: w.deps.Engine}
	w.deps.Engine = w.counted
	w.deps.Metrics = w.metrics
	for _, name := range limit.Names() {
		w.metrics.Limits(string(name))
	}
	w.deps.Limits = limit.New(s, func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.now
	})
	return w
}

func (w *limitedWorld) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// limited is what the metrics say of a limit.
func (w *limitedWorld) limited(name limit.Name, want int) {
	w.t.Helper()
	r := httptest.NewRecorder()
	w.metrics.Handler().ServeHTTP(r, httptest.NewRequest("GET", "/metrics", nil))
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	line := fmt.Sprintf("\nchorale_limited_total{limit=%q} %d\n", name, want)
	if !strings.Contains(string(body), line) {
		w.t.Errorf("metrics do not say %s", strings.TrimSpace(line))
	}
}

const (
	hello  = `{"event":"e","payload":{"text":"hello"}}`
	noAck  = `{"presence":{"enabled":false}}`
	lively = `{"presence":{"enabled":true,"key":"%s"}}`
)

func TestMessageLimits(t *testing.T) {
	t.Run("[L2] what is beyond the rate is refused with a time, after which it passes", func(t *testing.T) {
		w := newLimitedWorld(t, limit.Settings{Messages: limit.Rate{PerSecond: 10, Burst: 3}})
		c := w.connect("ada")
		c.join("realtime:x", plain)
		for range 3 {
			c.push("1", "realtime:x", "broadcast", hello)
			c.ok()
		}
		c.push("1", "realtime:x", "broadcast", hello)
		r := c.refused("rate_limit_reached")
		if r["retryable"] != true || r["retryAfterMs"] != 100.0 || r["reason"] != "RateLimitReached: Too many messages per second from this connection: 10 a second are allowed, and 3 at once" {
			t.Error(r)
		}
		if n := w.counted.appends.Load(); n != 3 {
			t.Errorf("%d reached the engine", n)
		}
		w.pass(100 * time.Millisecond)
		c.push("1", "realtime:x", "broadcast", hello)
		c.ok()
		w.limited(limit.Messages, 1)
	})
	t.Run("[L2] who waits for no answer is told once a second, and the rest is dropped and counted", func(t *testing.T) {
		w := newLimitedWorld(t, limit.Settings{Messages: limit.Rate{PerSecond: 1, Burst: 1}})
		c := w.connect("ada")
		c.join("realtime:x", noAck)
		for range 1000 {
			c.push("1", "realtime:x", "broadcast", hello)
		}
		if f := c.next(); f.event != "phx_reply" || f.ref != "3" || f.payload["status"] != "error" {
			t.Errorf("got %s", f.raw)
		}
		c.quiet()
		w.limited(limit.Messages, 999)
		w.pass(time.Second)
		c.push("1", "realtime:x", "broadcast", hello)
		c.quiet()
		c.push("1", "realtime:x", "broadcast", hello)
		c.refused("rate_limit_reached")
	})
	t.Run("[L1] heartbeats and leaves pass in the middle of a flood", func(t *testing.T) {
		w := newLimitedWorld(t, limit.Settings{Messages: limit.Rate{PerSecond: 1, Burst: 1}})
		c := w.connect("ada")
		c.join("realtime:x", plain)
		for i := range 50 {
			c.push("1", "realtime:x", "broadcast", hello)
			c.reply()
			if i%10 == 0 {
				c.push("", "phoenix", "heartbeat", "{}")
				c.ok()
			}
		}
		c.push("1", "realtime:x", "phx_leave", "{}")
		c.ok()
		c.want("phx_close")
	})
	t.Run("bytes are limited too", func(t *testing.T) {
		w := newLimitedWorld(t, limit.Settings{Bytes: limit.Rate{PerSecond: 1000, Burst: 2000}})
		c := w.connect("ada")
		c.join("realtime:x", plain)
		large := `{"event":"e","payload":"` + strings.Repeat("x", 1900) + `"}`
		c.push("1", "realtime:x", "broadcast", large)
		c.ok()
		c.push("1", "realtime:x", "broadcast", large)
		if r := c.refused("rate_limit_reached"); !strings.Contains(r["reason"].(string), "bytes per second from this connection") {
			t.Error(r)
		}
		w.limited(limit.Bytes, 1)
	})
	t.Run("pushes to topics that are not joined count, and are answered once a second", func(t *testing.T) {
		w := newLimitedWorld(t, limit.Settings{Messages: limit.Rate{PerSecond: 1, Burst: 2}})
		c := w.connect("ada")
		for range 2 {
			c.push("1", "realtime:nowhere", "broadcast", hello)
			c.refused("unmatched_topic")
		}
		c.push("1", "realtime:nowhere", "broadcast", hello)
		c.refused("rate_limit_reached")
		c.push("1", "realtime:nowhere", "broadcast", hello)
		c.quiet()
	})
	t.Run("a message that is too large is refused, with ack or without", func(t *testing.T) {
		w := newLimitedWorld(t, limit.Settings{PayloadBytes: 1000})
		c := w.connect("ada")
		c.join("realtime:x", noAck)
		for range 2 {
			c.push("1", "realtime:x", "broadcast", `{"event":"e","payload":"`+strings.Repeat("x", 1000)+`"}`)
			if r := c.refused("payload_size_exceeded"); r["retryable"] != false || r["retryAfterMs"] != nil {
				t.Error(r)
			}
		}
		w.limited(limit.Payload, 2)
	})
}

func TestMutationLimits(t *testing.T) {
	t.Run("[L3] a mutation beyond a limit consumes no n, and the same bytes pass later", func(t *testing.T) {
		w := newLimitedWorld(t, limit.Settings{Messages: limit.Rate{PerSecond: 10, Burst: 1}})
		c := w.connect("ada")
		c.join("realtime:interview:1", fmt.Sprintf(records, "a", ""))
		c.synced()
		c.push("1", "realtime:interview:1", "mutate", mutation("a", 1, "put", "r1", `,"fields":{"content":"one"}`))
		c.want("change")
		c.ok()
		second := mutation("a", 2, "patch", "r1", `,"fields":{"content":"two"}`)
		c.push("1", "realtime:interview:1", "mutate", second)
		if r := c.refused("rate_limit_reached"); r["retryable"] != true || r["retryAfterMs"] != 100.0 {
			t.Error(r)
		}
		w.pass(100 * time.Millisecond)
		c.push("1", "realtime:interview:1", "mutate", second)
		if p := c.want("change"); p["n"] != 2.0 || p["status"] != "applied" {
			t.Error(p)
		}
		if r := c.ok(); r["duplicate"] == true {
			t.Error("the first one was not consumed, and is a duplicate now", r)
		}
	})
	t.Run("[L3] so with the channel's limit, whoever used it up", func(t *testing.T) {
		w := newLimitedWorld(t, limit.Settings{ChannelMessages: limit.Rate{PerSecond: 10, Burst: 1}})
		ada, ben := w.connect("ada"), w.connect("ben")
		for _, c := range []*client{ada, ben} {
			c.join("realtime:interview:1", fmt.Sprintf(records, "c", ""))
			if c == ada {
				c.synced()
			}
		}
		ada.push("1", "realtime:interview:1", "broadcast", hello)
		ada.ok()
		ada.push("1", "realtime:interview:1", "mutate", mutation("c", 1, "put", "r1", `,"fields":{"content":"one"}`))
		if r := ada.refused("rate_limit_reached"); !strings.Contains(r["reason"].(string), "in this channel") {
			t.Error(r)
		}
		w.limited(limit.ChannelMessages, 1)
	})
}

func TestChannelLimits(t *testing.T) {
	t.Run("[L1] who may not publish uses up nothing of what others may", func(t *testing.T) {
		w := newLimitedWorld(t, limit.Settings{ChannelMessages: limit.Rate{PerSecond: 1, Burst: 1}})
		mute, ada := w.connect("mute"), w.connect("ada")
		config := `{"private":true,"presence":{"enabled":false},"broadcast":{"ack":true}}`
		mute.join("realtime:interview:1", config)
		ada.join("realtime:interview:1", config)
		for range 10 {
			mute.push("1", "realtime:interview:1", "broadcast", hello)
			mute.refused("unauthorized")
		}
		ada.push("1", "realtime:interview:1", "broadcast", hello)
		ada.ok()
	})
	t.Run("[L1] a flood in one channel reaches the engine as far as it may, and delays nobody in another", func(t *testing.T) {
		w := newLimitedWorld(t, limit.Settings{Messages: limit.Rate{PerSecond: 100, Burst: 50}})
		flood, ada, ben := w.connect("flood"), w.connect("ada"), w.connect("ben")
		flood.join("realtime:loud", noAck)
		ada.join("realtime:quiet", plain)
		ben.join("realtime:quiet", plain)
		for second := range 3 {
			before := w.counted.appends.Load()
			for range 5000 {
				flood.push("1", "realtime:loud", "broadcast", hello)
			}
			allowed := int64(100)
			if second == 0 {
				allowed = 50 // the burst
			}
			if n := w.counted.appends.Load() - before; n > allowed {
				t.Errorf("second %d: %d of the flood reached the engine", second, n)
			}
			ada.push("1", "realtime:quiet", "broadcast", hello)
			ada.ok()
			ben.want("broadcast")
			w.pass(time.Second)
		}
		ben.quiet()
	})
	t.Run("a rule's rate is its channel's own, and counts beside the connection's", func(t *testing.T) {
		w := newLimitedWorld(t, limit.Settings{Messages: limit.Rate{PerSecond: 10, Burst: 1}})
		w.setRules("channels: [{match: fast, join: 'true', publish: 'true', limits: {messagesPerSecond: 100}}]")
		c := w.connect("ada")
		c.join("realtime:fast", `{"private":true,"presence":{"enabled":false},"broadcast":{"ack":true}}`)
		c.join("realtime:slow", plain)
		for range 10 { // the burst is in the server's proportion: a tenth of a second
			c.push("1", "realtime:fast", "broadcast", hello)
			c.ok()
		}
		c.push("1", "realtime:fast", "broadcast", hello)
		c.refused("rate_limit_reached")
		c.push("2", "realtime:slow", "broadcast", hello)
		c.ok()
		w.setRules("channels: [{match: fast, join: 'true', publish: 'true', limits: {messagesPerSecond: 1000}}]")
		w.pass(time.Second)
		for range 100 { // newer rules, newer limits
			c.push("1", "realtime:fast", "broadcast", hello)
			c.ok()
		}
	})
}

func TestJoinLimits(t *testing.T) {
	t.Run("[L2] joins have a rate of their own, in upstream's words", func(t *testing.T) {
		w := newLimitedWorld(t, limit.Settings{Joins: limit.Rate{PerSecond: 10, Burst: 3}})
		c := w.connect("ada")
		for i := range 3 {
			c.join(fmt.Sprintf("realtime:x%d", i), plain)
		}
		c.push("", "realtime:x3", "phx_join", `{"config":`+plain+`}`)
		r := c.refused("client_join_rate_limit_reached")
		if r["reason"] != "ClientJoinRateLimitReached: Too many joins per second" || r["retryAfterMs"] != 100.0 || r["retryable"] != true {
			t.Error(r)
		}
		w.pass(100 * time.Millisecond)
		c.join("realtime:x3", plain)
		w.limited(limit.Joins, 1)
	})
	t.Run("a client with a hundred channels joins them all in one moment, and once more", func(t *testing.T) {
		w := newLimitedWorld(t, limit.Settings{})
		c := w.connect("ada")
		for range 2 {
			for i := range 100 {
				c.push("", fmt.Sprintf("realtime:x%d", i), "phx_join", `{"config":`+plain+`}`)
				for f := c.next(); f.event != "phx_reply"; f = c.next() { // the first one's phx_close
				}
			}
		}
		w.limited(limit.Joins, 0)
	})
	t.Run("how many channels a connection may have is a setting", func(t *testing.T) {
		w := newLimitedWorld(t, limit.Settings{Channels: 2})
		c := w.connect("ada")
		c.join("realtime:a", plain)
		c.join("realtime:b", plain)
		c.push("", "realtime:c", "phx_join", `{"config":{}}`)
		if r := c.refused("channel_rate_limit_reached"); r["reason"] != "ChannelRateLimitReached: Too many channels" {
			t.Error(r)
		}
		w.limited(limit.Channels, 1)
	})
}

func TestPause(t *testing.T) {
	t.Run("who is over its own rate is read more slowly, others are not", func(t *testing.T) {
		w := newLimitedWorld(t, limit.Settings{Messages: limit.Rate{PerSecond: 1, Burst: 1}})
		c, other := w.connect("ada"), w.connect("ben")
		c.join("realtime:x", noAck)
		c.push("1", "realtime:x", "broadcast", hello)
		if d := c.Pause(); d != 0 {
			t.Errorf("paused for %s within the limits", d)
		}
		c.push("1", "realtime:x", "broadcast", hello)
		if d := c.Pause(); d != 200*time.Microsecond || c.Pause() != 0 {
			t.Errorf("paused for %s", d)
		}
		for range 100 {
			c.push("1", "realtime:x", "broadcast", hello)
		}
		if d := c.Pause(); d != 20*time.Millisecond {
			t.Errorf("paused for %s after a hundred frames too many", d)
		}
		if other.Pause() != 0 {
			t.Error("another one was paused")
		}
	})
	t.Run("[L1] [C2] so is who beats like a drum, and every beat is answered", func(t *testing.T) {
		w := newLimitedWorld(t, limit.Settings{})
		c := w.connect("ada")
		for i := range 2000 {
			c.push("", "phoenix", "heartbeat", "{}")
			c.ok()
			if d := c.Pause(); (d > 0) != (i >= 1000) {
				t.Fatalf("beat %d paused for %s", i, d)
			}
		}
	})
	t.Run("[F5] so is who sends garbage", func(t *testing.T) {
		w := newLimitedWorld(t, limit.Settings{})
		c := w.connect("ada")
		for range 1001 {
			c.Receive(false, []byte("garbage"))
		}
		if c.Pause() == 0 {
			t.Error("not paused")
		}
	})
}

func TestLimitsMatchTheProtocol(t *testing.T) {
	if d := limit.Defaults(); d.FrameBytes != protocol.MaxFrameBytes || d.PayloadBytes != protocol.MaxMessageBytes {
		t.Errorf("frames of %d bytes and messages of %d are allowed, the protocol says %d and %d", d.FrameBytes, d.PayloadBytes, protocol.MaxFrameBytes, protocol.MaxMessageBytes)
	}
}

// sink is a conn that keeps nothing.
type sink struct{}

func (sink) Send(...protocol.Message)  {}
func (sink) Queue(...protocol.Message) {}
func (sink) Flush()                    {}
func (sink) Close(int, string)         {}
