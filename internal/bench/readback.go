package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/chorale-rt/chorale/client"
	"github.com/chorale-rt/chorale/protocol"
)

// fields are a record's, by name.
type fields = map[string]json.RawMessage

// A snapshot is what somebody is told who comes new: the newest messages, and
// the records. It is read frame by frame: what a client would put right without a
// word, a message that stands in the log twice, is there to be seen.
type snapshot struct {
	epoch    string
	messages []placed
	records  map[string]fields
}

// placed is a message's id, and where it stands.
type placed struct {
	id     string
	offset uint64
}

// A refusedError is a join that was refused for the moment.
type refusedError struct {
	fault protocol.Error
}

func (e *refusedError) Error() string { return "refused for the moment: " + e.fault.Error() }

// A reply is the payload of phx_reply.
type reply struct {
	Status   string          `json:"status"`
	Response json.RawMessage `json:"response"`
}

// fault is what an error reply says.
func (r *reply) fault() protocol.Error {
	var e struct {
		protocol.Error
		Reason string `json:"reason"`
	}
	_ = json.Unmarshal(r.Response, &e) // without a code it is an error all the same
	e.Error.Message = e.Reason
	return e.Error
}

// leastKept is how many messages a channel keeps at least (docs/operations.md).
const leastKept = 256

// compare asks every node for every channel, as somebody who comes new, and
// compares what it says with what the followers saw and show (R2, R5). Everybody
// must have settled; a node that still takes nobody in, after an outage, is asked
// again as long as there is patience.
func (g *group) compare(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	nodes := len(g.subject.urls)
	return inParallel(ctx, len(g.ledgers)*nodes, openers, func(i int) error {
		l, node := g.ledgers[i/nodes], i%nodes
		s, err := g.readPatiently(ctx, l, i/nodes, node)
		if err != nil {
			return fmt.Errorf("read %s at node %d: %w", l.topic, node, err)
		}
		s.checkMessages(l, fmt.Sprintf("node %d", node))
		for _, f := range g.followers {
			if f.ledger == l && f.notes != nil {
				s.checkRecords(f.who, f.notes.Snapshot().Records, l, node)
			}
		}
		return nil
	})
}

// readPatiently is read until it is not refused for the moment.
func (g *group) readPatiently(ctx context.Context, l *ledger, channel, node int) (*snapshot, error) {
	for {
		s, err := g.read(ctx, l, channel, node)
		refused, isRefused := errors.AsType[*refusedError](err)
		if !isRefused {
			return s, err
		}
		g.refused.Add(1)
		wait := 500 * time.Millisecond // where the server does not say
		if ms := refused.fault.RetryAfterMs; ms > 0 {
			wait = time.Duration(ms) * time.Millisecond
		}
		if pause(ctx, wait); ctx.Err() != nil {
			return nil, err
		}
	}
}

// read joins a channel anew at one node.
func (g *group) read(ctx context.Context, l *ledger, channel, node int) (*snapshot, error) {
	address, err := g.subject.addressAt(seat{mode: g.mode(), channel: channel, index: -1}, node)
	if err != nil {
		return nil, err
	}
	sock, err := dialSocket(ctx, address)
	if err != nil {
		return nil, err
	}
	defer sock.close()
	defer context.AfterFunc(ctx, sock.hangUp)()
	collections := ""
	if g.durable {
		collections = `,"collections":["` + notesCollection + `"]`
	}
	err = sock.send(frame("join", l.topic, protocol.EventJoin, fmt.Sprintf(
		`{"config":{"broadcast":{"replay":{"since":0,"limit":1000}},"presence":{"enabled":false},"private":%t,"chorale":{"v":1%s}}}`, g.durable, collections)))
	if err != nil {
		return nil, err
	}
	s := &snapshot{records: make(map[string]fields)}
	for {
		data, err := sock.read()
		if err != nil {
			return nil, err
		}
		m, err := protocol.DecodeText(protocol.V2, data)
		if err != nil {
			return nil, err
		}
		if done, err := s.take(&m); done || err != nil {
			return s, err
		}
	}
}

