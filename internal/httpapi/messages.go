package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

type publishRequest struct {
	Event   string          `json:"event"`
	Payload json.RawMessage `json:"payload"`
	ID      string          `json:"id"`
	Private *bool           `json:"private"` // nil means true
	Persist json.RawMessage `json:"persist"` // true, or {"ttl": seconds} (B6)
}

type published struct {
	ID        string `json:"id"`
	Offset    uint64 `json:"offset"`
	Epoch     string `json:"epoch"`
	Duplicate bool   `json:"duplicate"`
}

// publishMessage is POST …/messages.
func (a *API) publishMessage(r *request) (answer, *problem) {
	m, refused := decode[publishRequest](r, maxBody)
	if refused != nil {
		return answer{}, refused
	}
	name, refused := named(r, m.Private == nil || *m.Private)
	if refused == nil {
		refused = m.fault()
	}
	if refused != nil {
		return answer{}, refused
	}
	keep, fault := m.keep(name)
	if fault != nil {
		return answer{}, refuse(fault)
	}
	p := a.opts.Policy().Channel(name)
	if fault = p.May(auth.Publish, r.identity); fault == nil && keep > 0 {
		fault = p.May(auth.Persist, r.identity)
	}
	if fault != nil {
		return answer{}, refuse(fault)
	}
	excess := a.calls(r.Request, r.identity, 1)
	if !excess.Over() {
		excess = a.send(p, name, len(m.Payload))
	}
	if refused := tooMuch(excess); refused != nil {
		return answer{}, refused
	}
	id := orNew(m.ID)
	write := engine.Write{
		Kind: engine.KindMessage, ID: id, Data: protocol.NewBroadcast(m.Event, m.Payload).Body,
		Durability: p.Durability, Retention: p.Retention, Keep: keep,
	}
	if keep > 0 {
		write.Durability = max(write.Durability, engine.OS)
	}
	receipt, err := a.opts.Engine.Append(r.Context(), name.Log(), write)
	if err != nil {
		return answer{}, a.engineProblem("publish", err)
	}
	at := receipt.Position
	return answer{status: http.StatusCreated, body: published{ID: id, Offset: at.Offset, Epoch: at.Epoch, Duplicate: receipt.Duplicate}}, nil
}

func (m *publishRequest) fault() *problem {
	switch {
	case m.Event == "":
		return unreadable("/event", "event must not be empty")
	case len(m.Event) > protocol.MaxEventBytes:
		return unreadable("/event", "event is longer than %d bytes", protocol.MaxEventBytes)
	case len(m.ID) > protocol.MaxIDBytes:
		return unreadable("/id", "id is longer than %d bytes", protocol.MaxIDBytes)
	}
	return nil
}

// keep is how long the message is to be kept (B6); 0 when that was not asked.
func (m *publishRequest) keep(name protocol.Channel) (time.Duration, *protocol.Error) {
	switch string(m.Persist) {
	case "", "null", "false":
		return 0, nil
	}
	keep, fault := protocol.DefaultPersist, (*protocol.Error)(nil)
	if string(m.Persist) != "true" {
		var asked struct {
			TTL int64 `json:"ttl"` // seconds
		}
		_ = json.Unmarshal(m.Persist, &asked) // what is no object with a ttl has none, and is refused
		keep, fault = protocol.PersistFor(asked.TTL)
	}
	switch {
	case fault != nil:
		fault.Path = "/persist"
	case !name.Private:
		fault = &protocol.Error{Code: protocol.CodePersistPublic, Path: "/persist", Message: "Only messages of private channels can be persisted"}
	}
	return keep, fault
}

// A message is an entry as a backend reads it.
type message struct {
	ID       string          `json:"id"`
	Offset   uint64          `json:"offset"`
	Time     int64           `json:"time"` // Unix ms
	Event    string          `json:"event"`
	Payload  json.RawMessage `json:"payload"`
	Encoding string          `json:"encoding,omitempty"` // "base64" when the payload is raw bytes, written as a string
}

type historyPage struct {
	Epoch    string    `json:"epoch"`
	Offset   uint64    `json:"offset"` // where to go on: everything up to here was read
	More     bool      `json:"more"`
	Messages []message `json:"messages"`
}

const defaultHistory = 100

