package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/chorale-rt/chorale/client"
	"github.com/chorale-rt/chorale/internal/server"
)

// serveExample runs a server in this process; programs of your own have its
// address and a token.
func serveExample() (address string, stop func()) {
	dir, err := os.MkdirTemp("", "chorale-example")
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), []byte(rules), 0o600); err != nil {
		log.Fatal(err)
	}
	srv, err := server.New(server.Options{
		Addr: "127.0.0.1:0", Data: filepath.Join(dir, "data"), Secret: []byte(secret), RulesFile: filepath.Join(dir, "rules.yaml"),
		Drain: time.Millisecond,
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	return "http://" + srv.Addr().String(), func() {
		cancel()
		if err := errors.Join(<-ended, os.RemoveAll(dir)); err != nil {
			log.Fatal(err)
		}
	}
}

func Example() {
	address, stop := serveExample()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	c, err := client.Dial(ctx, address, &client.Options{Token: tokensOf("ada")})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	room, err := c.Channel("room:1", &client.ChannelOptions{Self: true})
	if err != nil {
		log.Fatal(err)
	}
	greetings := room.Subscribe("greeting")

	receipt, err := room.Publish(ctx, "greeting", map[string]string{"text": "Hi"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("in the log at", receipt.Position.Offset)

	m, err := greetings.Next(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Event, string(m.Payload), "at", m.Offset)
	// Output:
	// in the log at 1
	// greeting {"text":"Hi"} at 1
}

// A stream says what it cannot deliver in its place, as an error that is not the
// last.
func ExampleChannel_Subscribe() {
	address, stop := serveExample()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.Dial(ctx, address, &client.Options{Token: tokensOf("ada")})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	// Where an earlier life of this program was; the log is another one since.
	from := client.Position{Epoch: "of yesterday", Offset: 17}
	room, err := c.Channel("room:1", &client.ChannelOptions{From: &from, Self: true})
	if err != nil {
		log.Fatal(err)
	}
	scores := room.Subscribe("score")
	if _, err := room.Publish(ctx, "score", 3); err != nil {
		log.Fatal(err)
	}

	total := 0
	for m, err := range scores.All(ctx) {
		if missed, ok := errors.AsType[*client.Resync](err); ok {
			fmt.Println("missed some:", missed.Reason)
			total = 0 // load it from where it is kept
			continue
		}
		var score int
		if err := m.Decode(&score); err != nil {
			log.Print(err)
			continue
		}
		total += score
		fmt.Println("total", total)
		scores.Close()
	}
	// Output:
	// missed some: epoch
	// total 3
}

func ExampleCollection() {
	address, stop := serveExample()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.Dial(ctx, address, &client.Options{Token: tokensOf("ada")})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	interview, err := c.Channel("interview:42", &client.ChannelOptions{Collections: []string{"notes"}})
	if err != nil {
		log.Fatal(err)
	}
	notes := interview.Collection("notes")

	type Note struct {
		Content     string   `json:"content"`
		TimestampMs int      `json:"timestampMs"`
		Tags        []string `json:"tags"`
	}
	added, err := notes.Put("", Note{Content: "Pricing is confusing", TimestampMs: 61_000, Tags: []string{"pricing"}})
	if err != nil {
		log.Fatal(err)
	}
	// It is shown already; what becomes of it is known later.
	fmt.Println(notes.Get(added.Record).Pending, "unsettled")
	outcome, err := added.Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(outcome.Status)

	// Two people who add different tags both win.
	if _, err := notes.Patch(added.Record, map[string]any{"tags": client.Elements{Add: []string{"ux"}}}); err != nil {
		log.Fatal(err)
	}
	var note Note
	if err := notes.Get(added.Record).Decode(&note); err != nil {
		log.Fatal(err)
	}
	fmt.Println(note.Content, note.Tags)

	// Before the program ends: what is unsettled would end as unknown.
	if err := c.Flush(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 1 unsettled
	// applied
	// Pricing is confusing [pricing ux]
}

// A refusal is data: the reason, and the record as the server has it.
func ExampleMutation_Wait() {
	address, stop := serveExample()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.Dial(ctx, address, &client.Options{Token: tokensOf("ada")})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	interview, err := c.Channel("interview:42", nil)
	if err != nil {
		log.Fatal(err)
	}
	notes := interview.Collection("notes")
	if _, err := notes.Put("n1", map[string]any{"content": "first"}); err != nil {
		log.Fatal(err)
	}

	strict, err := notes.Patch("n1", map[string]any{"content": "second"}, client.IfVersion(17))
	if err != nil {
		log.Fatal(err)
	}
	outcome, err := strict.Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(outcome.Status, outcome.Err)
	fmt.Println("it says", string(outcome.Current.Values["content"]))
	// Output:
	// rejected version_conflict: the record is at version 1
	// it says "first"
}

func ExamplePresence() {
	address, stop := serveExample()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.Dial(ctx, address, &client.Options{Token: tokensOf("ada")})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	room, err := c.Channel("room:1", &client.ChannelOptions{Presence: true})
	if err != nil {
		log.Fatal(err)
	}

	presence := room.Presence()
	if err := presence.Track(map[string]string{"name": "Ada"}); err != nil {
		log.Fatal(err)
	}
	for members := range presence.Watch(ctx) {
		if len(members) > 0 {
			fmt.Println(string(members[0].State), members[0].Own)
			break
		}
	}
	// Output:
	// {"name":"Ada"} true
}
