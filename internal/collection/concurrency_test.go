package collection

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

func TestConcurrency(t *testing.T) {
	t.Run("[R4][E5] 16 clients patch one record at once, and every patch has its effect once", func(t *testing.T) {
		const clients, each = 16, 20
		d := newDesk(t, openEngine(t, ""), map[string]Spec{"notes": {Schema: compileNotes(t)}})
		d.apply(put("c", 1, "r1", fields("content", "a", "timestampMs", 0)))
		var wg sync.WaitGroup
		for c := range clients {
			wg.Go(func() {
				client := fmt.Sprintf("c%02d", c)
				for n := uint64(1); n <= each; n++ {
					m := withVotes(patch(client, n, "r1", fields("timestampMs", n)), 1)
					m.At = at(int64(n) * 100)
					outcome, err := d.store.Apply(context.Background(), d.target, m, Author{Subject: client})
					if err != nil || outcome.Status != protocol.StatusApplied || outcome.Duplicate {
						t.Errorf("%s:%d: %+v %v", client, n, outcome, err)
						return
					}
				}
			})
		}
		wg.Wait()
		rec := d.record("r1")
		if rec.Counters["votes"] != clients*each || string(rec.Fields["timestampMs"]) != fmt.Sprint(each) {
			t.Errorf("record %+v", rec)
		}
		if want := stampAt(each*100, "c15"); rec.Stamps["timestampMs"] != want {
			t.Errorf("stamp %s, want %s", rec.Stamps["timestampMs"], want)
		}
	})
	t.Run("[R4][M1] zombie copies of one mutation are applied once and all get one outcome", func(t *testing.T) {
		const copies = 8
		d := openNotes(t)
		d.apply(put("c", 1, "r1", fields("content", "a")))
		for n := uint64(1); n <= 20; n++ {
			outcomes := make([]protocol.Outcome, copies)
			var wg sync.WaitGroup
			for i := range outcomes {
				wg.Go(func() {
					var err *protocol.Error
					m := withVotes(patch("z", n, "r1", fields("content", n)), 1)
					if outcomes[i], err = d.store.Apply(context.Background(), d.target, m, Author{Subject: "ada"}); err != nil {
						t.Errorf("copy %d of %d: %v", i, n, err)
					}
				})
			}
			wg.Wait()
			firsts := 0
			for _, got := range outcomes {
				if !got.Duplicate {
					firsts++
				}
				if got.Duplicate = true; got.Offset != n+1 || got.N != n || got.Status != protocol.StatusApplied {
					t.Errorf("outcome %+v", got)
				}
			}
			if firsts != 1 {
				t.Errorf("%d copies of %d were first", firsts, n)
			}
		}
		if rec := d.record("r1"); rec.Counters["votes"] != 20 || rec.Version != 21 {
			t.Errorf("record %+v", rec)
		}
	})
	t.Run("[M3][E5] of concurrent puts of one id one makes the record and the others see it", func(t *testing.T) {
		d := openNotes(t)
		statuses := make([]protocol.Status, 8)
		var wg sync.WaitGroup
		for i := range statuses {
			wg.Go(func() {
				outcome, err := d.store.Apply(context.Background(), d.target, put(fmt.Sprint("c", i), 1, "r1", fields("content", i)), Author{Subject: "ada"})
				if err != nil {
					t.Error(err)
				}
				statuses[i] = outcome.Status
			})
		}
		wg.Wait()
		count := map[protocol.Status]int{}
		for _, s := range statuses {
			count[s]++
		}
		if count[protocol.StatusApplied] != 1 || count[protocol.StatusExists] != len(statuses)-1 {
			t.Errorf("%v", count)
		}
	})
	t.Run("[M4] a decision is made anew when the record moves between reading and appending", func(t *testing.T) {
		fake := newFake()
		d := newDesk(t, fake, map[string]Spec{"notes": {}})
		d.apply(put("c1", 1, "r1", fields("content", "a")))
		fake.before = func(engine.Write) error {
			fake.before = nil
			d.apply(patch("c2", 1, "r1", fields("content", "b")))
			return nil
		}
		version := uint64(1)
		m := patch("c1", 2, "r1", fields("content", "c"))
		m.IfVersion = &version
		got := d.apply(m)
		wantStatus(t, got, protocol.StatusRejected, protocol.CodeVersionConflict)
		if got.State.Version != 2 {
			t.Errorf("state %+v", got.State)
		}
	})
	t.Run("who waits for a record's turn gives up with the context", func(t *testing.T) {
		g := newGate()
		leave, err := g.enter(context.Background(), "room", "r/notes/r1")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := g.enter(ctx, "room", "r/notes/r1"); err == nil {
			t.Error("entered twice")
		}
		leave()
	})
	t.Run("[R7] a record that nobody waits for any more leaves no turn behind", func(t *testing.T) {
		g := newGate()
		first, err := g.enter(context.Background(), "room", "r/notes/r1")
		if err != nil {
			t.Fatal(err)
		}
		other, err := g.enter(context.Background(), "room", "r/notes/r2") // another record waits for nobody
		if err != nil {
			t.Fatal(err)
		}
		first()
		other()
		if len(g.turns) != 0 {
			t.Errorf("%d turns are left", len(g.turns))
		}
	})
	t.Run("[M1] [E9] a node that has not heard of a client's last mutation asks before it refuses the next", func(t *testing.T) {
		fake := newFake()
		d := newDesk(t, fake, map[string]Spec{"notes": {}})
		d.apply(put("c1", 1, "r1", fields("content", "a")))
		d.apply(patch("c1", 2, "r1", fields("content", "b")))
		for _, upTo := range []uint64{0, 1} { // the client is unknown there, or 2 is due
			behind := newDesk(t, &laggard{fakeEngine: fake, upTo: upTo}, map[string]Spec{"notes": {}})
			behind.refuse("ada", patch("c1", 9, "r1", nil), protocol.CodeOutOfOrder)
			behind = newDesk(t, &laggard{fakeEngine: fake, upTo: upTo}, map[string]Spec{"notes": {}})
			m := patch("c1", 3, "r1", fields("content", fmt.Sprint("c", upTo)))
			m.N += upTo
			if got := behind.apply(m); got.Status != protocol.StatusApplied || got.Offset != 3+upTo {
				t.Errorf("from a node at %d: %+v", upTo, got)
			}
		}
	})
}

// laggard is a node that has heard of the log up to an offset, until somebody
// asks for its head.
type laggard struct {
	*fakeEngine
	upTo  uint64
	fresh bool
}

func (l *laggard) Head(ctx context.Context, channel string) (engine.Position, error) {
	l.fresh = true
	return l.fakeEngine.Head(ctx, channel)
}

func (l *laggard) Get(ctx context.Context, channel, key string) (engine.Value, error) {
	v, err := l.fakeEngine.Get(ctx, channel, key)
	if v.Version > l.upTo && !l.fresh {
		return engine.Value{Key: key}, err
	}
	return v, err
}
