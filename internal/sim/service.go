package sim

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/collection"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

// service is an application's own server: it publishes and writes records as the
// HTTP API does for it, without a socket, and asks again until it is answered.
type service struct {
	world   *World
	busy    bool
	client  string
	n       uint64             // of the newest mutation
	pending *protocol.Mutation // not answered yet
	said    *engine.Write      // not answered yet
}

// identity is who a service is.
var identity = &auth.Identity{Subject: "service", Role: "authenticated", Claims: map[string]any{"sub": "service", "role": "authenticated"}}

func newService(w *World) *service { return &service{world: w, client: uuid.NewString()} }

// ask publishes or writes something, or asks again for what was not answered.
func (b *service) ask(s *server) bool {
	if b.busy {
		return false
	}
	switch w := b.world; {
	case b.pending == nil && b.said == nil && w.rng.IntN(2) == 0:
		b.compose()
	case b.pending == nil && b.said == nil:
		b.write()
	}
	b.busy = true
	b.world.run(func() {
		b.send(s)
		b.busy = false
	})
	return true
}

func (b *service) compose() {
	w := b.world
	w.messages++
	body := fmt.Sprintf(`{"type":"broadcast","event":"said","payload":{"n":%d,"by":"service"}}`, w.messages)
	b.said = &engine.Write{Kind: engine.KindMessage, ID: uuid.NewString(), Data: []byte(body)}
}

func (b *service) write() {
	w := b.world
	b.n++
	w.messages++
	m := protocol.Mutation{
		Client: b.client, N: b.n, ID: uuid.NewString(), Collection: "notes", Record: fmt.Sprintf("r%d", w.rng.IntN(6)),
		At: protocol.FormatTime(w.now().UnixMilli(), 0), Op: protocol.OpPatch,
		Fields: map[string]json.RawMessage{"title": json.RawMessage(fmt.Sprint(w.messages))},
	}
	if w.rng.IntN(4) == 0 {
		m.Op = protocol.OpPut
	}
	b.pending = &m
	w.asks(&m)
}

func (b *service) send(s *server) {
	channel := b.world.policy().Channel(room)
	if b.said != nil {
		write := *b.said
		write.Durability, write.Retention = channel.Durability, channel.Retention
		at, err := s.deps.Engine.Append(context.Background(), room.Log(), write)
		if err != nil {
			return
		}
		log := b.world.truth.log(room.Log(), at.Position.Epoch)
		if off := at.Position.Offset; off == 0 || off > uint64(len(log.entries)) || log.entries[off-1].id != write.ID {
			b.world.fail("[R2] message %s of the service is acknowledged at %d, where it is not", write.ID, off)
		}
		b.said = nil
		return
	}
	o, fault := s.deps.Collections.Apply(context.Background(), channel.Target(identity), b.pending, collection.Author{Subject: identity.Subject})
	switch {
	case fault != nil && !fault.Retryable:
		b.world.fail("[A1] mutation %d of the service: %v", b.pending.N, fault)
	case fault == nil:
		truth := b.world.truth.last[room.Log()].outcomes[numbered(b.client, b.pending.N)]
		if truth.offset != o.Offset || truth.status != o.Status {
			b.world.fail("[R4] mutation %d of the service is answered with %s at %d; it is %q at %d", b.pending.N, o.Status, o.Offset, truth.status, truth.offset)
		}
		b.world.answered(b.pending, o)
		b.pending = nil
	}
}
