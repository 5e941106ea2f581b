// Package embedded is the engine that lives inside the server's process: it
// sequences in memory and keeps what must last in a Pebble store on this
// machine's disk. It is the default, for one node.
//
// # How an append travels
//
// Channels are spread over shards by a hash of their name. An append is
// sequenced under its shard's lock: the idempotency id and the conditions are
// checked against what was sequenced before, whether that is committed or not,
// and the entry gets its offset. Then it queues. If nobody is leading the shard
// the appender becomes the leader: it takes everything that is queued, commits
// it as one batch outside the lock, publishes it under the lock, hands it to the
// watchers outside the lock, and wakes those it worked for. Before it flushes the
// watchers, which may take long, somebody else leads (E10). Others who arrive
// meanwhile wait for the next round. A lone writer thus never waits for another
// goroutine, many writers share one commit, and as there is one leader at a time
// the order of delivery is the order of offsets.
//
// Tables are written by Pebble's own goroutines, on a machine with few processors in
// short turns (tableFile), so that no append waits for one of them.
//
// Entries that live in memory only, leases and Send take the same way without a
// commit. They wait behind at most one.
//
// # Durability
//
// A channel with a single durable entry persists all it has: its kept entries
// and values go into the batch of the first durable append. Pebble only calls a
// write safe once its log was synced, and keeps the log's tail in this process
// until then; so every commit asks for a sync, and the file system under Pebble
// (walFS) hands the log to the operating system each time but calls fsync only
// while somebody waits for Disk.
//
// # Epochs
//
// A channel's epoch is made when its log begins, and is stored with it. A log
// that lived in memory and is gone begins anew under another epoch. If the
// machine went down without Close, writes that were with the operating system
// only may be missing: Open sees that the machine was started anew, and from
// then on all stored channels are in the next generation, which is a new epoch.
//
// # When the disk misbehaves
//
// On a full disk a ballast file is released so that what is under way can
// finish; then durable appends are refused with engine.ErrUnavailable until the
// ballast can be made again. After any other write error of the store durable
// appends are refused until the process starts again, because only reading the
// log anew tells what is in it. Reads, and channels that live in memory, go on.
// One case is left in which Pebble ends the process: a log that fails while it
// is being rotated. Nothing that was acknowledged is lost by that.
//
// # When the disk lies
//
// Open looks at what Pebble would pass over: the newest log and the manifest for
// damage before their end, and the ends of tables. A store in which something
// that was acknowledged would be missing is refused. Blocks of tables have
// checksums: a channel of which one is wrong is unavailable, and the others are
// not, until a compaction meets it, which ends writing. One thing cannot be told
// from a write that a crash cut short: damage to the very last entry of a log that
// was not closed.
//
// # Backups and formats
//
// Backup copies what is stored at one moment, while the engine serves: keys and
// values as package backup has them, with the format of the layout and not with
// Pebble's files. Restore makes a store of that; its channels have new epochs, for
// it is an older history. A store, and a backup, of any older format is brought to
// the newest one step after the other when it is opened; a newer one is refused.
//
// # Memory
//
// A channel in use holds its kept entries (engine.Retention, and beside them
// those that stay longer, engine.Write.Keep) and its values in
// memory. Channels that nobody watches or used for a while leave it; those with
// something that is not on disk stay until retention took it.
//
// All channels together hold no more than Options.MaxMemory (E8). One sum counts
// what they hold and what waits. Before it passes the bound, room is made for an
// eighth of it: of the channels without watchers and leases, first those leave
// that lose nothing by it, because they are on disk or never had an entry; then
// those that are in memory only, which go on under another epoch (E7). Among
// each kind who was used longest ago goes first. When what is left still fills
// the memory, nothing more comes in: appends, leases and the loading of channels
// are refused with engine.ErrOverloaded until watchers leave or retention takes
// something. What was acknowledged in a channel that is watched or stored is
// never given up for room.
package embedded
