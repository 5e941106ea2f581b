package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/client"
	"github.com/chorale-rt/chorale/protocol"
)

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