// history is GET …/messages: what came after a position, or the newest messages.
func (a *API) history(r *request) (answer, *problem) {
	name, _, refused := a.enter(r, auth.Join, auth.ReadHistory)
	if refused != nil {
		return answer{}, refused
	}
	limit, refused := number(r, "limit", defaultHistory, 1, protocol.MaxReplay)
	if refused != nil {
		return answer{}, refused
	}
	query := r.URL.Query()
	var page historyPage
	switch {
	case query.Has("after") && query.Has("since"):
		return answer{}, unreadable("?since", "give after or since, not both")
	case query.Has("after"):
		page, refused = a.catchUp(r, name.Log(), int(limit))
	default:
		page, refused = a.newest(r, name.Log(), int(limit))
	}
	return answer{status: http.StatusOK, body: page}, refused
}

// position reads ?<offset>= and ?epoch=. An offset means nothing without its
// epoch: a log that was replaced would be read with a hole.
func position(r *request, offset string) (engine.Position, *problem) {
	n, refused := number(r, offset, 0, 0, math.MaxInt64)
	if refused != nil {
		return engine.Position{}, refused
	}
	epoch := r.URL.Query().Get("epoch")
	if n > 0 && epoch == "" {
		return engine.Position{}, unreadable("?epoch", "%s needs the epoch that it counts in", offset)
	}
	return engine.Position{Epoch: epoch, Offset: n}, nil
}

func (a *API) catchUp(r *request, log string, limit int) (historyPage, *problem) {
	after, refused := position(r, "after")
	if refused != nil {
		return historyPage{}, refused
	}
	head, err := a.opts.Engine.Head(r.Context(), log)
	if err != nil {
		return historyPage{}, a.engineProblem("history", err)
	}
	if after.Epoch == "" {
		after.Epoch = head.Epoch
	}
	entries, err := a.opts.Engine.Read(r.Context(), log, after, limit)
	if err != nil {
		return historyPage{}, a.engineProblem("history", err)
	}
	page := historyPage{Epoch: after.Epoch, Offset: after.Offset, More: len(entries) == limit}
	if n := fitting(entries); n < len(entries) {
		entries, page.More = entries[:n], true
	}
	if len(entries) > 0 {
		page.Offset = entries[len(entries)-1].Offset
	}
	page.Messages = messages(entries)
	return page, nil
}

// newest reads the newest messages, of at least the instant ?since=.
func (a *API) newest(r *request, log string, limit int) (historyPage, *problem) {
	since, refused := number(r, "since", 0, 0, math.MaxInt64)
	if refused != nil {
		return historyPage{}, refused
	}
	// Before the messages, so that whoever goes on from here misses none.
	head, err := a.opts.Engine.Head(r.Context(), log)
	if err != nil {
		return historyPage{}, a.engineProblem("history", err)
	}
	entries, err := a.opts.Engine.Since(r.Context(), log, int64(since), limit)
	if err != nil {
		return historyPage{}, a.engineProblem("history", err)
	}
	page := historyPage{Epoch: head.Epoch, Offset: head.Offset}
	if len(entries) > 0 {
		page.Offset = max(page.Offset, entries[len(entries)-1].Offset)
	}
	for size, i := 0, len(entries)-1; i >= 0; i-- { // the newest are what was asked for
		if size += len(entries[i].Data); size > maxPageBytes && i < len(entries)-1 {
			entries = entries[i+1:]
			break
		}
	}
	page.Messages = messages(entries)
	return page, nil
}

// fitting is how many of the entries fit a page: one at least.
func fitting(entries []engine.Entry) int {
	size := 0
	for i := range entries {
		if size += len(entries[i].Data); size > maxPageBytes && i > 0 {
			return i
		}
	}
	return len(entries)
}

// messages leaves changes out: they are read as records.
func messages(entries []engine.Entry) []message {
	out := make([]message, 0, len(entries))
	for i := range entries {
		e := &entries[i]
		m := message{ID: e.ID, Offset: e.Offset, Time: e.Time}
		switch e.Kind {
		case engine.KindMessage:
			var pushed struct {
				Event   json.RawMessage `json:"event"`
				Payload json.RawMessage `json:"payload"`
			}
			_ = json.Unmarshal(e.Data, &pushed)        // clients may broadcast any object; it was JSON when it was logged
			_ = json.Unmarshal(pushed.Event, &m.Event) // and its event anything
			m.Payload = pushed.Payload
		case engine.KindBinary:
			event, payload := engine.SplitBinary(e.Data)
			m.Event, m.Encoding = event, "base64"
			m.Payload = protocol.AppendString(nil, base64.StdEncoding.EncodeToString(payload))
		default:
			continue
		}
		out = append(out, m)
	}
	return out
}
