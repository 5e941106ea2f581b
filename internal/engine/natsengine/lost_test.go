package natsengine

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/chorale-rt/chorale/internal/engine"
)

// wire is a way to a NATS server on which what either side says can get lost.
type wire struct {
	server string
	listen net.Listener
	ended  sync.WaitGroup

	mu         sync.Mutex
	conns      []net.Conn
	toServer   bool // whether it gets through
	fromServer bool
	stalled    bool // nothing is even taken from either side
	moves      sync.Cond
	lostTo     int // bytes that did not
	lostFrom   int
}

func newWire(t *testing.T, s *server.Server) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{server: strings.TrimPrefix(s.ClientURL(), "nats://"), listen: l, toServer: true, fromServer: true}
	w.moves.L = &w.mu
	w.ended.Go(w.accept)
	t.Cleanup(func() {
		_ = l.Close()
		w.cut()
		w.ended.Wait()
	})
	return w
}

func (w *wire) accept() {
	for {
		client, err := w.listen.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", w.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, client, s)
		w.mu.Unlock()
		w.ended.Go(func() { w.carry(s, client, &w.toServer, &w.lostTo) })
		w.ended.Go(func() { w.carry(client, s, &w.fromServer, &w.lostFrom) })
	}
}

// carry copies what gets through until one side is closed.
func (w *wire) carry(to io.WriteCloser, from io.ReadCloser, through *bool, lost *int) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		w.mu.Lock()
		for w.stalled {
			w.moves.Wait()
		}
		open := *through
		if !open {
			*lost += n
		}
		w.mu.Unlock()
		if open {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
}

// lose lets nothing through from the server any more, or in either direction.
func (w *wire) lose(both bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.toServer, w.fromServer = !both, false
}

// lost says whether anything was meant for the server and did not get there.
func (w *wire) lost() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lostTo > 0
}

// stall takes nothing from either side any more, as a host that has lost its power.
func (w *wire) stall() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stalled = true
}

// cut ends all connections. Those that are made afterwards lose nothing.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns, w.toServer, w.fromServer, w.stalled = nil, true, true, false
	w.moves.Broadcast()
}

// overWire opens two nodes of one installation, the second over a wire, with a watcher
// on it.
func overWire(t *testing.T, s *server.Server) (a, b *Engine, w *wire, seen *observer) {
	t.Helper()
	o := still
	o.Prefix, o.Patience = unusedPrefix(), patience
	a = open(t, s, o)
	t.Cleanup(func() { mustClose(t, a) })
	w = newWire(t, s)
	o.Servers = []string{"nats://" + w.listen.Addr().String()}
	b = open(t, s, o)
	t.Cleanup(func() { mustClose(t, b) })
	mustAppend(t, a, text("first"))
	seen = observe(t, b)
	return a, b, w, seen
}

// replace appends so much, with a retention, that all that was in the log before is in a
// base only.
func replace(t *testing.T, e *Engine, r engine.Retention) string {
	t.Helper()
	m := text("%s", strings.Repeat("x", 500_000))
	m.Retention = r
	mustAppend(t, e, m)
	eventually(t, "the log is a base", func() bool {
		c := inMemory(e)
		c.shard.mu.Lock()
		defer c.shard.mu.Unlock()
		return c.size.base > 0 && !c.pumping
	})
	if n := inStream(t, e); n != 1 {
		t.Fatalf("%d messages are in the stream", n)
	}
	return string(m.Data)
}

