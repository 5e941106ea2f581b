package session

import (
	"encoding/json"
	"errors"
	"math"
	"runtime"
	"slices"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/collection"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/hub"
	"github.com/chorale-rt/chorale/protocol"
)

// past is what a member is told of the time before it was live, read while the
// hub keeps what happens meanwhile.
type past struct {
	position engine.Position   // messages up to here are in messages, or were not asked for
	loaded   map[string]uint64 // per collection: the offset at which its pages were read, at or above position
	pages    []protocol.StoredPage
	messages []engine.Entry
	synced   []byte // payload of synced, nil without config.chorale
}

// catchUp reads the past, answers the join, sends the past and goes live, in
// the order of rule J1. When it returns an error nothing was sent. When the
// member is not live after that, more happened during the catch-up than is kept
// for it: the client is told to join again, and resumes from what it has.
func (s *Session) catchUp(f *protocol.Frame, r *joinRequest) (live bool, fault *protocol.Error) {
	p, fault := s.readPast(r)
	if fault != nil {
		return false, fault
	}
	r.position = p.position
	if fault := s.replyJoin(f, r); fault != nil {
		return false, fault
	}
	s.sendPast(r, p)
	if r.sub.member.GoLive(hub.Seen{Messages: p.position.Offset, Collections: p.loaded}) {
		return true, nil
	}
	s.send(errorFrame(s.version, r.sub, &protocol.Error{
		Code: protocol.CodeOverloaded, Message: "More happened during the join than is kept for it; join again", Retryable: true,
	}))
	return false, nil
}

// sendPast sends everything in one go: a conn that is not behind takes it
// whatever its size.
func (s *Session) sendPast(r *joinRequest, p past) {
	var out []protocol.Message
	add := func(event string, payload []byte) {
		out = append(out, protocol.EncodeText(s.version, "", "", r.sub.topic, event, payload))
	}
	if state := r.sub.member.PresenceState(); state != nil {
		add(protocol.EventPresenceState, state)
	}
	for i := range p.pages {
		out = append(out, protocol.EncodeRecords(s.version, r.sub.topic, &p.pages[i]))
		runtime.Gosched() // a large collection is long to compute, and nobody may be there to interrupt it (nonblock)
	}
	for i := range p.messages {
		if m := r.sub.member.Replay(&p.messages[i]); !m.Empty() {
			out = append(out, m)
		}
	}
	if p.synced != nil {
		add(protocol.EventSynced, p.synced)
	}
	if len(r.Postgres) > 0 {
		add(protocol.EventSystem, systemPayload("postgres_changes", "error",
			"This server has no database to listen to: use broadcasts or collections", r.sub.name.Name))
	}
	if r.ReplicationWait {
		add(protocol.EventSystem, systemPayload("system", okSystem, "Replication connection established", r.sub.name.Name))
	}
	if len(out) > 0 {
		s.send(out...)
	}
}

func systemPayload(extension, status, message, channel string) []byte {
	out := append([]byte(nil), `{"extension":`...)
	out = protocol.AppendString(out, extension)
	out = append(out, `,"status":`...)
	out = protocol.AppendString(out, status)
	out = append(out, `,"message":`...)
	out = protocol.AppendString(out, message)
	out = append(out, `,"channel":`...)
	out = protocol.AppendString(out, channel)
	return append(out, '}')
}

func (s *Session) readPast(r *joinRequest) (past, *protocol.Error) {
	log := r.sub.member.Log()
	head, err := s.deps.Engine.Head(s.ctx, log)
	if err != nil {
		return past{}, engineError(err)
	}
	p := past{position: head}
	if r.Chorale != nil {
		if err := s.readMissed(r, log, &p); err != nil {
			return past{}, engineError(err)
		}
		if fault := s.readCollections(r, log, &p); fault != nil {
			return past{}, fault
		}
		if p.synced, err = s.syncedPayload(r, &p); err != nil {
			return past{}, engineError(err)
		}
	}
	if r.Replay != nil && !r.resumed {
		if p.messages, err = s.readReplay(log, r.Replay); err != nil {
			return past{}, engineError(err)
		}
	}
	p.messages = upTo(p.messages, p.position.Offset)
	return p, nil
}

// readReplay reads the newest messages since an instant, up to the limit. What
// lies between them and is no message is not counted, so it asks for more until
// there are enough.
func (s *Session) readReplay(log string, replay *protocol.Replay) ([]engine.Entry, error) {
	for ask := replay.Limit; ; ask *= 4 {
		entries, err := s.deps.Engine.Since(s.ctx, log, replay.Since, ask)
		if err != nil {
			return nil, err
		}
		messages := onlyMessages(entries)
		if len(entries) < ask || len(messages) >= replay.Limit {
			return messages[max(0, len(messages)-replay.Limit):], nil
		}
	}
}

