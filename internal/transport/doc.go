// Package transport turns the network into sessions: the WebSocket endpoint, the
// fallback of events and POSTs for networks that block it, and their deadlines.
//
// # What it is
//
// [Server] is an http.Handler that checks the token, upgrades the connection and
// reads frames into a [Receiver] until the socket ends. Its sockets implement
// session.Conn.
//
// [Server.Register] adds the routes of all. What is said of sockets here holds
// for the fallback's streams, with the differences under that heading; one suite
// of tests runs over both, and over lanes.
//
// # Connecting
//
// [Server.Front] stands before net/http. A connection is waited for from its first byte
// as sockets are; when its request turns out to be a plain one for a WebSocket it is
// one, under the same descriptor, and otherwise it is given away with what was read.
// Whatever is refused is, too, so that there is one place that answers (ADR 0026).
//
// # Reading
//
// One goroutine waits for all sockets (epoll on Linux; kqueue on macOS, FreeBSD and
// NetBSD, where it keeps a thread). A socket that is readable is worked for by a goroutine of its own for as
// long as there is something to do, so that a receiver which waits for a disk keeps
// nobody else waiting; an idle socket has none. On other systems, and for conns without
// a descriptor, each socket has a goroutine that reads it.
//
// A buffer is borrowed when there is something to read, so an idle connection holds
// none; only a conn without a descriptor, as one of TLS, keeps one. A frame that has
// not arrived whole is kept; its memory grows with what arrived, never with what a
// header announces.
//
// Reads and writes that do not wait are not announced to Go's scheduler (package
// nonblock): after each full read a socket lets others have their turn.
//
// A receiver may ask for a pause, as a session does for a client that is over its
// limits: then the socket is not read for a moment, and what the client sends
// fills its own buffers.
//
// # Writing
//
// Frames are queued under the socket's lock, and written without it by whoever has
// queued them, in one system call that does not wait, together with what others have
// queued (ADR 0027). One goroutine writes at a time; the others leave it to that one. When
// the kernel takes no more, the rest is written when an event says that there is room
// (without a poller: by a goroutine that lives until nothing waits). Then what waits
// has a bound in bytes, beyond which the socket is closed with
// protocol.CloseSlowConsumer: that costs less than stalling a channel, and loses
// nothing, because the client resumes. Who writes to many, behind Queue by Flush, gives
// others their turn now and then.
//
// # The fallback
//
// A stream is a response that goes on; the goroutine of its request is the only
// one that writes, so Send always queues. POSTs hand in frames by number, one
// after the other; who waits for its turn has not had its body read.
//
// # Lanes
//
// A shared socket carries several sessions (W1 to W5), each of which has a lane of
// it as its conn. What is read goes to the session of its lane, one frame after the
// other; what is written is copied behind the lane's number, because the bytes are
// others' as well. The queue is the socket's: a slow reader is cut off as a whole.
// A session whose lane is closed from here is ended in a goroutine, for which the
// socket's end waits.
//
// # Deadlines
//
// A silent client is pinged, an idle one closed, lanes among them; who accepts nothing any
// more is cut, and who has not asked for anything ten seconds after it came. There is no
// timer per connection, and no walk over all: a timing wheel says whom to look at, and each
// look says when the next has to be (ADR 0030). Whoever is heard of only notes when. A
// deadline is met within a tenth of a second. Reminders (pings, the comments of streams,
// the end of who asks for nothing) come up to a tenth later than they might, each
// connection's at a time of its own, so that those who came together are not all written
// to at once.
//
// # Concurrency
//
// Send, Queue, Flush and Close may be called from any goroutine and never block. Flush may
// give others their turn, so nothing that they need may be locked.
package transport
