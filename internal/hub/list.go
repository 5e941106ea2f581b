package hub

import "github.com/chorale-rt/chorale/protocol"

// Info is what an operator sees of a channel.
type Info struct {
	Name    protocol.Channel
	Members int
}

// List returns the channels that have members here, in no order. It is for
// operators: it looks at every channel.
func (h *Hub) List() []Info {
	h.mu.Lock()
	channels := make([]*Channel, 0, len(h.channels))
	for _, ch := range h.channels {
		channels = append(channels, ch)
	}
	h.mu.Unlock()
	out := make([]Info, len(channels))
	for i, ch := range channels {
		ch.mu.Lock()
		out[i] = Info{Name: ch.name, Members: len(ch.members)}
		ch.mu.Unlock()
	}
	return out
}

// Origins returns Options.Origin of the members that a channel has here, in the
// order in which they joined.
func (h *Hub) Origins(name protocol.Channel) []string {
	h.mu.Lock()
	ch := h.channels[name]
	h.mu.Unlock()
	if ch == nil {
		return nil
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	out := make([]string, len(ch.members))
	for i, m := range ch.members {
		out[i] = m.opts.Origin // set at Join, and never again
	}
	return out
}
