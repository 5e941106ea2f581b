package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/chorale-rt/chorale/protocol"
)

// CatchUp is somebody who opens a large document, and somebody who comes back to a
// busy channel: how long after the join was sent is everything there? The
// connection is open already. A server of this command's own is also restarted,
// to see the first join of a log that is on disk only.
type CatchUp struct {
	Records  int // of one collection
	Messages int // that were missed
	Joins    int // of each kind, one after the other
}

func (c CatchUp) name() string { return "catchup" }

func (c CatchUp) unit() string { return "joins" }

func (c CatchUp) describe() string {
	return fmt.Sprintf("%d joins of a collection of %d records; %d joins that missed %d messages; from the join until synced", c.Joins, c.Records, c.Joins, c.Messages)
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
	if err := v.fill(ctx, 0, c.Records, v.putRecord); err != nil {
		return nil, fmt.Errorf("make records: %w", err)
	}
	if err := v.fill(ctx, 1, c.Messages, v.sendMessage); err != nil {
		return nil, fmt.Errorf("make messages: %w", err)
	}
	whole := func(sock *socket) (func() error, error) { return v.catchUp(sock, 0, "", c.Records) }
	load, err := v.measure(ctx, s, fmt.Sprintf("%d records", c.Records), c.Joins, whole)
	if err != nil {
		return nil, err
	}
	missed, err := v.measure(ctx, s, fmt.Sprintf("%d missed", c.Messages), c.Joins, func(sock *socket) (func() error, error) {
		return v.catchUp(sock, 1, fmt.Sprintf(`,"resume":{"epoch":%q,"offset":0}`, v.epoch), c.Messages)
	})
	if err != nil || s.own == nil {
		return []Figures{load, missed}, err
	}
	if err := errors.Join(s.own.stop(), s.own.start(ctx)); err != nil {
		return nil, err
	}
	s.pid = s.own.child.cmd.Process.Pid
	cold, err := v.measure(ctx, s, "cold", 1, whole)
	return []Figures{load, missed, cold}, err
}

// A visitor fills channels and joins them.
type visitor struct {
	*chorale
	run    string
	epoch  string // of the log that was filled last
	client string
	clock  hybridClock
}

func (v *visitor) topic(channel int) string { return Notes.topic(v.run, channel) }

// open connects, and joins nothing.
func (v *visitor) open(ctx context.Context) (*socket, error) {
	address, err := v.address(seat{mode: Notes})
	if err != nil {
		return nil, err
	}
	return dialSocket(ctx, address)
}

func (v *visitor) join(sock *socket, channel int, more string) (protocol.JoinReply, error) {
	var response struct {
		Chorale protocol.JoinReply `json:"chorale"`
	}
	err := sock.send(frame("1", v.topic(channel), protocol.EventJoin, `{"config":{"broadcast":{"ack":true},"presence":{"enabled":false},"private":true,`+
		`"chorale":{"v":1,"client":"`+v.client+`","collections":["`+notesCollection+`"]`+more+`}}}`))
	if err != nil {
		return response.Chorale, err
	}
	f, err := sock.await(protocol.EventReply, "1")
	if err != nil {
		return response.Chorale, err
	}
	var r reply
	if err := errors.Join(json.Unmarshal(f.Payload, &r), json.Unmarshal(r.Response, &response)); err != nil || r.Status != "ok" {
		return response.Chorale, fmt.Errorf("refused: %s", f.Payload)
	}
	return response.Chorale, nil
}

// fill makes n writes in a channel, window at a time.
func (v *visitor) fill(ctx context.Context, channel, n int, write func(sock *socket, topic string, i int) error) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	v.client = id.String()
	sock, err := v.open(ctx)
	if err != nil {
		return err
	}
	defer sock.close()
	defer context.AfterFunc(ctx, func() { sock.conn.Close() })()
	at, err := v.join(sock, channel, "")
	if err != nil {
		return err
	}
	v.epoch = at.Epoch
	if _, err := sock.await(protocol.EventSynced, ""); err != nil {
		return err
	}
	for sent, done := 0, 0; done < n; {
		if sent < n && sent-done < window {
			if err := write(sock, v.topic(channel), sent); err != nil {
				return err
			}
			sent++
			continue
		}
		done++
		if err := accepted(sock, fmt.Sprint(done)); err != nil {
			return err
		}
	}
	return nil
}

func (v *visitor) putRecord(sock *socket, topic string, i int) error {
	at := string(v.clock.append(nil, unixMillis()))
	return sock.send(frame(fmt.Sprint(i+1), topic, protocol.EventMutate, fmt.Sprintf(
		`{"client":"%s","n":%d,"id":"%s","at":"%s","base":0,"op":"put","collection":"%s","record":"%s",`+
			`"fields":{"content":"Pricing page is confusing, says number %d","timestampMs":%d,"authorName":"Bench","kind":"note"},"sets":{"tags":{"pricing":true}}}`,
		v.client, i+1, uuid.NewString(), at, notesCollection, uuid.NewString(), i, i)))
}

func (v *visitor) sendMessage(sock *socket, topic string, i int) error {
	return sock.send(frame(fmt.Sprint(i+1), topic, protocol.EventBroadcast,
		fmt.Sprintf(`{"type":"broadcast","event":"note","payload":{"text":"%0200d"}}`, i)))
}

// catchUp joins and reads until synced. check then says whether all was there:
// to look at megabytes while more of them arrive would be the generator's time,
// and none of the server's.
func (v *visitor) catchUp(sock *socket, channel int, more string, want int) (check func() error, err error) {
	if _, err := v.join(sock, channel, more); err != nil {
		return nil, err
	}
	var frames [][]byte
	for {
		data, err := sock.read()
		if err != nil {
			return nil, err
		}
		frames = append(frames, bytes.Clone(data))
		if head := data[:min(len(data), maxHead)]; bytes.Contains(head, []byte(`"`+protocol.EventSynced+`",`)) {
			return func() error { return countCaughtUp(frames, want) }, nil
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

// measure joins again and again, each time over a new connection.
func (v *visitor) measure(ctx context.Context, s site, phase string, joins int, catchUp func(sock *socket) (check func() error, err error)) (Figures, error) {
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
		sock, err := v.open(ctx)
		if err != nil {
			return Figures{}, err
		}
		began := time.Now()
		check, err := catchUp(sock)
		took.Record(time.Since(began))
		if err == nil {
			err = check()
		}
		if err != nil {
			f.Errors++
			f.FirstError = err.Error()
		}
		sock.close()
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
