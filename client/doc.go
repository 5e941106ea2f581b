// Package client is the Go client of Chorale: messages in one order, presence,
// and records that several people edit at once, for backends, bots and command
// lines. It has the semantics of @chorale/client, in Go's words.
//
//	c, err := client.Dial(ctx, "http://127.0.0.1:4000", &client.Options{Token: tokenOf})
//	…
//	defer c.Close()
//	room, err := c.Channel("interview:42", nil)
//	…
//	notes := room.Collection("notes")
//	m, err := notes.Put("", map[string]any{"content": "Pricing is confusing", "timestampMs": 61_000})
//	…
//	outcome, err := m.Wait(ctx)
//
// Rules in brackets are those of docs/protocol.md.
//
// # The connection
//
// [Dial] returns when the client is connected; [New] at once. From then on the
// client comes back by itself: after a lost socket with full jitter between 0.25
// and 30 s, after a restart within the window that the server names, after 4290
// slowly (C1, section 9); where there are several nodes, each time to the next of
// them. A server that is silent for 10 s after a heartbeat,
// which goes out every 15 s, counts as lost. Tokens come from a [TokenProvider],
// and are replaced over the standing connection before they expire (J5). What
// cannot pass by itself ends the tries and is said by [Status]: [NeedsAuth] and
// [Failed], until [Client.Reconnect].
//
// # Ordering and delivery
//
//   - A [Stream] of messages has each message of the log once, in the log's order
//     (R1), across disconnects: the client resumes from its position (S1). What
//     cannot be had any more is said with a [*Resync] in its place (R3, S2), and
//     never skipped in silence.
//   - [Channel.Publish] returns when the message is in the log (R2), and sends it
//     again under one id until it is (B2).
//   - A [Collection] shows what the server told with this client's unsettled
//     writes done to it (R6). A write is sent, unchanged, until its own change
//     comes back in the ordered stream; its effect is exactly-once (R4). Refusals
//     and conflicts are data: [Outcome] and [Client.Events].
//   - [Collection.Diffs] has each applied change of the records once, in the log's
//     order; after a disconnect, what the records have come to meanwhile (S3).
//   - Presence and ephemeral messages are lossy.
//
// # Concurrency
//
// Everything may be called from any goroutine. No method but those that take a
// context blocks. The client calls the token provider and nothing else of the
// program's, so nothing that a program does holds up the connection: it reads
// streams and ranges over states in goroutines of its own. What it does not read
// waits, up to [Options].BufferItems and BufferBytes; beyond them a stream gives
// up what waits and says so. States, members and snapshots are newest-wins, and
// need no buffer.
//
// # What is expected of callers
//
// [Client.Close] waits for every goroutine that the client has started; call
// [Client.Flush] before it when writes must have settled. Records, members and
// messages share memory with the client and must not be changed. The client keeps
// nothing on disk: writes that have not settled end with the process.
//
// # Inside
//
// One mutex guards all of a client, and nobody blocks while holding it. One
// goroutine waits for deadlines, and one socket has two, to read and to write.
// Decisions are pure: machine.go (when to come back), outbox.go, sender.go and
// base.go (what becomes of writes), roster.go (who is there), and
// [protocol.Reduce] (how edits merge).
//
// # Testing
//
// Timing is tested in synctest bubbles over pipes, everything else against the
// server itself, in this process. A model of one channel runs hundreds of seeded
// schedules of edits, drops, refusals and lost logs against the records. The
// vectors and conversations in conformance
// judge this client as they judge the server.
package client
