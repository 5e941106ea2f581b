package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/client"
	"github.com/chorale-rt/chorale/protocol"
)

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
