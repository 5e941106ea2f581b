package hub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/embedded"
	"github.com/chorale-rt/chorale/internal/hub"
	"github.com/chorale-rt/chorale/internal/metrics"
	"github.com/chorale-rt/chorale/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var room = protocol.Channel{Name: "room", Private: true}

// sink shows what was flushed.
type sink struct {
	mu     sync.Mutex
	queued []protocol.Message
	frames []protocol.Message
}

func (s *sink) Queue(frames ...protocol.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queued = append(s.queued, frames...)
}

func (s *sink) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frames = append(s.frames, s.queued...)
	s.queued = nil
}

// offsets are those of the messages that were handed over, in order.
func (s *sink) offsets(t testing.TB) []uint64 {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []uint64
	for _, f := range s.frames {
		var parts [5]json.RawMessage
		var payload struct{ Meta struct{ Offset uint64 } }
		if err := json.Unmarshal(f.Payload(), &parts); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(parts[4], &payload); err != nil {
			t.Fatal(err)
		}
		out = append(out, payload.Meta.Offset)
	}
	return out
}

// pieces counts the frames of each piece that it would write.
type pieces struct {
	mu     sync.Mutex
	queued int
	sizes  []int
}

func (p *pieces) Queue(frames ...protocol.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queued += len(frames)
}

func (p *pieces) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queued
}

func (p *pieces) Flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queued > 0 {
		p.sizes = append(p.sizes, p.queued)
		p.queued = 0
	}
}

func open(t testing.TB) (*hub.Hub, engine.Engine) {
	t.Helper()
	eng, err := embedded.Open(embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = eng.Close() })
	return hub.New(eng, metrics.New()), eng
}

func say(t testing.TB, eng engine.Engine, origin string) {
	t.Helper()
	_, err := eng.Append(context.Background(), room.Log(), engine.Write{Kind: engine.KindMessage, Origin: origin, Data: []byte(`{"event":"e"}`)})
	if err != nil {
		t.Fatal(err)
	}
}

