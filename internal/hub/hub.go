package hub

import (
	"context"
	"fmt"
	"sync"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/metrics"
	"github.com/chorale-rt/chorale/protocol"
)

// Hub finds the channels of this node.
type Hub struct {
	eng     engine.Engine
	metrics Metrics

	mu       sync.Mutex // guards the following, and each Channel's refs
	channels map[protocol.Channel]*Channel
}

// Metrics is what the hub counts.
type Metrics interface {
	// Delivered is where a new channel counts the frames that members are handed, once
	// per batch.
	Delivered() *metrics.Cell
	// ChannelsChanged adds to the number of channels with members.
	ChannelsChanged(delta int)
}

// New returns a hub over an engine.
func New(eng engine.Engine, m Metrics) *Hub {
	return &Hub{eng: eng, metrics: m, channels: make(map[protocol.Channel]*Channel)}
}

// Sink takes frames for one session. Both may be called from any goroutine and must
// not block.
type Sink interface {
	// Queue takes frames behind those it was handed before. They are not written
	// before Flush, which follows soon. Of several the slice is the sink's too, and does
	// not change any more. The member and its channel are locked.
	Queue(frames ...protocol.Message)
	// Flush writes what is queued, by whomever. Nothing of the hub's is locked: it may
	// give others their turn.
	Flush()
}

// Options say what a member wants to see.
type Options struct {
	Version     protocol.Version
	Self        bool     // deliver its own broadcasts
	Presence    bool     // deliver presence_diff
	Origin      string   // what its own entries carry as Entry.Origin
	Collections []string // deliver changes of these
	Client      string   // and refusals of this client id's mutations

	// Broken is called when what follows does not continue what the member was
	// handed, once or more often; it must not block. It should leave.
	Broken func()
}

// Join makes a member of a channel, in catch-up. The session must call GoLive
// or Leave.
func (h *Hub) Join(ctx context.Context, name protocol.Channel, sink Sink, o Options) (*Member, error) {
	ch := h.acquire(name)
	if err := ch.open(ctx); err != nil {
		h.release(ch)
		return nil, fmt.Errorf("join %s: %w", name.Name, err)
	}
	m := &Member{channel: ch, sink: sink, opts: o, catchUp: new(catchUp)}
	ch.add(m)
	return m, nil
}

func (h *Hub) acquire(name protocol.Channel) *Channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	ch := h.channels[name]
	if ch == nil {
		ch = newChannel(h, name, h.metrics.Delivered())
		h.channels[name] = ch
		h.metrics.ChannelsChanged(1)
	}
	ch.refs++
	return ch
}

func (h *Hub) release(ch *Channel) {
	h.mu.Lock()
	ch.refs--
	last := ch.refs == 0
	if last {
		delete(h.channels, ch.name)
		h.metrics.ChannelsChanged(-1)
	}
	h.mu.Unlock()
	if last {
		ch.close()
	}
}

// Channels is the number of channels that have members here.
func (h *Hub) Channels() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.channels)
}