// everything is what the room's log keeps, as a node reads it.
func everything(t *testing.T, e *Engine) []string {
	t.Helper()
	if _, err := e.Head(t.Context(), room); err != nil {
		t.Fatal(err)
	}
	entries, err := e.Since(t.Context(), room, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, en := range entries {
		out = append(out, string(en.Data))
	}
	return out
}

// outcome is what an append came to.
type outcome struct {
	engine.Receipt
	err error
}

func begin(t *testing.T, e *Engine, w engine.Write) <-chan outcome {
	t.Helper()
	ended := make(chan outcome, 1)
	go func() {
		r, err := e.Append(t.Context(), room, w)
		ended <- outcome{r, err}
	}()
	return ended
}

// What is on its way when its answer gets lost, and others compact the log past it.
// A host that has lost its power answers nothing, and takes nothing either: what is sent
// to it fills the kernel's buffers, and whoever sends more would wait.
func TestStall(t *testing.T) {
	s := startServer(t)
	_, b, w, _ := overWire(t, s)
	w.stall()
	isGone := make(chan struct{})
	go func() {
		defer close(isGone)
		for large := make([]byte, 256<<10); b.Healthy() == nil; {
			_ = b.Send(t.Context(), room, engine.Entry{Kind: engine.KindMessage, Data: large}) // it may get lost
		}
	}()
	select {
	case <-isGone:
	case <-time.After(patience):
		t.Error("nobody notices that the server is gone")
	}
	w.cut()
	eventually(t, "the node is there again", func() bool { return b.Healthy() == nil })
	mustAppend(t, b, text("behind"))
}

func TestLostAnswer(t *testing.T) {
	s := startServer(t)
	long, short := text("").Retention, engine.Retention{Messages: 1}

	// losing lets b append while no answer reaches it, and a compact the log then.
	losing := func(t *testing.T, a, b *Engine, w *wire, m engine.Write, r engine.Retention) (<-chan outcome, string) {
		t.Helper()
		w.lose(false)
		ended := begin(t, b, m)
		eventually(t, "it is stored", func() bool {
			head, err := a.Head(t.Context(), room)
			return err == nil && head.Offset == 2
		})
		behind := replace(t, a, r)
		w.cut()
		return ended, behind
	}

	t.Run("[E3] [E4] it is stored once, and acknowledged where it is", func(t *testing.T) {
		a, b, w, seen := overWire(t, s)
		ended, behind := losing(t, a, b, w, text("once"), long)
		if got := <-ended; got.err != nil || got.Position.Offset != 2 || got.Duplicate {
			t.Errorf("append: %+v", got)
		}
		want := []string{"first", "once", behind}
		if got := everything(t, a); !slices.Equal(got, want) {
			t.Errorf("the log has %d entries, want %d", len(got), len(want))
		}
		mustAppend(t, b, text("next"))
		if got := seen.seen(); !slices.Equal(got, []string{"once", behind, "next"}) || len(seen.reset()) > 0 {
			t.Errorf("the watcher saw %d entries, resets %v", len(got), seen.reset())
		}
	})

	t.Run("[E5] it does not conflict with itself", func(t *testing.T) {
		a, b, w, _ := overWire(t, s)
		set := text("set")
		set.Puts, set.If = []engine.Put{{Key: "k", Data: []byte("v")}}, []engine.Condition{{Key: "k"}}
		ended, _ := losing(t, a, b, w, set, long)
		if got := <-ended; got.err != nil || got.Position.Offset != 2 {
			t.Errorf("append: %+v", got)
		}
		if v, err := b.Get(t.Context(), room, "k"); err != nil || v.Version != 2 {
			t.Errorf("the key is %+v (%v)", v, err)
		}
	})

	t.Run("[E8] when retention has dropped it nobody knows, and it is not stored again", func(t *testing.T) {
		a, b, w, _ := overWire(t, s)
		ended, behind := losing(t, a, b, w, text("once"), short)
		if got := <-ended; !errors.Is(got.err, engine.ErrUnavailable) {
			t.Errorf("append: %+v", got)
		}
		if got := everything(t, a); !slices.Equal(got, []string{behind}) {
			t.Errorf("the log has %d entries, want 1", len(got))
		}
		mustAppend(t, b, text("next"))
	})

	t.Run("[E6] unless it is to be kept for longer", func(t *testing.T) {
		a, b, w, _ := overWire(t, s)
		m := text("once")
		m.Keep = time.Hour
		ended, behind := losing(t, a, b, w, m, short)
		if got := <-ended; got.err != nil || got.Position.Offset != 2 {
			t.Errorf("append: %+v", got)
		}
		if got := everything(t, a); !slices.Equal(got, []string{"once", behind}) {
			t.Errorf("the log has %d entries, want 2", len(got))
		}
	})

	t.Run("what did not get there is stored behind what took its place", func(t *testing.T) {
		a, b, w, seen := overWire(t, s)
		w.lose(true)
		ended := begin(t, b, text("late"))
		eventually(t, "it is lost", w.lost)
		mustAppend(t, a, text("other"))
		behind := replace(t, a, long)
		w.cut()
		if got := <-ended; got.err != nil || got.Position.Offset != 4 {
			t.Errorf("append: %+v", got)
		}
		if got := everything(t, a); !slices.Equal(got, []string{"first", "other", behind, "late"}) {
			t.Errorf("the log has %d entries, want 4", len(got))
		}
		if got := seen.seen(); !slices.Equal(got, []string{"other", behind, "late"}) {
			t.Errorf("the watcher saw %d entries", len(got))
		}
	})

	t.Run("what was refused for sure is stored, whatever retention has dropped", func(t *testing.T) {
		a, b := pair(t, s, still)
		mustAppend(t, a, text("first"))
		observe(t, b)
		deafen(t, b)
		mustAppend(t, a, text("dropped"))
		replace(t, a, short)
		if at := mustAppend(t, b, text("late")); at.Offset != 4 {
			t.Errorf("stored at %v", at)
		}
		if got := everything(t, a); !slices.Contains(got, "late") {
			t.Error("it is not stored")
		}
	})
}
