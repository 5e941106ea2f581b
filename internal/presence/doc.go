// Package presence knows who is in a channel and what they say of themselves.
//
// # What it is
//
// Each member that tracks itself holds a lease in the engine, whose value is
// made by [Encode]. A [State] is the fold of a channel's lease events: it answers
// with the presence_diff that an event means, and with the presence_state of
// the moment. It is the Phoenix presence wire (docs/protocol.md, section 6).
//
// # Concurrency
//
// A State belongs to one goroutine at a time; the hub guards it with the
// channel's lock. Everything else is pure.
package presence
