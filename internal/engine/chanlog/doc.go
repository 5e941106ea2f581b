// Package chanlog is one channel's log in memory: what every engine keeps of a
// channel that is in use, whichever store is below. It decides over appends,
// shows what was committed, drops what is no longer kept, and answers reads. It
// knows no disk, no network, no clock and no goroutine.
//
// What was sequenced and what was published differ while a commit is under way.
// Log.Sequence decides over an append: the id and the conditions are checked
// against everything that was sequenced before, and the entry gets its offset.
// Log.Publish shows it once it is committed. Readers see what was published. An
// engine whose commit failed takes the decisions back with Log.Rollback.
//
// Times are Unix ms, and given by the caller. Nothing here is safe for
// concurrent use; but records and values are immutable once they were sequenced, and
// so are the bytes of what is kept, so that readers may share them.
//
// What is kept is encoded, in pages without pointers (Tail): the garbage collector
// has nothing to do with it (docs/adr/0024).
//
// The package also encodes records and values: with a version, as both stores
// have them.
package chanlog