// take handles one frame; done after the last.
func (s *snapshot) take(m *protocol.Frame) (done bool, err error) {
	switch m.Event {
	case protocol.EventReply:
		var r reply
		var response struct {
			Chorale protocol.JoinReply `json:"chorale"`
		}
		err := errors.Join(json.Unmarshal(m.Payload, &r), json.Unmarshal(r.Response, &response))
		if fault := r.fault(); r.Status == "error" && fault.Retryable {
			return false, &refusedError{fault}
		}
		if err != nil || r.Status != "ok" {
			return false, fmt.Errorf("join: %s", m.Payload)
		}
		s.epoch = response.Chorale.Epoch
	case protocol.EventBroadcast:
		var d struct {
			Meta struct {
				ID     string `json:"id"`
				Offset uint64 `json:"offset"`
			} `json:"meta"`
		}
		if err := json.Unmarshal(m.Payload, &d); err != nil {
			return false, err
		}
		s.messages = append(s.messages, placed{d.Meta.ID, d.Meta.Offset})
	case protocol.EventRecords:
		var page protocol.RecordsPage
		if err := json.Unmarshal(m.Payload, &page); err != nil {
			return false, err
		}
		return false, s.takePage(&page)
	case protocol.EventSynced:
		return true, nil
	}
	return false, nil
}

// takePage makes a page part of the records.
func (s *snapshot) takePage(page *protocol.RecordsPage) error {
	if page.Reset {
		clear(s.records)
	}
	for _, raw := range page.Records {
		var r protocol.Record
		if err := json.Unmarshal(raw, &r); err != nil {
			return err
		}
		s.records[r.ID] = r.Fields
	}
	return nil
}

// checkMessages demands that what is stored is the end of what was acknowledged
// and seen.
func (s *snapshot) checkMessages(l *ledger, who string) {
	want := l.offsets(s.epoch, message)
	for _, m := range s.messages {
		l.note(who, s.epoch, m.offset, m.id, message)
	}
	if len(s.messages) < min(len(want), leastKept) {
		l.verdict.found(lost, "%s: %s keeps %d messages, of %d that there were", l.topic, who, len(s.messages), len(want))
		return
	}
	for i, m := range s.messages {
		if want := want[max(0, len(want)-len(s.messages)):]; i >= len(want) || want[i] != m.offset {
			l.verdict.found(lost, "%s: the log as %s reads it is not what was seen: offset %d is number %d from its end", l.topic, who, m.offset, len(s.messages)-i)
			return
		}
	}
}

// checkRecords demands that somebody shows what the log says (R5).
func (s *snapshot) checkRecords(who string, shown []*client.Record, l *ledger, node int) {
	records := make(map[string]fields, len(shown))
	for _, r := range shown {
		records[r.ID] = r.Values
	}
	if stored, shown := canonical(s.records), canonical(records); stored != shown {
		l.verdict.found(disordered, "%s shows other records than node %d: %s", who, node, firstDifference(stored, shown))
	}
}

// canonical is one text for equal records: a line for each field.
func canonical(records map[string]fields) string {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(records)) {
		for _, name := range slices.Sorted(maps.Keys(records[id])) {
			var value bytes.Buffer
			if err := json.Compact(&value, records[id][name]); err != nil {
				value.WriteString(err.Error())
			}
			fmt.Fprintf(&b, "%s %s %s\n", id, name, &value)
		}
	}
	return b.String()
}

// firstDifference is the first line in which two texts differ.
func firstDifference(a, b string) string {
	left, right := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range left {
		if i >= len(right) || left[i] != right[i] {
			return fmt.Sprintf("%.200s, and %.200s", left[i], append(right, "nothing")[min(i, len(right))])
		}
	}
	return fmt.Sprintf("nothing, and %.200s", right[len(left)])
}
