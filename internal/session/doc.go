// Package session serves one client connection: what it joined, what it may do,
// and what it is told.
//
// # What it is
//
// A [Session] is handed the frames of one socket, in order, and answers through
// a [Conn]. It decodes (protocol), asks what is allowed (policy), and appends
// (engine, collection); what comes of it is delivered by the hub. Nobody is
// delivered to on the way in.
//
// # Ordering
//
// Frames are handled strictly one after the other. A reply is sent after what it
// speaks of: the own copy of a message before its acknowledgement, a change
// before the answer to its mutation.
//
// Pushes that were read at once are a burst: what they write reaches each
// member in one piece at its end, and their answers follow. A frame that comes
// alone waits for nothing.
//
// # Limits
//
// Each push is charged to its sender before its payload is looked at, and each write to its
// channel once it is known to be allowed. What is beyond is answered or dropped
// here (L1 to L4) and reaches neither hub nor engine. How much is allowed is decided
// by package limit.
//
// # Concurrency
//
// Receive is called by one goroutine, the transport's reader. Close may be
// called from any. Deliveries of the hub go to the Conn and do not pass through
// the session.
package session
