package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/chorale-rt/chorale/client"
)

type subCmd struct {
	remoteFlags `embed:""`

	Channel string `arg:"" help:"Name of the channel, without realtime:."`

	Event       []string      `help:"Messages with these events only."`
	From        string        `placeholder:"EPOCH:OFFSET" help:"Begin behind this position, which must still be in the log."`
	Since       time.Duration `help:"Begin with the messages of so long ago until now, up to --limit."`
	Limit       int           `default:"1000" help:"The newest so many of --since, 1 to 1000 (${default})."`
	Presence    bool          `help:"Print who comes, changes and goes too."`
	Collections []string      `name:"collection" help:"Print the records of these collections too, first all that are there."`
	Count       int           `help:"End after so many messages and records; fail when there are fewer at the end of --timeout."`
	Timeout     time.Duration `help:"End after so long."`
}

// Help implements kong.HelpProvider.
func (subCmd) Help() string {
	return `Each line is an object with a type:

  joined    epoch, offset: the position, for --from
  message   event, payload (or base64), id, epoch, offset, replayed
  presence  joined, changed, left: members with their key and states
  record    collection, record: it has come, or has changed
  deleted   collection, id
  resync    reason, epoch, offset: messages were missed, up to there

Comes back by itself when the connection is lost, and goes on where it was. Ends with Ctrl-C.

  chorale sub room:1 --presence
  chorale sub interview:42 --collection notes --count 1 --timeout 5s`
}

// Run implements the command.
func (c *subCmd) Run(ctx context.Context) error {
	o, err := c.options()
	if err != nil {
		return err
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	o.Public = c.Public
	ch, err := conn.Channel(c.Channel, o)
	if err != nil {
		return err
	}
	// Before it is joined: what is replayed comes with the join.
	messages := ch.Subscribe(c.Event...)
	if err := c.ready(ctx, ch); err != nil {
		return err
	}
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &subscriber{ch: ch, out: newPrinter(os.Stdout, c.Count, cancel), joined: make(chan struct{})}
	s.run(ctx, cancel, messages, c)
	return errors.Join(s.err, s.out.result())
}

func (c *subCmd) options() (*client.ChannelOptions, error) {
	o := &client.ChannelOptions{Self: true, Presence: c.Presence, Collections: c.Collections}
	switch {
	case c.From != "" && c.Since != 0:
		return nil, errors.New("--from, --since: give one of them")
	case c.From != "":
		at, err := parsePosition(c.From)
		if err != nil {
			return nil, err
		}
		o.From = &at
	case c.Since != 0:
		o.Replay = &client.Replay{Since: time.Now().Add(-c.Since), Limit: c.Limit}
	}
	return o, nil
}

func parsePosition(text string) (client.Position, error) {
	epoch, digits, found := strings.Cut(text, ":")
	offset, err := strconv.ParseUint(digits, 10, 64)
	if !found || err != nil || epoch == "" {
		return client.Position{}, fmt.Errorf("--from: %q is no EPOCH:OFFSET, as chorale sub prints them when it joins", text)
	}
	return client.Position{Epoch: epoch, Offset: offset}, nil
}

// A subscriber prints what happens in a channel.
type subscriber struct {
	ch     *client.Channel
	out    *printer
	joined chan struct{} // closed when the line about the first join was printed
	err    error         // of the channel: refused while it was joined
}

// run prints until ctx ends.
func (s *subscriber) run(ctx context.Context, cancel func(), messages *client.Stream[client.Message], c *subCmd) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.status(ctx, cancel) })
	<-s.joined
	wg.Go(func() { s.messages(ctx, messages) })
	if c.Presence {
		wg.Go(func() { s.presence(ctx) })
	}
	for _, name := range c.Collections {
		wg.Go(func() { s.records(ctx, name) })
	}
}

type position struct {
	Type   string `json:"type"`
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

type resync struct {
	Type   string              `json:"type"`
	Reason client.ResyncReason `json:"reason"`
	Epoch  string              `json:"epoch,omitempty"`
	Offset uint64              `json:"offset,omitempty"`
}

// status prints joins, tells the terminal of trouble, and ends the command when
// the channel is refused.
func (s *subscriber) status(ctx context.Context, cancel func()) {
	first := true
	defer func() {
		if first {
			close(s.joined)
		}
	}()
	was := client.ChannelState("")
	for st := range s.ch.Watch(ctx) {
		if st.State == was {
			continue
		}
		was = st.State
		switch {
		case st.State == client.Joined:
			s.out.print(position{"joined", st.Position.Epoch, st.Position.Offset}, false)
			if first {
				first = false
				close(s.joined)
			}
		case st.State == client.Refused:
			s.err = st.Err
			cancel()
		default:
			fmt.Fprintln(os.Stderr, "chorale:", st.State, orNothing(st.Err))
		}
	}
}

func orNothing(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (s *subscriber) messages(ctx context.Context, messages *client.Stream[client.Message]) {
	type line struct {
		Type     string          `json:"type"`
		Event    string          `json:"event"`
		Payload  json.RawMessage `json:"payload,omitempty"`
		Base64   string          `json:"base64,omitempty"`
		ID       string          `json:"id,omitempty"`
		Epoch    string          `json:"epoch,omitempty"`
		Offset   uint64          `json:"offset,omitempty"`
		Replayed bool            `json:"replayed,omitempty"`
	}
	for m, err := range messages.All(ctx) {
		if missed, ok := errors.AsType[*client.Resync](err); ok {
			s.out.print(resync{"resync", missed.Reason, missed.Position.Epoch, missed.Position.Offset}, false)
			continue
		}
		out := line{Type: "message", Event: m.Event, Payload: m.Payload, ID: m.ID, Epoch: m.Epoch, Offset: m.Offset, Replayed: m.Replayed}
		if m.IsBinary {
			out.Base64 = base64.StdEncoding.EncodeToString(m.Binary)
		}
		s.out.print(out, true)
	}
}

func (s *subscriber) presence(ctx context.Context) {
	type member struct {
		Key    string            `json:"key"`
		States []json.RawMessage `json:"states"`
	}
	members := func(list []client.Member) []member {
		out := []member{}
		for _, m := range list {
			out = append(out, member{m.Key, m.States})
		}
		return out
	}
	for d := range s.ch.Presence().Diffs().All(ctx) {
		s.out.print(map[string]any{
			"type": "presence", "joined": members(d.Joined), "changed": members(d.Changed), "left": members(d.Left),
		}, false)
	}
}

func (s *subscriber) records(ctx context.Context, name string) {
	type line struct {
		Type       string         `json:"type"`
		Collection string         `json:"collection"`
		ID         string         `json:"id,omitempty"`
		Record     *client.Record `json:"record,omitempty"`
	}
	known := map[string]uint64{} // versions
	for snapshot := range s.ch.Collection(name).Watch(ctx) {
		if !snapshot.Loaded {
			continue
		}
		now := make(map[string]uint64, len(snapshot.Records))
		for _, r := range snapshot.Records {
			if now[r.ID] = r.Version; known[r.ID] != r.Version {
				s.out.print(line{Type: "record", Collection: name, Record: r}, true)
			}
		}
		for id := range known {
			if _, ok := now[id]; !ok {
				s.out.print(line{Type: "deleted", Collection: name, ID: id}, true)
			}
		}
		known = now
	}
}
