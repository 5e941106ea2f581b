package collection

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/linear"
	"github.com/chorale-rt/chorale/protocol"
)

// writer is one client that writes and reads records while others do, and notes
// what it asked and was answered.
type writer struct {
	d       *desk
	history *linear.Recorder
	rng     *rand.Rand
	client  string
	n       uint64
	seen    map[string]uint64 // versions, by record
}

func (w *writer) step(t *testing.T) {
	id := fmt.Sprint("r", w.rng.IntN(2))
	if w.rng.IntN(5) == 0 {
		w.read(t, id)
		return
	}
	w.n++
	m := patch(w.client, w.n, id, fields("content", w.n))
	switch w.rng.IntN(6) {
	case 0:
		m.Op = protocol.OpPut
	case 1:
		m.Op, m.Fields = protocol.OpDelete, nil
	case 2:
		m.Op = protocol.OpRestore
	}
	if w.rng.IntN(4) > 0 {
		version := w.seen[id]
		m.IfVersion = &version
	}
	call := w.history.Now()
	outcome, fault := w.d.store.Apply(context.Background(), w.d.target, m, Author{Subject: "ada"})
	if fault != nil {
		t.Errorf("%s:%d: %v", w.client, w.n, fault)
		return
	}
	w.history.Add(linear.Mutated(m, call, outcome))
	switch {
	case outcome.Status == protocol.StatusApplied:
		w.seen[id] = outcome.Offset
	case outcome.State != nil:
		w.seen[id] = outcome.State.Version
	}
}

func (w *writer) read(t *testing.T, id string) {
	call := w.history.Now()
	rec, err := w.d.store.loadRecord(context.Background(), w.d.target.Channel, recordPrefix("notes")+id)
	if err != nil {
		t.Error(err)
		return
	}
	w.seen[id] = versionOf(rec)
	w.history.Add(linear.Operation{Record: id, Call: call, Read: true, Current: versionOf(rec)})
}

func TestLinearizability(t *testing.T) {
	t.Run("[E5] [M4] what many clients write and read at once has a linearization", func(t *testing.T) {
		const writers, each = 8, 60
		var history linear.Recorder
		d := openNotes(t)
		var wg sync.WaitGroup
		for i := range writers {
			w := &writer{d: d, history: &history, rng: rand.New(rand.NewPCG(uint64(i), 0)), client: fmt.Sprint("c", i), seen: map[string]uint64{}}
			wg.Go(func() {
				for range each {
					w.step(t)
				}
			})
		}
		wg.Wait()
		if err := linear.Check(history.Operations()); err != nil {
			t.Error(err)
		}
	})
	t.Run("[E5] [M4] an engine that does not look at conditions is found out", func(t *testing.T) {
		var history linear.Recorder
		fake := newFake()
		d := newDesk(t, careless{fake}, map[string]Spec{"notes": {}})
		base := uint64(1)
		write := func(client string) {
			m := patch(client, 1, "r1", fields("content", client))
			m.IfVersion = &base
			call := history.Now()
			history.Add(linear.Mutated(m, call, d.apply(m)))
		}
		call, first := history.Now(), put("a", 1, "r1", fields("content", "a"))
		history.Add(linear.Mutated(first, call, d.apply(first)))
		fake.before = func(engine.Write) error { // another client, between reading and appending
			fake.before = nil
			write("b")
			return nil
		}
		write("c")
		if linear.Check(history.Operations()) == nil {
			t.Error("a lost update passes as linearizable")
		}
	})
}

// careless is an engine that appends whatever the conditions say.
type careless struct{ *fakeEngine }

func (c careless) Append(ctx context.Context, channel string, w engine.Write) (engine.Receipt, error) {
	w.If = nil
	return c.fakeEngine.Append(ctx, channel, w)
}
