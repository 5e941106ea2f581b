package limit

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is moved by the test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_764_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestLimiter(t *testing.T) {
	t.Run("a session is held to its own rate, and what it waits for is said", func(t *testing.T) {
		c := newClock()
		l := New(Settings{Messages: Rate{10, 3}}, c.Now)
		var s Sender
		for range 3 {
			if x := l.Push(&s, l.plain, &Member{}, 100); x.Over() {
				t.Fatal(x)
			}
		}
		x := l.Push(&s, l.plain, &Member{}, 100)
		if x.Limit != Messages || x.RetryAfterMs() != 100 || x.Sentence() != "Too many messages per second from this connection: 10 a second are allowed, and 3 at once" {
			t.Errorf("got %+v: %s", x, x.Sentence())
		}
		c.pass(100 * time.Millisecond)
		if x := l.Push(&s, nil, nil, 100); x.Over() {
			t.Error("waited, and still refused", x)
		}
	})
	t.Run("bytes are counted beside messages, and the longer wait is the one that is told", func(t *testing.T) {
		l := New(Settings{Messages: Rate{1, 1}, Bytes: Rate{1000, 1000}}, newClock().Now)
		var s Sender
		l.Push(&s, nil, nil, 3500)
		if x := l.Push(&s, nil, nil, 1000); x.Limit != Bytes || x.RetryAfterMs() != 3500 {
			t.Errorf("got %+v", x)
		}
	})
	t.Run("a rule's rate counts for its channel alone, beside the session's", func(t *testing.T) {
		l := New(Settings{Messages: Rate{10, 2}}, newClock().Now)
		fast := l.Channel(Override{MessagesPerSecond: 100})
		var s Sender
		var m Member
		for i := range 20 { // the burst is in proportion: a fifth of a second
			if x := l.Push(&s, fast, &m, 1); x.Over() {
				t.Fatal(i, x)
			}
		}
		if x := l.Push(&s, fast, &m, 1); x.RetryAfterMs() != 10 {
			t.Errorf("got %+v", x)
		}
		if x := l.Push(&s, l.plain, &Member{}, 1); x.Over() {
			t.Error("what was pushed there counted here too", x)
		}
	})
	t.Run("all senders of a channel share its rate, and other channels have theirs", func(t *testing.T) {
		l := New(Settings{ChannelMessages: Rate{10, 5}}, newClock().Now)
		for range 5 {
			if x := l.Publish(l.plain, "o:a", 1, 1); x.Over() {
				t.Fatal(x)
			}
		}
		if x := l.Publish(l.plain, "o:a", 1, 1); x.Limit != ChannelMessages {
			t.Errorf("got %+v", x)
		}
		if x := l.Publish(l.plain, "o:b", 5, 1); x.Over() {
			t.Error(x)
		}
	})
	t.Run("a telling comes once a second", func(t *testing.T) {
		c := newClock()
		l := New(Settings{}, c.Now)
		var s Sender
		told := 0
		for range 100 {
			if l.Notice(&s) {
				told++
			}
			c.pass(50 * time.Millisecond)
		}
		if told != 5 {
			t.Errorf("told %d times in 5 s", told)
		}
	})
	t.Run("channels at rest are forgotten, busy ones are not", func(t *testing.T) {
		c := newClock()
		l := New(Settings{}, c.Now)
		for i := range 100_000 {
			l.Publish(l.plain, fmt.Sprintf("o:%d", i), 1, 100)
			c.pass(time.Millisecond)
		}
		if n := l.channels.len(); n > shards*(sweepFrom+1)*2 {
			t.Errorf("%d meters are kept", n)
		}
		l = New(Settings{ChannelMessages: Rate{1, 100}}, c.Now)
		for i := range 10_000 {
			l.Publish(l.plain, fmt.Sprintf("o:%d", i), 100, 1)
		}
		if n := l.channels.len(); n != 10_000 {
			t.Errorf("%d of 10,000 busy channels are kept", n)
		}
	})
	t.Run("a clock that is set back delays nobody", func(t *testing.T) {
		// time.Now carries a monotonic reading, which Sub prefers to the wall clock.
		l := New(Settings{Messages: Rate{1000, 1}}, time.Now)
		before := l.Now()
		if after := l.Now(); after < before {
			t.Errorf("went from %d to %d", before, after)
		}
	})
	t.Run("nothing is refused without limits", func(t *testing.T) {
		l := New(Unlimited(), newClock().Now)
		var s Sender
		for range 100_000 {
			if l.Push(&s, l.plain, &Member{}, 1<<20).Over() || l.Publish(l.plain, "o:a", 1, 1<<20).Over() || l.Join(&s).Over() || l.Call("ada", 1000).Over() {
				t.Fatal("refused")
			}
		}
		if n := l.channels.len() + l.callers.len(); n != 0 {
			t.Errorf("%d meters are kept for nothing", n)
		}
	})
	t.Run("every limit that is answered has a sentence of its own", func(t *testing.T) {
		seen := map[string]Name{}
		for _, name := range Names() {
			if name == Presence || name == Frame {
				continue
			}
			s := Excess{Limit: name}.Sentence()
			if other, twice := seen[s]; twice || s == "" {
				t.Errorf("%s and %s say %q", name, other, s)
			}
			seen[s] = name
		}
	})
}

