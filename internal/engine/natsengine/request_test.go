package natsengine

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func TestRequest(t *testing.T) {
	s := startServer(t)
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	// leader answers on a subject from the nth request on, as a new one does when
	// the one before has stepped down. It returns how many it was sent.
	leader := func(t *testing.T, subject, answer string, nth int64) *atomic.Int64 {
		t.Helper()
		var asked atomic.Int64
		sub, err := nc.Subscribe(subject, func(msg *nats.Msg) {
			if asked.Add(1) >= nth {
				_ = msg.Respond([]byte(answer)) // the test fails without it
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sub.Unsubscribe() })
		return &asked
	}

	t.Run("what a leader that steps down did not answer is asked again, before it counts as failed", func(t *testing.T) {
		st := &store{nc: nc, parts: make([]part, 1)}
		asked := leader(t, "silent", `{"seq":7}`, 2)
		seq, err := st.publish(t.Context(), 0, nats.NewMsg("silent"))
		if err != nil || seq != 7 {
			t.Errorf("stored at %d (%v)", seq, err)
		}
		if asked.Load() < 2 {
			t.Errorf("it was asked %d times", asked.Load())
		}
	})

	t.Run("[E4] a refusal of a repeat says that the first may have been stored", func(t *testing.T) {
		st := &store{nc: nc, parts: make([]part, 1)}
		moved := `{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 7"}}`
		leader(t, "lost", moved, 2)
		if _, err := st.publish(t.Context(), 0, nats.NewMsg("lost")); !errors.Is(err, errMoved) || !errors.Is(err, errUnsure) {
			t.Errorf("got %v", err)
		}
		leader(t, "plain", moved, 1)
		if _, err := st.publish(t.Context(), 0, nats.NewMsg("plain")); !errors.Is(err, errMoved) || errors.Is(err, errUnsure) {
			t.Errorf("got %v", err)
		}
	})

	t.Run("what is never answered fails after a few requests", func(t *testing.T) {
		st := &store{nc: nc, parts: make([]part, 1)}
		asked := leader(t, "dead", "", 1<<40)
		if _, err := st.publish(t.Context(), 0, nats.NewMsg("dead")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if n := asked.Load(); n < 2 || n > 5 {
			t.Errorf("it was asked %d times", n)
		}
	})

	t.Run("a server that is slow is waited for longer", func(t *testing.T) {
		var p part
		quick := p.patience()
		for range 50 {
			p.answered(300 * time.Millisecond)
		}
		if p.patience() < quick+time.Second {
			t.Errorf("%v, and %v when answers take 300 ms", quick, p.patience())
		}
	})

	t.Run("what cannot be stored is not tried again", func(t *testing.T) {
		st := &store{nc: nc, parts: make([]part, 1)}
		asked := leader(t, "large", `{"seq":1}`, 1)
		msg := nats.NewMsg("large")
		msg.Data = []byte(strings.Repeat("x", int(nc.MaxPayload())+1))
		if _, err := st.publish(t.Context(), 0, msg); !errors.Is(err, errRefused) || asked.Load() != 0 {
			t.Errorf("got %v after %d requests", err, asked.Load())
		}
	})
}
