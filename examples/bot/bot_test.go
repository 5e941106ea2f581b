package main

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/chorale-rt/chorale/client"
	"github.com/chorale-rt/chorale/internal/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTags(t *testing.T) {
	for text, want := range map[string][]string{
		"The Price is high": {"pricing"}, "Why does it crash?": {"bug", "question"}, "": nil,
	} {
		if got := slices.Sorted(maps.Keys(tagsOf(text))); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// TestBot has the bot sit in an interview of a server in dev mode, beside a
// person.
func TestBot(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	srv, err := server.New(server.Options{Addr: "127.0.0.1:0", Data: t.TempDir(), Dev: true, Drain: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	serving, stop := context.WithCancel(context.Background())
	go func() { ended <- srv.Run(serving) }()
	t.Cleanup(func() {
		stop()
		http.DefaultClient.CloseIdleConnections()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	address := "http://" + srv.Addr().String()
	dial := func() *client.Client {
		c, err := client.Dial(ctx, address, &client.Options{Token: tokens(address)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}

	working, rest := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	bots := dial()
	go func() { stopped <- run(working, bots, "1") }()

	room, err := dial().Channel("interview:1", &client.ChannelOptions{Presence: true, Collections: []string{"notes"}})
	if err != nil {
		t.Fatal(err)
	}
	answers, notes := room.Subscribe("answer"), room.Collection("notes")
	for members := range room.Presence().Watch(ctx) {
		if len(members) == 1 {
			break
		}
	}
	tagsAre := func(id string, want ...string) {
		t.Helper()
		for range notes.Watch(ctx) {
			var note Note
			if r := notes.Get(id); r != nil && r.Decode(&note) == nil && slices.Equal(note.Tags, want) {
				return
			}
		}
		t.Fatalf("%s never had the tags %v: %+v", id, want, notes.Get(id))
	}
	write := func(m *client.Mutation, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if o, err := m.Wait(ctx); err != nil || o.AsError() != nil {
			t.Fatal(o, err)
		}
	}

	t.Run("it tags what is written, beside the tags of people", func(t *testing.T) {
		write(notes.Put("n1", map[string]any{
			"content": "Pricing is confusing", "timestampMs": 1000, "authorName": "Ada", "kind": "note", "tags": []string{"ux"},
		}))
		tagsAre("n1", "pricing", "ux")
	})
	t.Run("it does not argue about a tag that was taken away, until there is something new", func(t *testing.T) {
		write(notes.Patch("n1", map[string]any{"tags": client.Elements{Remove: []string{"pricing"}}}))
		write(notes.Patch("n1", map[string]any{"timestampMs": 2000}))
		write(notes.Patch("n1", map[string]any{"content": "Is it broken?"}))
		tagsAre("n1", "bug", "question", "ux")
	})
	t.Run("it answers who asks", func(t *testing.T) {
		asked, err := room.Publish(ctx, "ask", nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := answers.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			To     string
			Counts map[string]int
		}
		if err := m.Decode(&answer); err != nil || answer.To != asked.ID || answer.Counts["bug"] != 1 {
			t.Errorf("%s, %v", m.Payload, err)
		}
	})
	t.Run("it ends when it is told to, and is let in nowhere without a rule", func(t *testing.T) {
		rest()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if err := serve(address, ""); err == nil {
			t.Error("it works in no interview")
		}
	})
}
