package client_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/chorale-rt/chorale/client"
	"github.com/chorale-rt/chorale/protocol"
)

// A wire is what a test cuts: it remembers the connections of one client.
type wire struct {
	mu    sync.Mutex
	conns []net.Conn
	gate  sync.RWMutex // held: nothing is written
}

// gated is a connection of a wire.
type gated struct {
	net.Conn
	gate *sync.RWMutex
}

func (g gated) Write(p []byte) (int, error) {
	g.gate.RLock()
	defer g.gate.RUnlock()
	return g.Conn.Write(p)
}

func (w *wire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		w.mu.Lock()
		w.conns = append(w.conns, conn)
		w.mu.Unlock()
		return gated{conn, &w.gate}, nil
	}
	return nil, err
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		_ = conn.Close()
	}
	w.conns = nil
}

func (w *world) dialOver(sub string, over *wire) *client.Client {
	w.t.Helper()
	c, err := client.Dial(within(w.t), w.url, &client.Options{Token: tokensOf(sub), DialContext: over.dial})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	return c
}

func TestDial(t *testing.T) {
	w := newWorld(t)
	t.Run("an address that is none, and options that cannot be used, are said at once", func(t *testing.T) {
		good := &client.Options{Token: tokensOf("ada")}
		for _, c := range []struct {
			address string
			o       *client.Options
		}{{"127.0.0.1:4000", good}, {"http://", good}, {"http://h", nil}, {"http://h", &client.Options{Token: tokensOf("a"), BufferItems: -1}}, {"http://h", &client.Options{Token: tokensOf("a"), Nodes: []string{"h2"}}}} {
			if _, err := client.Dial(within(t), c.address, c.o); err == nil {
				t.Errorf("%q with %+v was taken", c.address, c.o)
			}
		}
	})
	t.Run("[R7] a token that the server refuses fails, and says so", func(t *testing.T) {
		_, err := client.Dial(within(t), w.url, &client.Options{Token: client.StaticToken("nonsense")})
		if !errors.Is(err, &client.Error{Code: "close_4101"}) {
			t.Errorf("%v", err)
		}
	})
	t.Run("a server that is not there is waited for as long as the context says", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := client.Dial(ctx, "http://127.0.0.1:1", &client.Options{Token: tokensOf("ada")}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
	t.Run("who is lost by one node goes to the next, and after the last to the first", func(t *testing.T) {
		one, two := newWorld(t), newWorld(t)
		c, err := client.Dial(within(t), one.url, &client.Options{Token: tokensOf("ada"), Nodes: []string{two.url}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		// Each node of this test has a log of its own, which tells them apart.
		notes := join(t, c, "interview:1", nil).Collection("notes")
		settle(t)(notes.Put("n1", map[string]any{"content": "one"}))
		is := func(ids ...string) {
			t.Helper()
			for s := range notes.Watch(within(t)) {
				if len(s.Records) == len(ids) && (len(ids) == 0 || s.Records[0].ID == ids[0]) {
					return
				}
			}
			t.Fatalf("%v are not shown: %+v, %+v", ids, notes.Snapshot(), c.Status())
		}
		is("n1")
		one.stop()
		is()
		if h, err := notes.History(within(t), "n1", 0); !errors.Is(err, &client.Error{Code: protocol.CodeRecordUnknown}) {
			t.Errorf("the other node is asked for a history: %+v, %v", h, err)
		}
		one.start()
		two.stop()
		is("n1")
		if n := c.Stats().Connects; n != 3 {
			t.Errorf("connected %d times", n)
		}
	})
	t.Run("paths of proxies are kept, and those of other clients understood", func(t *testing.T) {
		for _, address := range []string{w.url + "/", "ws://" + w.addr + "/socket", "ws://" + w.addr + "/socket/websocket"} {
			c, err := client.Dial(within(t), address, &client.Options{Token: tokensOf("ada")})
			if err != nil {
				t.Errorf("%s: %v", address, err)
				continue
			}
			c.Close()
		}
	})
}

func TestMessages(t *testing.T) {
	w := newWorld(t)
	ada, ben := w.dial("ada"), w.dial("ben")

	t.Run("[R1][B1][B3] members get what is published, in order, with its place", func(t *testing.T) {
		adas, bens := join(t, ada, "room:1", nil), join(t, ben, "room:1", nil)
		all, some, own := bens.Subscribe(), bens.Subscribe("odd"), adas.Subscribe()
		for i := range 10 {
			r, err := adas.Publish(within(t), []string{"even", "odd"}[i%2], map[string]int{"i": i})
			if err != nil {
				t.Fatal(err)
			}
			m, err := all.Next(within(t))
			if err != nil || m.ID != r.ID || m.Position() != r.Position || string(m.Payload) != fmt.Sprintf(`{"i":%d}`, i) {
				t.Fatalf("%+v, %v; published as %+v", m, err, r)
			}
			if i%2 == 1 {
				var body struct{ I int }
				if m, err := some.Next(within(t)); err != nil || m.Decode(&body) != nil || body.I != i {
					t.Fatalf("%+v, %v", m, err)
				}
			}
		}
		if r, err := bens.Publish(within(t), "end", nil); err != nil || r.Position.Epoch != bens.Status().Position.Epoch {
			t.Fatalf("%+v, %v", r, err)
		}
		if m, err := own.Next(within(t)); err != nil || m.Event != "end" {
			t.Errorf("ada was told %+v, %v", m, err)
		}
	})
	t.Run("[B2][B5] the same id is logged once, and own messages come to who asks for them", func(t *testing.T) {
		ch := join(t, ada, "room:2", &client.ChannelOptions{Self: true})
		sub := ch.Subscribe()
		first := must[client.Receipt](t)(ch.Publish(within(t), "e", 1, client.WithID("m1")))
		again := must[client.Receipt](t)(ch.Publish(within(t), "e", 1, client.WithID("m1")))
		if first != again {
			t.Errorf("%+v, then %+v", first, again)
		}
		must[client.Receipt](t)(ch.Publish(within(t), "end", 1, client.WithoutAck()))
		for _, want := range []string{"e", "end"} {
			if m, err := sub.Next(within(t)); err != nil || m.Event != want || !m.Own {
				t.Errorf("%+v, %v", m, err)
			}
		}
	})
	t.Run("[B4][F3][F4] ephemeral messages and raw bytes arrive", func(t *testing.T) {
		adas, bens := join(t, ada, "room:3", nil), join(t, ben, "room:3", nil)
		sub := bens.Subscribe()
		must[client.Receipt](t)(adas.Publish(within(t), "cursor", 1, client.Ephemeral()))
		if m, err := sub.Next(within(t)); err != nil || m.Position() != (client.Position{}) {
			t.Errorf("%+v, %v", m, err)
		}
		r := must[client.Receipt](t)(adas.PublishBytes(within(t), "pixels", []byte{0, 1, 255}))
		m, err := sub.Next(within(t))
		if err != nil || !m.IsBinary || !slices.Equal(m.Binary, []byte{0, 1, 255}) || m.Offset != r.Position.Offset || m.ID != r.ID {
			t.Errorf("%+v, %v", m, err)
		}
		if m.Decode(new(any)) == nil {
			t.Error("raw bytes were read as JSON")
		}
	})
	t.Run("[B6] messages are kept for as long as is asked", func(t *testing.T) {
		ch := join(t, ada, "room:4", nil)
		must[client.Receipt](t)(ch.Publish(within(t), "e", 1, client.Persist(time.Hour)))
		if _, err := ch.Publish(within(t), "e", 1, client.Persist(365*24*time.Hour)); !errors.Is(err, &client.Error{Code: protocol.CodeInvalidPayload}) {
			t.Errorf("a year: %v", err)
		}
		must[client.Receipt](t)(ch.Publish(within(t), "f", 2))
		late := join(t, w.dial("cyd"), "room:4", &client.ChannelOptions{Replay: &client.Replay{Since: time.Now().Add(-time.Minute)}})
		// All of it has come by now, and waits for the first who asks.
		first, second := late.Subscribe("e"), late.Subscribe()
		must[client.Receipt](t)(ch.Publish(within(t), "e", 3))
		for _, want := range []string{"1", "3"} {
			if m, err := first.Next(within(t)); err != nil || m.Replayed != (want == "1") || m.Event != "e" || string(m.Payload) != want {
				t.Errorf("%+v, %v, want %s", m, err, want)
			}
		}
		if m, err := second.Next(within(t)); err != nil || string(m.Payload) != "3" {
			t.Errorf("%+v, %v", m, err)
		}
	})
	t.Run("[S1][S2] a position of an earlier life is gone on from, or it is said why not", func(t *testing.T) {
		ch := join(t, ada, "room:5", nil)
		at := must[client.Receipt](t)(ch.Publish(within(t), "e", 1)).Position
		must[client.Receipt](t)(ch.Publish(within(t), "e", 2))
		late := w.dial("cyd")
		resumed := must[*client.Channel](t)(late.Channel("room:5", &client.ChannelOptions{From: &at}))
		sub := resumed.Subscribe()
		if m, err := sub.Next(within(t)); err != nil || string(m.Payload) != "2" {
			t.Errorf("%+v, %v", m, err)
		}
		other := w.dial("cyd")
		end := ch.Status().Position
		sub = join(t, other, "room:5", &client.ChannelOptions{From: &client.Position{Epoch: "another", Offset: 1}}).Subscribe()
		_, err := sub.Next(within(t))
		if missed, ok := errors.AsType[*client.Resync](err); !ok || missed.Reason != client.ResyncEpoch || missed.Position != end {
			t.Errorf("%v at %+v, want %+v", err, missed, end)
		}
		must[client.Receipt](t)(ch.Publish(within(t), "e", 3))
		if m, err := sub.Next(within(t)); err != nil || m.Offset != end.Offset+1 {
			t.Errorf("%+v, %v", m, err)
		}
		if err := resumed.Ready(within(t)); err != nil { // what it missed comes before it counts as joined
			t.Error(err)
		}
		if got, want := [2]client.Stats{late.Stats(), other.Stats()}, [2]client.Stats{{Connects: 1, Joins: 1, Resumes: 1}, {Connects: 1, Joins: 1, Resyncs: 1}}; got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
	t.Run("[R7] a channel without a rule, or that the rule keeps closed, is refused", func(t *testing.T) {
		for _, name := range []string{"nowhere", "closed:1"} {
			ch := must[*client.Channel](t)(ada.Channel(name, nil))
			if err := ch.Ready(within(t)); !errors.Is(err, &client.Error{Code: protocol.CodeUnauthorized}) {
				t.Errorf("%s: %v", name, err)
			}
			ch.Release()
		}
		ch := join(t, ada, "nowhere", &client.ChannelOptions{Public: true})
		must[client.Receipt](t)(ch.Publish(within(t), "e", 1))
	})
}

func TestStreams(t *testing.T) {
	w := newWorld(t)
	c, err := client.Dial(within(t), w.url, &client.Options{Token: tokensOf("ada"), BufferItems: 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ch := join(t, c, "room:1", &client.ChannelOptions{Self: true})

	t.Run("[R3] a reader that is too slow is told that it has missed something, and goes on", func(t *testing.T) {
		slow, events := ch.Subscribe(), c.Events()
		defer events.Close()
		for i := range 25 {
			must[client.Receipt](t)(ch.Publish(within(t), "e", i))
		}
		_, err := slow.Next(within(t))
		if missed, ok := errors.AsType[*client.Resync](err); !ok || missed.Reason != client.ResyncSlow {
			t.Fatalf("%v", err)
		}
		last := -1
		for last != 24 {
			m, err := slow.Next(within(t))
			if err != nil {
				t.Fatal(err)
			}
			before := last
			if err := m.Decode(&last); err != nil || (before >= 0 && last != before+1) {
				t.Fatalf("%d after %d", last, before)
			}
		}
		slow.Close()
		if _, err := slow.Next(within(t)); err == nil {
			t.Error("a closed stream goes on")
		}
	})
	t.Run("a range over a stream ends with its context, with the stream and with the channel", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		sub := ch.Subscribe()
		must[client.Receipt](t)(ch.Publish(within(t), "e", 1))
		n := 0
		for _, err := range sub.All(ctx) {
			if err != nil {
				t.Error(err)
			}
			n++
			cancel()
		}
		if n != 1 {
			t.Errorf("%d messages", n)
		}
		ended := make(chan struct{})
		other := join(t, c, "room:2", nil)
		sub = other.Subscribe()
		go func() {
			defer close(ended)
			for range sub.All(within(t)) {
				t.Error("a message from nowhere")
			}
		}()
		other.Release()
		<-ended
		if _, err := sub.Next(within(t)); !errors.Is(err, client.ErrReleased) {
			t.Errorf("%v", err)
		}
		if _, err := other.Subscribe().Next(within(t)); !errors.Is(err, client.ErrReleased) {
			t.Errorf("a stream of a released channel: %v", err)
		}
	})
}

func TestPresence(t *testing.T) {
	w := newWorld(t)
	ada, ben := w.dial("ada"), w.dial("ben")
	adas, bens := join(t, ada, "room:1", nil), join(t, ben, "room:1", &client.ChannelOptions{Presence: true})
	diffs := bens.Presence().Diffs()
	expect := func(t *testing.T, joined, changed, left int) client.PresenceDiff {
		t.Helper()
		d, err := diffs.Next(within(t))
		if err != nil || len(d.Joined) != joined || len(d.Changed) != changed || len(d.Left) != left {
			t.Fatalf("%+v, %v", d, err)
		}
		return d
	}
	t.Run("[P1][P2][P3] who comes, changes and goes is seen", func(t *testing.T) {
		p := adas.Presence()
		if err := p.Track(map[string]string{"name": "Ada"}); err != nil {
			t.Fatal(err)
		}
		if d := expect(t, 1, 0, 0); d.Joined[0].Key != ada.ID() || string(d.Joined[0].State) != `{"name":"Ada"}` {
			t.Errorf("%+v", d)
		}
		for members := range p.Watch(within(t)) {
			if len(members) == 1 && members[0].Own {
				break
			}
		}
		if err := p.Track(map[string]string{"name": "Ada L."}); err != nil {
			t.Fatal(err)
		}
		expect(t, 0, 1, 0)
		p.Untrack()
		expect(t, 0, 0, 1)
		if len(bens.Presence().Members()) != 0 {
			t.Errorf("%+v", bens.Presence().Members())
		}
	})
	t.Run("[P3] presence ends with the last claim that said something, and with the client", func(t *testing.T) {
		cyd := w.dial("cyd")
		one, two := join(t, cyd, "room:1", nil), join(t, cyd, "room:1", nil)
		if err := one.Presence().Track(struct{ Name string }{"Cyd"}); err != nil {
			t.Fatal(err)
		}
		expect(t, 1, 0, 0)
		one.Release()
		expect(t, 0, 0, 1)
		if err := one.Presence().Track(struct{}{}); !errors.Is(err, client.ErrReleased) {
			t.Errorf("through a released claim: %v", err)
		}
		if err := two.Presence().Track(struct{ Name string }{"Cyd"}); err != nil {
			t.Fatal(err)
		}
		expect(t, 1, 0, 0)
		cyd.Close()
		expect(t, 0, 0, 1)
	})
}

type fataler interface {
	Helper()
	Fatal(...any)
	Cleanup(func())
}

func settle(t fataler) func(m *client.Mutation, err error) client.Outcome {
	return func(m *client.Mutation, err error) client.Outcome {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		o, err := m.Wait(within(t))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
}

func text(t testing.TB, r *client.Record) string {
	t.Helper()
	if r == nil {
		return "none"
	}
	var v struct {
		Content string   `json:"content"`
		Tags    []string `json:"tags"`
		Votes   float64  `json:"votes"`
	}
	if err := r.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(v.Content, " ", v.Tags, " ", v.Votes)
}

func TestRecords(t *testing.T) {
	w, slow := newWorld(t), new(wire)
	ada, ben := w.dialOver("ada", slow), w.dial("ben")
	open := &client.ChannelOptions{Collections: []string{"notes"}}
	adas, bens := join(t, ada, "interview:1", open), join(t, ben, "interview:1", nil)
	notes, others := adas.Collection("notes"), bens.Collection("notes")
	must[client.Snapshot](t)(others.Load(within(t)))

	t.Run("[R6][M2][M7] a write is shown at once, and to others when it is applied", func(t *testing.T) {
		slow.gate.Lock() // or the server may be quicker than the look at it
		m, err := notes.Put("n1", map[string]any{"content": "hi", "tags": []string{"b", "a"}, "votes": client.Increment(2)})
		if got := text(t, notes.Get("n1")); got != "hi [a b] 2" || notes.Get("n1").Pending != 1 {
			t.Errorf("at once: %s", got)
		}
		slow.gate.Unlock()
		if o := settle(t)(m, err); o.Status != client.Applied || o.AsError() != nil || o.Epoch != adas.Status().Position.Epoch {
			t.Fatalf("%+v", o)
		}
		if r := notes.Get("n1"); r.Pending != 0 || r.Version == 0 || r.CreatedBy != "ada" {
			t.Errorf("%+v", r)
		}
		for s := range others.Watch(within(t)) {
			if len(s.Records) == 1 {
				if got := text(t, s.Records[0]); got != "hi [a b] 2" {
					t.Errorf("ben sees %s", got)
				}
				break
			}
		}
		settle(t)(notes.Patch("n1", map[string]any{"tags": client.Elements{Add: []string{"c"}, Remove: []string{"a"}}, "votes": client.Increment(-1)}))
		settle(t)(notes.Patch("n1", struct {
			Content string `json:"content"`
		}{"ho"}))
		if got := text(t, notes.Get("n1")); got != "ho [b c] 1" {
			t.Errorf("%s", got)
		}
	})
	t.Run("[M3][M4][M5] refusals are data: with the reason, the current record, and what was written", func(t *testing.T) {
		events := ada.Events()
		defer events.Close()
		if o := settle(t)(notes.Put("n1", nil)); o.Status != client.Exists || o.Current == nil || !errors.Is(o.AsError(), &client.Error{Code: protocol.CodeRecordExists}) {
			t.Errorf("%+v", o)
		}
		if o := settle(t)(notes.Patch("n1", map[string]any{"content": "x"}, client.IfVersion(1))); o.Err == nil || o.Err.Code != protocol.CodeVersionConflict || o.Current == nil {
			t.Errorf("%+v", o)
		}
		if o := settle(t)(notes.Patch("n1", map[string]any{"content": "forbidden"})); o.Err == nil || o.Err.Code != protocol.CodeForbidden {
			t.Errorf("%+v", o)
		}
		if o := settle(t)(notes.Patch("n0", map[string]any{"content": "x"})); o.Status != client.Gone {
			t.Errorf("%+v", o)
		}
		if o := settle(t)(notes.Patch("n1", map[string]any{"content": fmt.Sprintf("%0*d", protocol.MaxRecordBytes, 0)})); o.Err == nil || o.Err.Code != protocol.CodeRecordTooLarge {
			t.Errorf("%+v", o)
		}
		if o := settle(t)(notes.Patch("n1", nil)); o.Status != client.Noop {
			t.Errorf("%+v", o)
		}
		for _, want := range []protocol.Status{client.Exists, client.Rejected, client.Rejected, client.Gone, client.Rejected} {
			e, err := events.Next(within(t))
			if f, ok := e.(*client.Failure); !ok || f.Outcome.Status != want || f.Channel != "interview:1" {
				t.Errorf("%+v, %v", e, err)
			}
		}
		if _, err := notes.Put("", "a string"); err == nil {
			t.Error("a string is a record")
		}
		if text(t, notes.Get("n1")) != "ho [b c] 1" {
			t.Errorf("%s", text(t, notes.Get("n1")))
		}
	})
	t.Run("[M3] delete wins over an edit of the same moment, and restore brings it back", func(t *testing.T) {
		settle(t)(notes.Delete("n1"))
		if notes.Get("n1") != nil {
			t.Error("it is shown")
		}
		if o := settle(t)(notes.Patch("n1", map[string]any{"content": "late"})); o.Status != client.Gone {
			t.Errorf("%+v", o)
		}
		settle(t)(notes.Restore("n1", map[string]any{"content": "back"}))
		if got := text(t, notes.Get("n1")); got != "back [b c] 1" {
			t.Errorf("%s", got)
		}
	})
	t.Run("[R6] who is written over without having been seen is told so", func(t *testing.T) {
		over := new(wire)
		cyd := w.dialOver("cyd", over)
		theirs := join(t, cyd, "interview:1", open).Collection("notes")
		events := cyd.Events()
		// Cyd writes into a connection that is cut, and Ada writes later meanwhile.
		over.cut()
		m, err := theirs.Patch("n1", map[string]any{"content": "cyd's"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond) // so that Ada's stamp is newer
		settle(t)(notes.Patch("n1", map[string]any{"content": "ada's"}))
		if o := settle(t)(m, nil); o.Status != client.Superseded && o.Status != client.Applied {
			t.Errorf("%+v", o)
		}
		e, err := events.Next(within(t))
		if c, ok := e.(*client.Conflict); !ok || c.Field != "content" || string(c.Mine) != `"cyd's"` || string(c.Theirs) != `"ada's"` {
			t.Errorf("%+v, %v", e, err)
		}
	})
	t.Run("[J3] a collection that no rule names refuses the channel", func(t *testing.T) {
		ch := must[*client.Channel](t)(w.dial("dan").Channel("interview:1", nil))
		if _, err := ch.Collection("nothing").Load(within(t)); !errors.Is(err, &client.Error{Code: protocol.CodeUnknownCollection}) {
			t.Errorf("%v", err)
		}
	})
	t.Run("writes of a channel that is released at once are sent first", func(t *testing.T) {
		ch := must[*client.Channel](t)(w.dial("eve").Channel("interview:1", nil))
		m, err := ch.Collection("notes").Put("last", map[string]any{"content": "words"})
		ch.Release()
		if o := settle(t)(m, err); o.Status != client.Applied {
			t.Errorf("%+v", o)
		}
		if _, err := ch.Collection("notes").Put("", nil); !errors.Is(err, client.ErrReleased) {
			t.Errorf("%v", err)
		}
	})
}

func TestReconnecting(t *testing.T) {
	t.Run("[R3][S1][R4] a server that is stopped and started again loses nothing", func(t *testing.T) {
		w := newWorld(t)
		ada, ben := w.dial("ada"), w.dial("ben")
		open := &client.ChannelOptions{Collections: []string{"notes"}}
		adas, bens := join(t, ada, "interview:1", open), join(t, ben, "interview:1", open)
		sub := bens.Subscribe()
		must[client.Receipt](t)(adas.Publish(within(t), "e", 0))
		w.stop()
		published := make(chan error, 1)
		go func() {
			_, err := adas.Publish(within(t), "e", 1)
			published <- err
		}()
		var mutations []*client.Mutation
		for i := range 50 {
			mutations = append(mutations, must[*client.Mutation](t)(adas.Collection("notes").Put(fmt.Sprint(i), map[string]any{"votes": client.Increment(1)})))
		}
		w.start()
		if err := <-published; err != nil {
			t.Error(err)
		}
		for _, m := range mutations {
			if o := settle(t)(m, nil); o.Status != client.Applied {
				t.Errorf("%+v", o)
			}
		}
		for want := range 2 {
			got := -1
			if m, err := sub.Next(within(t)); err != nil || m.Decode(&got) != nil || got != want {
				t.Errorf("%+v, %v, want %d", m, err, want)
			}
		}
		for s := range bens.Collection("notes").Watch(within(t)) {
			if len(s.Records) == 50 {
				break
			}
		}
	})
	t.Run("[R3] a log that was lost is said aloud, and writes go into the new one", func(t *testing.T) {
		w := newWorld(t)
		ada := w.dial("ada")
		ch := join(t, ada, "interview:1", nil)
		notes := ch.Collection("notes")
		settle(t)(notes.Put("n1", map[string]any{"content": "lost"}))
		sub := ch.Subscribe()
		w.stop()
		m := must[*client.Mutation](t)(notes.Put("n2", map[string]any{"content": "kept"}))
		if err := os.RemoveAll(filepath.Join(w.dir, "data")); err != nil {
			t.Fatal(err)
		}
		w.start()
		_, err := sub.Next(within(t))
		if missed, ok := errors.AsType[*client.Resync](err); !ok || missed.Reason == "" {
			t.Errorf("%v", err)
		}
		if o := settle(t)(m, nil); o.Status != client.Applied {
			t.Errorf("%+v", o)
		}
		if s := notes.Snapshot(); len(s.Records) != 1 || s.Records[0].ID != "n2" {
			t.Errorf("%+v", s)
		}
	})
	t.Run("a token that expires is replaced before anybody notices", func(t *testing.T) {
		w := newWorld(t)
		var mu sync.Mutex
		n := 0
		c, err := client.Dial(within(t), w.url, &client.Options{Token: func(context.Context, client.TokenReason) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			n++
			return token("ada", 2*time.Second, "authenticated"), nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ch := join(t, c, "room:1", nil)
		epoch := ch.Status().Position.Epoch
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second) // twice its life
		defer cancel()
		for s := range ch.Watch(ctx) {
			if s.State != client.Joined || s.Position.Epoch != epoch {
				t.Errorf("%+v", s)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if n < 2 {
			t.Errorf("%d tokens", n)
		}
	})
}

// plain is what a snapshot shows, as values.
func plain(t fataler, s client.Snapshot) []any {
	var out []any
	for _, r := range s.Records {
		var v any
		if err := r.Decode(&v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// TestConvergence lets several clients edit a few records while their wires are
// cut at random; when the traffic stops all show the same.
func TestConvergence(t *testing.T) {
	w := newWorld(t)
	checks := flag.Lookup("rapid.checks").Value
	usual := checks.String()
	if err := checks.Set("25"); err != nil { // each takes a fifth of a second
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = checks.Set(usual) }) // it was that before
	channel := 0
	t.Run("[R4][R5][R6] whatever is cut, everybody shows the same in the end, and nothing is applied twice", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			channel++
			name := fmt.Sprintf("interview:%d", channel)
			const people = 3
			var clients [people]*client.Client
			var wires [people]wire
			var notes [people]*client.Collection
			for i := range people {
				c, err := client.Dial(within(t), w.url, &client.Options{Token: tokensOf(fmt.Sprint("p", i)), DialContext: wires[i].dial})
				if err != nil {
					rt.Fatal(err)
				}
				defer c.Close()
				clients[i] = c
				ch, err := c.Channel(name, &client.ChannelOptions{Collections: []string{"notes"}})
				if err != nil {
					rt.Fatal(err)
				}
				notes[i] = ch.Collection("notes")
			}
			votes, made := 0.0, map[string]bool{}
			var counted []*client.Mutation
			for range rapid.IntRange(5, 40).Draw(rt, "steps") {
				i := rapid.IntRange(0, people-1).Draw(rt, "who")
				id := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "record")
				var err error
				switch rapid.SampledFrom([]string{"edit", "edit", "edit", "tag", "vote", "delete", "cut", "wait"}).Draw(rt, "what") {
				case "edit":
					if rapid.Bool().Draw(rt, "make") {
						_, err = notes[i].Put(id, map[string]any{"content": "new"})
					} else {
						_, err = notes[i].Patch(id, map[string]any{"content": rapid.StringN(0, 5, -1).Draw(rt, "text")})
					}
				case "tag":
					_, err = notes[i].Patch(id, map[string]any{"tags": client.Elements{Add: []string{rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "tag")}}})
				case "vote":
					if !made["votes"] {
						made["votes"] = true
						_, err = notes[i].Put("votes", map[string]any{"content": "v"})
						if err == nil {
							err = clients[i].Flush(within(t))
						}
					}
					var m *client.Mutation
					if err == nil {
						m, err = notes[i].Patch("votes", map[string]any{"votes": client.Increment(1)})
						counted = append(counted, m)
						votes++
					}
				case "delete":
					_, err = notes[i].Delete(id)
				case "cut":
					wires[i].cut()
					clients[i].Reconnect()
				case "wait":
					err = clients[i].Flush(within(t))
				}
				if err != nil {
					rt.Fatal(err)
				}
			}
			for i := range people {
				if err := clients[i].Flush(within(t)); err != nil {
					rt.Fatal(err)
				}
			}
			for _, m := range counted {
				o := m.Outcome()
				if o.Status != client.Applied {
					rt.Fatalf("a vote: %+v", o)
				}
			}
			// One more write of each, seen by all, says that everything before it was heard.
			for i := range people {
				settle(rt)(notes[i].Put(fmt.Sprint("end", i), nil))
			}
			var want []any
			for i := range people {
				for range notes[i].Watch(within(t)) {
					if notes[i].Get("end0") != nil && notes[i].Get("end1") != nil && notes[i].Get("end2") != nil {
						if got := plain(rt, notes[i].Snapshot()); i == 0 {
							want = got
						} else if d := cmp.Diff(want, got); d != "" {
							rt.Fatalf("person %d (+) does not show what person 0 (-) does:\n%s", i, d)
						}
						break
					}
				}
			}
			if r := notes[0].Get("votes"); r != nil && votes > 0 {
				var v struct{ Votes float64 }
				if err := r.Decode(&v); err != nil || v.Votes != votes {
					rt.Fatalf("%v votes, want %v", v.Votes, votes)
				}
			}
		})
	})
}
