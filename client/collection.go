package client

import (
	"context"
	"fmt"
	"iter"

	"github.com/google/uuid"

	"github.com/chorale-rt/chorale/protocol"
)

// Snapshot is a collection at one moment. What it refers to must not be changed.
type Snapshot struct {
	// Records are all that are not deleted, own pending writes included, ordered by
	// id.
	Records []*Record
	// Loaded is true once the server has told the whole collection.
	Loaded bool
}

// Collection is the records of one kind in a channel: what the server told, with
// this client's unsettled writes done to it by the same rules by which the server
// will merge them.
//
// Its methods may be called concurrently. Writes take effect in the order in which
// they were made, are shown at once, and wait while there is no connection.
type Collection struct {
	ch *Channel
	k  *kept
}

// Collection makes this client see and write a collection, which the channel's
// rule must name; otherwise the channel is refused with
// [protocol.CodeUnknownCollection]. Public channels have none.
func (ch *Channel) Collection(name string) *Collection {
	m := ch.m
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	return &Collection{ch, m.records.keep(name)}
}

// Name is the collection's name.
func (co *Collection) Name() string { return co.k.name }

// Get is a record as it is shown; nil when there is none, or it is deleted.
func (co *Collection) Get(id string) *Record {
	co.ch.m.c.mu.Lock()
	defer co.ch.m.c.mu.Unlock()
	return co.k.view.shown[id]
}

// Snapshot is all records as they are shown.
func (co *Collection) Snapshot() Snapshot {
	co.ch.m.c.mu.Lock()
	defer co.ch.m.c.mu.Unlock()
	return co.k.view.snapshot()
}

// Watch ranges over snapshots, the present one first. What changes while one is
// being handled comes as one. It ends with ctx, or when the channel is left.
func (co *Collection) Watch(ctx context.Context) iter.Seq[Snapshot] {
	m := co.ch.m
	return watch(ctx, &m.c.mu, &co.k.view.changed, func() (Snapshot, bool) { return co.k.view.snapshot(), m.ended != nil })
}

// Load waits until the server has told the whole collection, and returns it. It
// fails as [Channel.Ready] does.
func (co *Collection) Load(ctx context.Context) (Snapshot, error) {
	m := co.ch.m
	for {
		m.c.mu.Lock()
		s, rung := co.k.view.snapshot(), m.changed.wait()
		refused := m.state == Refused || m.state == Left
		m.c.mu.Unlock()
		switch {
		case s.Loaded && !refused:
			return s, nil
		case refused:
			return s, co.ch.Ready(ctx)
		}
		select {
		case <-rung:
		case <-ctx.Done():
			return s, co.ch.Ready(ctx)
		}
	}
}

// WriteOption varies one write.
type WriteOption func(*write)

// IfVersion makes a write strict: it is rejected with
// [protocol.CodeVersionConflict] unless the record has this version when the
// server decides. 0 means that there must be no such record.
func IfVersion(version uint64) WriteOption { return func(w *write) { w.IfVersion = &version } }

// Put makes a record. An id of "" is a new UUIDv7; a known one ends as [Exists].
//
// values is what marshals to a JSON object. A number in an [Increment] is a
// counter, an array of strings a set, everything else a field; names of the
// metadata (id, version, createdAt and so on) are passed over. The error, as of
// all writes, is a mistake of the call, [ErrQueueFull] when 10,000 writes wait in
// the channel, or that the channel was released; what becomes of a write that was
// taken is said by the [Mutation].
func (co *Collection) Put(id string, values any, options ...WriteOption) (*Mutation, error) {
	if id == "" {
		made, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("put in %s: %w", co.k.name, err)
		}
		id = made.String()
	}
	return co.write(protocol.OpPut, id, values, options)
}

// Patch changes a record: names that values does not have stay. A set is given as
// the whole new array, which becomes what must be added and taken away, or as
// [Elements]; a counter as an [Increment].
func (co *Collection) Patch(id string, values any, options ...WriteOption) (*Mutation, error) {
	return co.write(protocol.OpPatch, id, values, options)
}

// Delete deletes a record. An edit of it that is on its way at the same time does
// not bring it back.
func (co *Collection) Delete(id string, options ...WriteOption) (*Mutation, error) {
	return co.write(protocol.OpDelete, id, nil, options)
}

// Restore revives a deleted record with what it had, and may patch it in the same
// write.
func (co *Collection) Restore(id string, values any, options ...WriteOption) (*Mutation, error) {
	return co.write(protocol.OpRestore, id, values, options)
}

func (co *Collection) write(op protocol.Op, record string, values any, options []WriteOption) (*Mutation, error) {
	w := new(write)
	for _, option := range options {
		option(w)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("%s in %s: %w", op, co.k.name, err)
	}
	m := co.ch.m
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	if co.ch.released || m.ended != nil {
		return nil, co.ch.whyReleased()
	}
	if m.state == Refused {
		return nil, fmt.Errorf("%s in %s: %w", op, co.k.name, m.err)
	}
	e, err := m.records.write(co.k.name, op, record, id.String(), values, w.IfVersion)
	if err != nil {
		return nil, fmt.Errorf("%s in %s: %w", op, co.k.name, err)
	}
	return &Mutation{ID: e.write.ID, Record: record, e: e}, nil
}
