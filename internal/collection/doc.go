// Package collection keeps the records of a channel: it decides what becomes of
// a mutation, and appends that decision to the channel's log.
//
// # What it is
//
// The core is pure. [protocol.Reduce] merges a mutation into a record (rules M2,
// M3, M6 of docs/protocol.md), here as in clients; decide puts the conditions
// around it (M4, M5). Store is the
// shell: it reads what the decision needs from an [engine.Engine], and appends
// one entry that carries the change, the record and the client's row, on the
// condition that neither key has moved. Nothing is kept in this process, so any
// node may take a mutation, and a restart changes no answer.
//
// # Guarantees
//
//   - M1, R4: per channel and client the effect is exactly-once. A repeat is
//     answered with the first outcome while it is among the newest 64, and with
//     "unknown" after that. The client's row is kept for the engine's tombstone
//     age after its last mutation; later the client is told client_unknown.
//   - Decisions are linearizable per record: the entry is appended only if the
//     record and the client's row are as they were read.
//   - A refusal is an entry like any other; an error consumed nothing.
//
// # Layout of the log
//
// Keys of a channel:
//
//	r/<collection>/<record id>   JSON of protocol.Record without "version";
//	                             a tombstone while the record is deleted
//	c/<client id>                the client's row, see row.go; always a
//	                             tombstone, so that it ages
//
// A record's version, and the offset of a client's newest outcome, are the
// offset of the entry that wrote them. It is not known before the append, so
// neither is stored: the engine's Value.Version says it, and readers put it in.
//
// The Data of an entry of engine.KindChange is a small header for those who only
// route, and the JSON of protocol.Change without "offset":
//
//	byte      layout, 1
//	byte      flags: 1 = applied
//	uvarint   length of the collection's name, and the name
//	uvarint   length of the client id, and the id
//	uvarint   where in the JSON the version of its "state" belongs; 0: nowhere
//	JSON      to the end
//
// [ChangeHead] reads the header, [AppendChange] makes the wire's form. Both
// copy bytes and decode nothing.
//
// # Concurrency
//
// A Store may be used concurrently. Mutations of one client and channel are
// expected one after the other: what overtakes is refused with out_of_order.
// Mutations of one record may collide; the loser reads again, queues behind
// others of this node, and gives up with "overloaded" after 32 attempts.
//
// # Testing
//
// The merge is judged by conformance/collections/reducer.json, in package
// protocol and in the TypeScript client.
package collection
