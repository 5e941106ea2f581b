package session_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

// blocked is an engine whose appends to one channel wait until it is freed, as they do
// while a cluster elects who leads.
type blocked struct {
	engine.Engine
	channel string
	entered chan struct{}
	free    chan struct{}
	release func() // closes free
}

func (b *blocked) Append(ctx context.Context, channel string, w engine.Write) (engine.Receipt, error) {
	if channel == b.channel {
		b.entered <- struct{}{}
		<-b.free
	}
	return b.Engine.Append(ctx, channel, w)
}

// block makes what is appended to a public channel wait.
func (w *world) block(name string) *blocked {
	b := &blocked{
		Engine: w.engine.Engine, channel: protocol.Channel{Name: name}.Log(), entered: make(chan struct{}), free: make(chan struct{}),
	}
	b.release = sync.OnceFunc(func() { close(b.free) })
	w.t.Cleanup(b.release) // before the sessions are closed, which wait
	w.engine.Engine = b
	return b
}

func TestAdministration(t *testing.T) {
	// Sessions are found in no order: of so many some come behind the busy one.
	const others = 30
	for name, act := range map[string]func(*session.Registry){
		"a revocation": func(r *session.Registry) {
			r.Recheck(func(*auth.Identity) error { return &auth.TokenError{Code: auth.CodeTokenRevoked, Message: "revoked"} })
		},
		"who disconnects a sub": func(r *session.Registry) {
			if n := r.DisconnectSubject("ada"); n != 1+others {
				t.Errorf("%d connections of %d", n, 1+others)
			}
		},
	} {
		t.Run(name+" does not wait for one session before the next", func(t *testing.T) {
			w := newWorld(t)
			w.deps.Registry = session.NewRegistry()
			gate := w.block("busy")
			busy := w.connect("ada")
			busy.join("realtime:busy", plain)
			var all sync.WaitGroup
			defer all.Wait()
			all.Go(func() { busy.push("1", "realtime:busy", "broadcast", message("x")) })
			<-gate.entered
			var idle []*client
			for range others {
				idle = append(idle, w.connect("ada"))
			}
			all.Go(func() { act(w.deps.Registry) })
			for i, c := range idle {
				select {
				case <-c.closes:
				case <-time.After(10 * time.Second):
					gate.release()
					t.Fatalf("%d of %d are closed", i, others)
				}
			}
			gate.release()
			<-busy.closes
		})
	}
}