// readMissed reads the messages after the position that the client names
// (S1, S2).
func (s *Session) readMissed(r *joinRequest, log string, p *past) error {
	if r.Chorale.Resume == nil {
		r.reason = "new"
		return nil
	}
	after := engine.Position{Epoch: r.Chorale.Resume.Epoch, Offset: r.Chorale.Resume.Offset}
	if after.Epoch == p.position.Epoch && after.Offset < p.position.Offset && r.sub.may(auth.ReadHistory) != nil {
		r.reason = "truncated" // for who may not read the past, the log begins with the join
		return nil
	}
	for {
		entries, err := s.deps.Engine.Read(s.ctx, log, after, protocol.MaxReplay)
		switch {
		case errors.Is(err, engine.ErrEpoch):
			r.reason = "epoch"
		case errors.Is(err, engine.ErrTruncated):
			r.reason = "truncated"
		case errors.Is(err, engine.ErrFuture):
			r.reason = "future"
		case err != nil:
			return err
		}
		if r.reason != "" {
			p.messages = nil
			return nil
		}
		p.messages = append(p.messages, onlyMessages(entries)...)
		if len(entries) < protocol.MaxReplay {
			r.resumed = true
			p.position.Offset = max(p.position.Offset, last(entries))
			return nil
		}
		after.Offset = last(entries)
	}
}

func last(entries []engine.Entry) uint64 {
	if len(entries) == 0 {
		return 0
	}
	return entries[len(entries)-1].Offset
}

// onlyMessages leaves changes out: records resume by version (S3).
func onlyMessages(entries []engine.Entry) []engine.Entry {
	out := make([]engine.Entry, 0, len(entries))
	for _, e := range entries {
		if e.Kind != engine.KindChange {
			out = append(out, e)
		}
	}
	return out
}

// upTo leaves out what the hub keeps for the member anyway.
func upTo(entries []engine.Entry, offset uint64) []engine.Entry {
	for len(entries) > 0 && last(entries) > offset {
		entries = entries[:len(entries)-1]
	}
	return entries
}

// readCollections reads the records: all, or those that changed since the
// client's position (S3). Each collection is read at an offset of its own, and
// goes live from there.
func (s *Session) readCollections(r *joinRequest, log string, p *past) *protocol.Error {
	for _, name := range r.Chorale.Collections {
		since := r.holds(name, p.position)
		at, records, err := s.deps.Collections.Load(s.ctx, log, name, since)
		if errors.Is(err, engine.ErrTruncated) { // deletions since then are forgotten
			since = 0
			at, records, err = s.deps.Collections.Load(s.ctx, log, name, 0)
		}
		if err != nil {
			return engineError(err)
		}
		if p.loaded == nil {
			p.loaded = make(map[string]uint64)
		}
		p.loaded[name] = at.Offset
		p.pages = appendPages(p.pages, name, since == 0, at.Offset, records)
	}
	return nil
}

// holds is the offset at which the client has a collection, 0 when it must be
// loaded whole.
func (r *joinRequest) holds(name string, head engine.Position) uint64 {
	resume := r.Chorale.Resume
	switch {
	case resume == nil, resume.Epoch != head.Epoch, resume.Offset > head.Offset:
		return 0
	case resume.Collections != nil && !slices.Contains(resume.Collections, name):
		return 0
	}
	return resume.Offset
}

func appendPages(pages []protocol.StoredPage, name string, reset bool, offset uint64, records []protocol.StoredRecord) []protocol.StoredPage {
	if len(records) == 0 && !reset {
		return pages
	}
	for first := true; first || len(records) > 0; first = false {
		n := min(len(records), protocol.RecordsPerPage)
		pages = append(pages, protocol.StoredPage{
			Collection: name,
			Reset:      reset && first,
			Offset:     offset,
			Records:    records[:n],
			More:       n < len(records),
		})
		records = records[n:]
	}
	return pages
}

// syncedPayload is read after the records, so that what it settles is in them. An outcome
// whose own change is still to come is left out: that settles it.
func (s *Session) syncedPayload(r *joinRequest, p *past) ([]byte, error) {
	payload := protocol.Synced{Epoch: p.position.Epoch, Offset: p.position.Offset, Outcomes: []protocol.Outcome{}}
	if r.sub.client == "" {
		return json.Marshal(payload)
	}
	log := r.sub.member.Log()
	last, outcomes, fault := s.deps.Collections.Client(s.ctx, log, r.sub.client, r.sub.identity.Subject)
	if fault != nil {
		return nil, fault
	}
	payload.Last = last
	for _, o := range outcomes {
		comes, err := s.changeComes(log, p, o.Offset)
		if err != nil {
			return nil, err
		}
		if !comes {
			payload.Outcomes = append(payload.Outcomes, o)
		}
	}
	return json.Marshal(payload)
}

// changeComes says whether the member will be handed the change of an offset. Collections
// are read at offsets of their own: what is newer than one may be part of another, and of
// a collection that was not asked for nothing comes. Only what was written during this
// join is looked up.
func (s *Session) changeComes(log string, p *past, offset uint64) (bool, error) {
	if offset <= p.loadedUpTo() {
		return false, nil
	}
	entries, err := s.deps.Engine.Read(s.ctx, log, engine.Position{Epoch: p.position.Epoch, Offset: offset - 1}, 1)
	switch {
	case errors.Is(err, engine.ErrTruncated):
		return false, nil // better settled a moment before its change than never
	case err != nil:
		return false, err
	case len(entries) == 0 || entries[0].Offset != offset:
		return false, nil // likewise
	}
	name, _, _ := collection.ChangeHead(entries[0].Data)
	loaded, asked := p.loaded[name]
	return asked && offset > loaded, nil
}

// loadedUpTo is the offset up to which every collection was read.
func (p *past) loadedUpTo() uint64 {
	upTo := uint64(math.MaxUint64)
	for _, offset := range p.loaded {
		upTo = min(upTo, offset)
	}
	return upTo
}
