// Package transport turns the network into sessions: the WebSocket endpoint, its
// sockets, and their deadlines.
//
// # What it is
//
// [Server] is an http.Handler that checks the token, upgrades the connection and
// reads frames into a [Receiver] until the socket ends. Its sockets implement
// session.Conn.
//
// # Reading
//
// One goroutine per socket waits for the socket to become readable and borrows a
// buffer only then, so an idle connection holds none. A frame that has not
// arrived whole is kept; its memory grows with what arrived, never with what a
// header announces.
//
// A receiver may ask for a pause, as a session does for a client that is over its
// limits: then the socket is not read for a moment, and what the client sends
// fills its own buffers.
//
// # Writing
//
// Whoever has frames for a socket writes them itself, without waiting, in one
// system call. Only when the kernel takes no more does the rest go to a queue,
// and a goroutine that lives until the queue is empty. The queue is bounded in
// bytes; beyond it the socket is closed with protocol.CloseSlowConsumer, which
// costs less than stalling a channel, and loses nothing: the client resumes.
//
// # Deadlines
//
// One sweep looks at all sockets every few seconds: it pings, closes the idle,
// and cuts those that accept nothing any more. There is no timer per socket.
//
// # Concurrency
//
// Send and Close may be called from any goroutine and never block.
package transport
