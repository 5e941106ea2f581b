package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/chorale-rt/chorale/client"
	"github.com/chorale-rt/chorale/protocol"
)

// CatchUp is somebody who opens a large document, and somebody who comes back to a
// busy channel: how long after the join was sent is everything there? The
// connection is open already, and what is measured is the server: frames are read,
// and not looked at. Beside it stands what the Go client makes of the same
// collection. A server of this command's own is also restarted,
// to see the first join of a log that is on disk only.
type CatchUp struct {
	Records  int // of one collection
	Messages int // that were missed
	Joins    int // of each kind, one after the other
}

func (c CatchUp) name() string { return "catchup" }

func (c CatchUp) unit() string { return "joins" }

func (c CatchUp) describe() string {
	return fmt.Sprintf("%d joins of a collection of %d records; %d joins that missed %d messages; from the join until synced; and until the Go client has all of the collection", c.Joins, c.Records, c.Joins, c.Messages)
}

func (c CatchUp) validate() error {
	return hold(
		condition{c.Records >= 1, "at least one record is needed"},
		condition{c.Messages >= 1 && c.Messages <= protocol.MaxReplay, fmt.Sprintf("1 to %d messages can be missed: the rules of the notes app keep no more", protocol.MaxReplay)},
		condition{c.Joins >= 1, "at least one join is needed"},
	)
}

