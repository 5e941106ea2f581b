package session_test

import (
	"cmp"
	"context"
	"testing"

	"github.com/chorale-rt/chorale/internal/engine"
)

// late is an engine that is still putting a lease when the session ends. It puts
// it also for a caller who gave up waiting, as engines may.
type late struct {
	engine.Engine
	end func()
}

func (l *late) PutLease(ctx context.Context, channel, holder string, value []byte) error {
	go l.end()
	if ctx.Done() != nil {
		<-ctx.Done()
	}
	err := l.Engine.PutLease(context.WithoutCancel(ctx), channel, holder, value)
	return cmp.Or(ctx.Err(), err)
}

func TestPresenceAtTheEnd(t *testing.T) {
	t.Run("[P3] a session that ends while its track is under way leaves nobody behind", func(t *testing.T) {
		w := newWorld(t)
		l := &late{Engine: w.deps.Engine}
		w.deps.Engine = l
		a, ben := w.connect("ada"), w.connect("ben")
		ended := make(chan struct{})
		l.end = func() {
			a.Session.Close()
			close(ended)
		}
		a.join("realtime:x", plain)
		ben.join("realtime:x", `{}`)
		ben.want("presence_state")
		a.push("1", "realtime:x", "presence", `{"type":"presence","event":"track","payload":{}}`)
		<-ended
		ben.want("presence_diff") // came
		if left := ben.want("presence_diff")["leaves"]; len(left.(map[string]any)) != 1 {
			t.Errorf("who left: %v", left)
		}
		ben.quiet()
	})
}
