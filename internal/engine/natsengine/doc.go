// Package natsengine is the engine for more than one node: logs are kept in NATS
// JetStream, and every node that uses a channel has what it needs of it in memory
// (package chanlog).
//
// # Where things are
//
// Channels are spread by a hash of their name over a fixed number of streams. A
// channel's log is the messages of one subject, because that is what the servers
// compare and publish the "sequence before" of. A message is a batch of entries
// with dense offsets, or a base: all that the channel held at an offset, so that
// what came before it can be deleted. What is too large for one message goes ahead
// in pieces under another subject, and the message says where they are.
//
// # How an append travels
//
// A node decides over the appends that wait in a channel (ids, conditions,
// offsets) and publishes them as one batch, on the condition that the log ends
// where the node believes. When it does not, the node was behind: the servers
// refuse the batch, the node reads what it lacks and decides anew. So every
// decision was made by who knew all before it, and E1, E4 and E5 hold over nodes
// without locks. When no answer comes the node asks again, as a leader that steps
// down answers nothing any more, and after two seconds it looks: its batch is in
// the log, or another one is, or none; then the same batch is sent again, which
// the condition makes harmless. When that place was compacted away meanwhile, what
// the log keeps at the batch's offsets shows whose they are; when it keeps nothing
// there nobody knows, and the appends fail with engine.ErrUnavailable. One goroutine
// does that for a channel, for as long as something waits.
//
// # How entries reach watchers
//
// The streams publish what they stored on a subject of core NATS, and a node
// listens to those of the channels it has loaded: one subscription for a channel,
// however many watch. A message that continues what the node has is applied and
// delivered; own ones as soon as they are acknowledged. Else the node reads what is
// missing from the stream, and applies what one request reads before it reads on.
// Such live messages may get lost, the last one of a
// channel without a trace, so there are four ways to notice: a quiet channel is
// compared with the leader after a second and then ever more seldom, who wrote
// last tells with its next sign of life where the log ends, who is not sure
// whether its batch was stored says so, and after a lost connection all channels
// are compared. Head asks the leader each time (E9).
//
// # Leases, Send, and other nodes
//
// They go over core NATS and are not stored. Both carry the place in the log
// behind which they happened, and wait for it where they arrive. Each node knows
// its own leases for sure; changes are numbered, and who sees a gap, loads a channel
// or meets a node asks. An answer says up to which number it is complete, and one about
// all channels has an end: what it left out is asked for. Nodes give a sign of life every second; the leases of one
// that is silent for five, or says goodbye, end.
//
// # Epochs
//
// A log begins in the epoch of its stream, which is made with the stream. When a
// stream has less of a log than a node has applied, that node begins a new epoch
// for it with a base; that the servers store it proves the loss, because a leader
// that is cut off from the others cannot. Watchers are told with Event.Reset, as
// they are when a node was away for so long that what it missed was deleted.
//
// # When the servers are away
//
// Appends wait for Options.Patience, and fail with engine.ErrUnavailable; what
// was sent by then may have been stored. They fail at once when nothing could be
// written for as long. Reads of what is in memory go on, Head does not. Everything
// goes on by itself when there is a leader again.
//
// # When watchers are slow
//
// A node that has handed out more in a channel than its watchers were flushed of
// waits for them before it sends an append or applies what others wrote (E10). Who
// appends or asks for the head there waits for Options.Patience and is told
// engine.ErrOverloaded: the servers have no part in that, and Healthy does not count
// it.
//
// # Deleting
//
// A base is written by the node whose message made the log longer than three
// times what the channel holds; for a quiet channel whose entries were dropped by the
// node with the lowest id, or by any that has the channel when that does not. A channel
// that has left memory is loaded once more when the last of its entries is dropped. A
// large base is sent ahead in pieces, and given up when another one came since: whoever
// stored that may have deleted them.
//
// # Memory
//
// As in the embedded engine, all channels together hold no more than
// Options.MaxMemory (E8). Channels that nobody watches leave it; nothing is lost by
// that.
package natsengine