func join(t testing.TB, h *hub.Hub, s hub.Sink, o hub.Options) *hub.Member {
	t.Helper()
	o.Version = protocol.V2
	m, err := h.Join(context.Background(), room, s, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMembership(t *testing.T) {
	t.Run("[J1] nothing is handed over before GoLive, and then what is newer than the past", func(t *testing.T) {
		h, eng := open(t)
		s := &sink{}
		m := join(t, h, s, hub.Options{})
		defer m.Leave()
		for range 5 {
			say(t, eng, "")
		}
		if got := s.offsets(t); got != nil {
			t.Fatalf("early: %v", got)
		}
		if !m.GoLive(hub.Seen{Messages: 3}) {
			t.Fatal("overrun")
		}
		say(t, eng, "")
		if got := fmt.Sprint(s.offsets(t)); got != "[4 5 6]" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("[R3] what was read of the past is not handed over when its delivery comes late", func(t *testing.T) {
		h, eng := open(t)
		s := &sink{}
		m := join(t, h, s, hub.Options{})
		defer m.Leave()
		// Entries can be read as soon as they are committed, and delivered after.
		if !m.GoLive(hub.Seen{Messages: 3}) {
			t.Fatal("overrun")
		}
		for range 5 {
			say(t, eng, "")
		}
		if got := fmt.Sprint(s.offsets(t)); got != "[4 5]" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("[R7] a catch-up that takes too long is overrun instead of growing", func(t *testing.T) {
		h, eng := open(t)
		m := join(t, h, &sink{}, hub.Options{})
		defer m.Leave()
		for range 5000 {
			say(t, eng, "")
		}
		if m.GoLive(hub.Seen{}) {
			t.Error("not overrun")
		}
	})
	t.Run("[B5] self leaves out the own incarnation only", func(t *testing.T) {
		h, eng := open(t)
		own, other, self := &sink{}, &sink{}, &sink{}
		for _, j := range []struct {
			s *sink
			o hub.Options
		}{{own, hub.Options{Origin: "a"}}, {other, hub.Options{Origin: "b"}}, {self, hub.Options{Origin: "a", Self: true}}} {
			m := join(t, h, j.s, j.o)
			defer m.Leave()
			m.GoLive(hub.Seen{})
		}
		say(t, eng, "a")
		if own.offsets(t) != nil || len(other.offsets(t)) != 1 || len(self.offsets(t)) != 1 {
			t.Errorf("%v %v %v", own.offsets(t), other.offsets(t), self.offsets(t))
		}
	})
	t.Run("who left is handed nothing, and the last one out closes the channel", func(t *testing.T) {
		h, eng := open(t)
		gone, stays := &sink{}, &sink{}
		a, b := join(t, h, gone, hub.Options{}), join(t, h, stays, hub.Options{})
		a.GoLive(hub.Seen{})
		b.GoLive(hub.Seen{})
		a.Leave()
		a.Leave()
		say(t, eng, "")
		if gone.offsets(t) != nil || len(stays.offsets(t)) != 1 || h.Channels() != 1 {
			t.Errorf("%v %v %d", gone.offsets(t), stays.offsets(t), h.Channels())
		}
		b.Leave()
		if h.Channels() != 0 {
			t.Errorf("%d channels", h.Channels())
		}
		c := join(t, h, stays, hub.Options{})
		defer c.Leave()
		c.GoLive(hub.Seen{})
		say(t, eng, "")
		if got := fmt.Sprint(stays.offsets(t)); got != "[1 2]" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("[R1] all members see one order while others come and go", func(t *testing.T) {
		h, eng := open(t)
		stay := make([]*sink, 4)
		for i := range stay {
			stay[i] = &sink{}
			m := join(t, h, stay[i], hub.Options{})
			defer m.Leave()
			m.GoLive(hub.Seen{})
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 200 {
					say(t, eng, "")
				}
			})
			wg.Go(func() {
				for range 100 {
					m := join(t, h, &sink{}, hub.Options{})
					m.GoLive(hub.Seen{})
					m.Leave()
				}
			})
		}
		wg.Wait()
		for _, s := range stay {
			got := s.offsets(t)
			if len(got) != 800 {
				t.Fatalf("%d messages", len(got))
			}
			for i, offset := range got {
				if offset != uint64(i+1) {
					t.Fatalf("message %d is %d", i, offset)
				}
			}
		}
	})
}

// discard takes frames as a socket does, without keeping them.
type discard struct{ n int }

func (d *discard) Queue(frames ...protocol.Message) { d.n += len(frames) }
func (d *discard) Flush()                           {}

// BenchmarkFanOut is the price of one message to 1,000 members, sockets aside.
// Budget: no allocation per delivery.
func BenchmarkFanOut(b *testing.B) {
	h, eng := open(b)
	for range 1000 {
		m := join(b, h, &discard{}, hub.Options{})
		b.Cleanup(m.Leave)
		m.GoLive(hub.Seen{})
	}
	b.ReportAllocs()
	for b.Loop() {
		say(b, eng, "")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/delivery")
}

// slowly is a sink that takes as long to write as the test wants.
type slowly struct {
	pieces
	entered, leave chan struct{}
}

func (s *slowly) Flush() {
	s.entered <- struct{}{}
	<-s.leave
	s.pieces.Flush()
}

func TestFlush(t *testing.T) {
	t.Run("[J1] what was kept until GoLive is written by it", func(t *testing.T) {
		h, eng := open(t)
		s := &sink{}
		m := join(t, h, s, hub.Options{Self: true})
		defer m.Leave()
		say(t, eng, "x")
		m.GoLive(hub.Seen{})
		if got := fmt.Sprint(s.offsets(t)); got != "[1]" {
			t.Error(got)
		}
	})
	t.Run("[B3] what others write while a message is written to many goes into the writes that are still to be made", func(t *testing.T) {
		h, eng := open(t)
		first, last := &slowly{entered: make(chan struct{}), leave: make(chan struct{})}, &pieces{}
		for _, s := range []hub.Sink{first, last} {
			m := join(t, h, s, hub.Options{})
			defer m.Leave()
			m.GoLive(hub.Seen{})
		}
		var writers sync.WaitGroup
		writers.Go(func() { say(t, eng, "") })
		<-first.entered
		const others = 5
		for range others {
			writers.Go(func() { say(t, eng, "") })
		}
		for first.waiting() < 1+others {
			runtime.Gosched()
		}
		first.leave <- struct{}{}
		// One of those who have waited writes for all of them, to whom it is still due.
		<-first.entered
		first.leave <- struct{}{}
		writers.Wait()
		if got := fmt.Sprint(first.sizes, last.sizes); got != "[6] [6]" {
			t.Errorf("pieces of %s frames", got)
		}
	})
	t.Run("what a list of frames is handed over as is not changed by the next", func(t *testing.T) {
		h, eng := open(t)
		keep := &keeper{}
		m := join(t, h, keep, hub.Options{Self: true})
		defer m.Leave()
		m.GoLive(hub.Seen{})
		for range 2 {
			m.Hold()
			say(t, eng, "x")
			say(t, eng, "y")
			m.Release()
			hub.Flush(m)
		}
		if len(keep.lists) != 2 || fmt.Sprint(keep.copies) != fmt.Sprint(keep.lists) {
			t.Errorf("%d lists, changed since", len(keep.lists))
		}
	})
}

// keeper keeps the lists of frames that it is handed, as a sink may.
type keeper struct{ lists, copies [][]protocol.Message }

func (k *keeper) Queue(frames ...protocol.Message) {
	k.lists = append(k.lists, frames)
	k.copies = append(k.copies, slices.Clone(frames))
}

func (k *keeper) Flush() {}

func TestHold(t *testing.T) {
	t.Run("[R1] what happens during a hold is handed over at its release, in order", func(t *testing.T) {
		h, eng := open(t)
		s := &sink{}
		m := join(t, h, s, hub.Options{Self: true})
		m.GoLive(hub.Seen{})
		m.Hold()
		for range 3 {
			say(t, eng, "x")
		}
		if got := s.offsets(t); len(got) != 0 {
			t.Errorf("handed over during the hold: %v", got)
		}
		m.Release()
		hub.Flush(m)
		say(t, eng, "x")
		if got := fmt.Sprint(s.offsets(t)); got != "[1 2 3 4]" {
			t.Error(got)
		}
		m.Leave()
	})
	t.Run("[R1] what a member's own write does goes with the answer to it, in order, and nobody else waits", func(t *testing.T) {
		h, eng := open(t)
		own, other := &pieces{}, &pieces{}
		m := join(t, h, own, hub.Options{Origin: "ada", Self: true})
		n := join(t, h, other, hub.Options{Origin: "ben"})
		m.GoLive(hub.Seen{})
		n.GoLive(hub.Seen{})
		m.Expect()
		say(t, eng, "ben")
		say(t, eng, "ada")
		say(t, eng, "ben")
		if got := fmt.Sprint(own.sizes, other.sizes); got != "[1] [1]" {
			t.Errorf("before the answer: %s", got)
		}
		m.Answer(protocol.EncodeText(protocol.V2, "", "", "", "answer", []byte("{}")))
		say(t, eng, "ada")
		m.Expect()
		m.Answer()
		say(t, eng, "ada")
		if got := fmt.Sprint(own.sizes); got != "[1 3 1 1]" {
			t.Errorf("pieces of %s frames", got)
		}
		m.Leave()
		n.Leave()
	})
	t.Run("[B3] what a member's own write does comes before the answer to it, whoever holds the channel", func(t *testing.T) {
		h, eng := open(t)
		own, other := &pieces{}, &pieces{}
		ada, ben := join(t, h, own, hub.Options{Origin: "ada", Self: true}), join(t, h, other, hub.Options{})
		defer ada.Leave()
		defer ben.Leave()
		ada.GoLive(hub.Seen{})
		ben.GoLive(hub.Seen{})
		ben.Hold()
		say(t, eng, "cyd")
		ada.Expect()
		say(t, eng, "ada")
		ada.Answer(protocol.EncodeText(protocol.V2, "", "", "", "answer", []byte("{}")))
		if got := fmt.Sprint(own.sizes, other.sizes); got != "[3] []" {
			t.Errorf("pieces of %s frames", got)
		}
		ben.Release()
		hub.Flush(ben)
		if got := fmt.Sprint(own.sizes, other.sizes); got != "[3] [2]" {
			t.Errorf("behind the release, pieces of %s frames", got)
		}
	})
	t.Run("an answer to who gets nothing of its own leaves what waits for a hold in one piece", func(t *testing.T) {
		h, eng := open(t)
		s := &pieces{}
		ada, ben := join(t, h, &discard{}, hub.Options{Origin: "ada"}), join(t, h, s, hub.Options{})
		defer ada.Leave()
		defer ben.Leave()
		ada.GoLive(hub.Seen{})
		ben.GoLive(hub.Seen{})
		ben.Hold()
		for range 2 {
			ada.Expect()
			say(t, eng, "ada")
			ada.Answer()
		}
		if got := s.waiting(); got != 0 {
			t.Errorf("%d are handed over", got)
		}
		ben.Release()
		hub.Flush(ben)
		if got := fmt.Sprint(s.sizes); got != "[2]" {
			t.Errorf("pieces of %s frames", got)
		}
	})
	t.Run("nothing waits for longer than the first of two holds", func(t *testing.T) {
		h, eng := open(t)
		s := &sink{}
		m := join(t, h, s, hub.Options{Self: true})
		m.GoLive(hub.Seen{})
		m.Hold()
		m.Hold()
		say(t, eng, "x")
		m.Release()
		hub.Flush(m)
		if got := fmt.Sprint(s.offsets(t)); got != "[1]" {
			t.Error(got)
		}
		m.Release()
		hub.Flush(m)
		m.Leave()
	})
}
