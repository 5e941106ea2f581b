package client_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/chorale-rt/chorale/client"
)

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