func (c CatchUp) run(ctx context.Context, s site) ([]Figures, error) {
	subject, ok := s.subject.(*chorale)
	if !ok {
		return nil, errors.New("only a Chorale server can be joined")
	}
	v := &visitor{chorale: subject, run: s.run}
	if err := v.fill(ctx, 0, c.Records, putRecord); err != nil {
		return nil, fmt.Errorf("make records: %w", err)
	}
	if err := v.fill(ctx, 1, c.Messages, sendMessage); err != nil {
		return nil, fmt.Errorf("make messages: %w", err)
	}
	whole := v.frames(0, "", c.Records)
	var out []Figures
	for _, phase := range []struct {
		name  string
		visit visit
	}{
		{fmt.Sprintf("%d records", c.Records), whole},
		{fmt.Sprintf("%d missed", c.Messages), v.frames(1, fmt.Sprintf(`,"resume":{"epoch":%q,"offset":0}`, v.epoch), c.Messages)},
		{fmt.Sprintf("%d by the Go client", c.Records), func(ctx context.Context) (time.Duration, error) { return v.load(ctx, c.Records) }},
	} {
		f, err := v.measure(ctx, s, phase.name, c.Joins, phase.visit)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	if s.own == nil {
		return out, nil
	}
	if err := errors.Join(s.own.stop(), s.own.start(ctx)); err != nil {
		return nil, err
	}
	s.pid = s.own.child.cmd.Process.Pid
	cold, err := v.measure(ctx, s, "cold", 1, whole)
	return append(out, cold), err
}

// A visitor fills channels and joins them.
type visitor struct {
	*chorale
	run   string
	epoch string // of the log that was filled last
}

// A visit is one join over a connection of its own. It says how long it took from
// the join until everything was there.
type visit func(ctx context.Context) (time.Duration, error)

func (v *visitor) seat(channel int) seat { return seat{mode: Notes, run: v.run, channel: channel} }

func (v *visitor) topic(channel int) string { return Notes.topic(v.run, channel) }

// enter connects with the Go client, and asks for a channel with its records.
func (v *visitor) enter(ctx context.Context, channel int) (*client.Client, func() (*client.Channel, error), error) {
	conn, err := client.Dial(ctx, v.urls[0], &client.Options{Token: v.provider(v.seat(channel))})
	return conn, func() (*client.Channel, error) {
		name := strings.TrimPrefix(v.topic(channel), protocol.TopicPrefix)
		return conn.Channel(name, &client.ChannelOptions{Collections: []string{notesCollection}})
	}, err
}

// fill makes n writes in a channel, some at a time.
func (v *visitor) fill(ctx context.Context, channel, n int, write func(ctx context.Context, ch *client.Channel, i int) error) error {
	conn, claim, err := v.enter(ctx, channel)
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := claim()
	if err != nil {
		return err
	}
	if err := inParallel(ctx, n, window, func(i int) error { return write(ctx, ch, i) }); err != nil {
		return err
	}
	v.epoch = ch.Status().Position.Epoch
	return nil
}

func putRecord(ctx context.Context, ch *client.Channel, i int) error {
	m, err := ch.Collection(notesCollection).Put("", map[string]any{
		"content":     fmt.Sprintf("Pricing page is confusing, says number %d", i),
		"timestampMs": i, "authorName": "Bench", "kind": "note", "tags": []string{"pricing"},
	})
	if err != nil {
		return err
	}
	o, err := m.Wait(ctx)
	return errors.Join(err, o.AsError())
}

func sendMessage(ctx context.Context, ch *client.Channel, i int) error {
	_, err := ch.Publish(ctx, "note", map[string]string{"text": fmt.Sprintf("%0200d", i)})
	return err
}

// load is a visit of the Go client: until the program has the collection in its
// hands, every record read and checked.
func (v *visitor) load(ctx context.Context, want int) (time.Duration, error) {
	conn, claim, err := v.enter(ctx, 0)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	began := time.Now()
	ch, err := claim()
	if err != nil {
		return 0, err
	}
	notes, err := ch.Collection(notesCollection).Load(ctx)
	took := time.Since(began)
	if err == nil && len(notes.Records) != want {
		err = fmt.Errorf("%d came, want %d", len(notes.Records), want)
	}
	return took, err
}

// frames makes a visit that joins and reads frames until synced. Whether all was
// there is looked at then: to look at megabytes while more of them arrive would be
// the generator's time, and none of the server's.
func (v *visitor) frames(channel int, more string, want int) visit {
	return func(ctx context.Context) (time.Duration, error) {
		address, err := v.address(v.seat(channel))
		if err != nil {
			return 0, err
		}
		sock, err := dialSocket(ctx, address)
		if err != nil {
			return 0, err
		}
		defer sock.close()
		defer context.AfterFunc(ctx, sock.hangUp)()
		began := time.Now()
		got, err := v.catchUp(sock, channel, more)
		took := time.Since(began)
		if err != nil {
			return took, err
		}
		return took, countCaughtUp(got, want)
	}
}

// catchUp joins and reads until synced.
func (v *visitor) catchUp(sock *socket, channel int, more string) (frames [][]byte, err error) {
	err = sock.send(frame("1", v.topic(channel), protocol.EventJoin, `{"config":{"presence":{"enabled":false},"private":true,`+
		`"chorale":{"v":1,"collections":["`+notesCollection+`"]`+more+`}}}`))
	if err != nil {
		return nil, err
	}
	if err := accepted(sock, "1"); err != nil {
		return nil, err
	}
	for {
		data, err := sock.read()
		if err != nil {
			return nil, err
		}
		frames = append(frames, bytes.Clone(data))
		if head := data[:min(len(data), maxHead)]; bytes.Contains(head, []byte(`"`+protocol.EventSynced+`",`)) {
			return frames, nil
		}
	}
}

// maxHead is more than what comes before the payload of a frame.
const maxHead = 256

// countCaughtUp demands that so many messages or records came before synced.
func countCaughtUp(frames [][]byte, want int) error {
	got := 0
	for _, data := range frames {
		f, err := protocol.DecodeText(protocol.V2, data)
		if err != nil {
			return err
		}
		switch f.Event {
		case protocol.EventBroadcast:
			got++
		case protocol.EventRecords:
			got += bytes.Count(f.Payload, []byte(`"createdBy":`)) // decoding is the client's work
		}
	}
	if got != want {
		return fmt.Errorf("%d came, want %d", got, want)
	}
	return nil
}

// measure joins again and again.
func (v *visitor) measure(ctx context.Context, s site, phase string, joins int, once visit) (Figures, error) {
	m, err := newMeter(s.pid, 1)
	if err != nil {
		return Figures{}, err
	}
	if err := m.begin(); err != nil {
		return Figures{}, err
	}
	var took Histogram
	f := Figures{Phase: phase}
	for range joins {
		d, err := once(ctx)
		if err != nil {
			f.Errors++
			f.FirstError = err.Error()
		}
		took.Record(d)
		if ctx.Err() != nil {
			return Figures{}, ctx.Err()
		}
	}
	if err := errors.Join(m.end(), m.memory(&m.after)); err != nil {
		return Figures{}, err
	}
	m.idle = m.after
	m.report(&f, int64(joins))
	f.setLatency(&took)
	return f, nil
}