func TestSettings(t *testing.T) {
	t.Run("the defaults are valid, and so are none", func(t *testing.T) {
		for _, s := range []Settings{Defaults(), Unlimited(), Settings{}.WithDefaults()} {
			if err := s.Validate(); err != nil {
				t.Error(err)
			}
		}
		if (Settings{}).WithDefaults() != Defaults() {
			t.Error("zero settings are not the defaults")
		}
		if Unlimited().WithDefaults() != Unlimited() {
			t.Error("no limit became a default")
		}
	})
	t.Run("a rate without a burst gets one in proportion", func(t *testing.T) {
		if got := (Settings{Messages: Rate{PerSecond: 20}}).WithDefaults().Messages; got != (Rate{20, 200}) {
			t.Error(got)
		}
	})
	t.Run("what cannot be is refused with its name", func(t *testing.T) {
		for want, s := range map[string]Settings{
			"frame":    {FrameBytes: 1000},
			"payload":  {PayloadBytes: -1},
			"messages": {Messages: Rate{maxPerSecond + 1, 1}},
		} {
			if err := s.WithDefaults().Validate(); err == nil || !strings.HasPrefix(err.Error(), want+": ") {
				t.Errorf("%s: %v", want, err)
			}
		}
	})
}

func TestText(t *testing.T) {
	for text, want := range map[string]Rate{
		"200:400": {200, 400}, "200": {200, 0}, "off": {-1, 0}, "1MB:8MB": {1_000_000, 8_000_000}, "1KiB:1MiB": {1024, 1 << 20},
	} {
		var r Rate
		if err := r.UnmarshalText([]byte(text)); err != nil || r != want {
			t.Errorf("%s: got %+v, %v", text, r, err)
		}
	}
	for _, text := range []string{"", ":", "200:", "0", "-1", "200:0", "1GB", "200:400:600", "9999999999", "2 00", "1M"} {
		var r Rate
		if err := r.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %+v", text, r)
		}
	}
	for text, want := range map[string]Size{"5000000": 5_000_000, "3MiB": 3 << 20} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s: got %d, %v", text, s, err)
		}
	}
	if err := new(Size).UnmarshalText([]byte("much")); err == nil {
		t.Error("much was read as a size")
	}
}

func FuzzRate(f *testing.F) {
	for _, seed := range []string{"200:400", "1MB:8MB", "off", "200", ":", "KiB:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var r, again Rate
		if r.UnmarshalText([]byte(text)) != nil || r.Burst == 0 {
			return
		}
		if r.PerSecond > maxPerSecond || r.Burst > maxPerSecond || r.PerSecond == 0 {
			t.Fatalf("%q was read as %+v", text, r)
		}
		if err := again.UnmarshalText([]byte(r.String())); err != nil || again != r {
			t.Fatalf("%q became %+v, and %q became %+v, %v", text, r, r, again, err)
		}
	})
}

func TestAllocations(t *testing.T) {
	l := New(Settings{}, time.Now)
	var s Sender
	var m Member
	c := l.Channel(Override{MessagesPerSecond: 1000, PresencePerSecond: 100})
	log := "o:room"
	l.Publish(c, log, 1, 100) // the channel's meter is there
	if n := testing.AllocsPerRun(1000, func() {
		l.Push(&s, l.plain, &m, 100)
		l.Push(&s, c, &m, 100)
		l.Publish(c, log, 1, 100)
		l.Track(c, &m)
		l.Notice(&s)
	}); n != 0 {
		t.Errorf("%v allocations per message, the budget is 0", n)
	}
}

func BenchmarkPush(b *testing.B) {
	l := New(Settings{}, time.Now)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var s Sender
		for pb.Next() {
			l.Push(&s, l.plain, nil, 300)
			l.Publish(l.plain, "o:room", 1, 300)
		}
	})
}
