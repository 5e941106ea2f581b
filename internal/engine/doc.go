// Package engine is the contract between Chorale and whatever keeps its logs.
//
// # What it is
//
// An engine keeps one log per channel: entries in one order, each with an
// offset. An entry may set keys of its channel; the newest value of each key is
// the channel's state. Live delivery, history, resume and the records of a
// collection are views of that one log.
//
// # Guarantees
//
// Every implementation passes the suite in enginetest, whose tests carry these
// numbers.
//
//   - E1: one total order per channel. Every watcher sees the same entries in
//     the same order, which is the order of their offsets.
//   - E2: no gap. Each entry names the offset before it in Prev. A watcher gets
//     every entry after the position that Watch returned, once.
//   - E3: when Append returns without an error the entry is as durable as it
//     asked, and every watcher on this node was handed it. Memory lives as long
//     as the process; OS survives kill -9; Disk survives power loss.
//   - E4: an append with the ID of an entry that the channel still keeps is not
//     appended again; it returns that entry's position and Duplicate. A repeat
//     that arrives while the first is in flight waits for it.
//   - E5: conditions are linearizable per key: of two appends that name the
//     same version of a key, one fails with a *ConflictError.
//   - E6: a key's value stays until it is replaced; a tombstone stays for
//     Options' tombstone age. Other entries stay for the channel's Retention,
//     or longer when their append said so (Write.Keep). Read says ErrTruncated instead of leaving out an entry that set no key.
//   - E7: a log that lost entries has a new epoch. Positions of another epoch
//     are refused with ErrEpoch, positions ahead of the log with ErrFuture.
//   - E8: back-pressure is an error (ErrOverloaded), never unbounded memory. A
//     store that cannot be written refuses appends with ErrUnavailable; what it
//     acknowledged before stays readable.
//   - E9: nodes may lag behind each other, and Head tells how far they are: what
//     it returns is not older than anything that any node has acknowledged before
//     the call, nor is anything that the same node is asked afterwards. A node that
//     cannot know answers ErrUnavailable, and one that its own watchers hold up (E10)
//     ErrOverloaded. Nor is a position called ErrFuture because a node has not heard
//     of it.
//   - E10: what a watcher does in Flush keeps nobody's append waiting but that of
//     who wrote, and is waited for by nobody else or by nobody at all; everything that
//     was delivered is flushed. What is delivered and not flushed has a bound: who
//     writes waits, or is told ErrOverloaded.
//
// # Concurrency
//
// All methods may be called concurrently. Byte slices handed to an engine
// belong to it afterwards; slices it returns or delivers are shared and must
// not be changed.
package engine
