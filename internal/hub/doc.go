// Package hub is the fan-out: the channels of this node that have members.
//
// # What it is
//
// A [Hub] finds channels. A [Channel] watches one log and hands what happens
// there to its members. A [Member] is one session's membership. An event is
// encoded once per wire form and all members share the bytes.
//
// # Ordering and delivery
//
// The hub adds no order of its own: members are handed what the engine's watch
// delivers, in that order (R1). A member begins in catch-up: what happens is
// kept for it, so that its session can read the past; GoLive then hands over
// what is newer than the past that was read, and from there on delivery is
// direct. So there is no hole and no duplicate between the two (R3, J1).
//
// Members are handed frames in two steps: they are queued under the locks that keep the
// order, and written, by Flush, when nothing is locked any more (ADR 0027); by several
// goroutines when they are many (ADR 0031).
//
// # Back-pressure
//
// Handing over never blocks. A sink that cannot keep up closes itself; a member in
// catch-up that collects more than maxHeld frames is overrun and its session
// ends it. Who writes faster than a channel can be flushed waits in Flush, for at most
// what is being flushed.
//
// # Concurrency
//
// Join may be called concurrently, as may the methods of different members. The
// methods of one Member belong to its session, one call at a time.
package hub
