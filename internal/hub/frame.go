package hub

import (
	"slices"
	"sync"

	"github.com/chorale-rt/chorale/internal/collection"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

type frameKind uint8

const (
	frameMessage frameKind = iota
	frameChange
	framePresence
)

// frame is one event on its way to members: what decides who gets it, and its
// encodings, each made when the first member needs it.
type frame struct {
	topic    string
	kind     frameKind
	entry    *engine.Entry // of messages and changes
	payload  []byte        // of presence
	replayed bool

	// Of changes (M7, M8).
	collection, client string
	applied            bool

	encoded [2]protocol.Message // by version
}

// batch is what members are handed at once.
type batch struct {
	frames  []frame
	scratch []protocol.Message    // for what one member gets of them
	all     [2][]protocol.Message // by version: all of several, for those who get them; made for the first
	turn    uint64                // the channel's
}

// shared is a list of what one member gets that nobody changes any more: the one that
// nearly all members get is made once.
func (b *batch) shared(v protocol.Version, out []protocol.Message) []protocol.Message {
	if len(out) < len(b.frames) {
		return slices.Clone(out)
	}
	if b.all[v-1] == nil {
		b.all[v-1] = slices.Clone(out)
	}
	return b.all[v-1]
}

func entryFrame(topic string, e *engine.Entry, replayed bool) frame {
	f := frame{topic: topic, entry: e, replayed: replayed}
	if e.Kind == engine.KindChange {
		f.kind = frameChange
		f.collection, f.client, f.applied = collection.ChangeHead(e.Data)
	}
	return f
}

// offset is the frame's place in the log, 0 when it has none.
func (f *frame) offset() uint64 {
	if f.entry == nil {
		return 0
	}
	return f.entry.Offset
}

// message returns the encoding for a version; empty when that version cannot
// carry it (F4).
func (f *frame) message(v protocol.Version) protocol.Message {
	m := &f.encoded[v-1]
	if m.Empty() {
		*m = f.encode(v)
	}
	return *m
}

func (f *frame) encode(v protocol.Version) protocol.Message {
	switch {
	case f.kind == framePresence:
		return protocol.EncodeText(v, "", "", f.topic, protocol.EventPresenceDiff, f.payload)
	case f.kind == frameChange:
		return f.encodeChange(v)
	}
	meta := protocol.BroadcastMeta{ID: f.entry.ID, Offset: f.entry.Offset, Replayed: f.replayed}
	if f.entry.Kind != engine.KindBinary {
		return protocol.EncodeBroadcast(v, f.topic, f.entry.Data, meta)
	}
	if v == protocol.V1 {
		return protocol.Message{}
	}
	event, payload := engine.SplitBinary(f.entry.Data)
	return protocol.EncodeBinaryBroadcast(f.topic, event, payload, meta)
}

// payloads holds buffers for what a frame is made of and nobody else sees.
var payloads = sync.Pool{New: func() any { return new([]byte) }}

func (f *frame) encodeChange(v protocol.Version) protocol.Message {
	const most = 64 << 10 // larger ones are not kept
	buf := payloads.Get().(*[]byte)
	defer payloads.Put(buf)
	payload := collection.AppendChange((*buf)[:0], f.entry)
	if cap(payload) <= most {
		*buf = payload
	}
	return protocol.EncodeText(v, "", "", f.topic, protocol.EventChange, payload)
}

// wanted says whether a member with these options gets the frame.
func (f *frame) wanted(o *Options) bool {
	switch f.kind {
	case framePresence:
		return o.Presence
	case frameChange:
		if !f.applied {
			// M8: its author, whatever collection it was meant for; and the same
			// client on another connection, but only when that one may read what
			// a refusal can hold. Client ids are no secret.
			return f.client == o.Client && (f.entry.Origin == o.Origin || slices.Contains(o.Collections, f.collection))
		}
		return slices.Contains(o.Collections, f.collection)
	}
	return o.Self || f.entry.Origin == "" || f.entry.Origin != o.Origin
}
