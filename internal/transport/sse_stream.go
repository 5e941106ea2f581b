package transport

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

// stream is the server's end of the fallback: a response that carries frames as
// server-sent events. It implements session.Conn.
//
// Send and Close may be called from any goroutine and never block; run is called
// once, by the goroutine of the request, and is the only one that writes. So a
// stream costs a goroutine and the buffers of its request more than a WebSocket
// does, and works wherever net/http does, over HTTP/2 as well.
type stream struct {
	id       string
	maxQueue int // bytes
	now      func() time.Time

	wake chan struct{} // one token: there is something for run to do
	gone chan struct{} // closed when run has returned

	heard    atomic.Int64 // Unix ms of the newest frame from the client
	wrote    atomic.Int64 // Unix ms since when the newest bytes are written
	progress atomic.Int64 // the same, or when something began to wait
	seat

	mu      sync.Mutex // guards the following
	control *http.ResponseController
	queue   []protocol.Message // what run did not take yet, in order
	queued  int                // bytes in queue, and those that run is writing
	taken   int                // bytes that run is writing
	grace   int                // of queued, what was let in whatever its size; see Send
	comment bool               // a comment is due
	closing bool               // nothing may follow but the close event
	cause   int
	reason  string
	severed bool // not even the close event
}

func newStream(id string, control *http.ResponseController, maxQueue int, now func() time.Time) *stream {
	st := &stream{id: id, control: control, maxQueue: maxQueue, now: now, wake: make(chan struct{}, 1), gone: make(chan struct{})}
	at := now().UnixMilli()
	st.heard.Store(at)
	st.wrote.Store(at)
	return st
}

// Send implements session.Conn. Whoever has no more waiting than the next write
// takes is not behind, however much is sent then: as with a socket, only that
// the catch-up of a large collection comes right behind the reply to its join,
// which run may not have written yet.
func (st *stream) Send(frames ...protocol.Message) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closing {
		return
	}
	size := 0
	for i := range frames {
		size += len(frames[i].Payload())
	}
	switch {
	case st.queued == 0:
		st.progress.Store(st.now().UnixMilli())
		fallthrough
	case st.queued < batchSize:
		st.grace = st.queued + size
	case st.queued-st.grace+size > st.maxQueue:
		st.dropLocked() // it would not read it in time anyway
		st.closeLocked(protocol.CloseSlowConsumer, "slow consumer: come back and resume")
		return
	}
	for i := range frames {
		st.queue = append(st.queue, frames[i].Kept())
	}
	st.queued += size
	st.wakeUp()
}

// Queue implements session.Conn. It is run who writes, so nothing is left to Flush.
func (st *stream) Queue(frames ...protocol.Message) { st.Send(frames...) }

// Flush implements session.Conn.
func (st *stream) Flush() {}

// Close implements session.Conn: an event with the code behind what is queued,
// then the end of the response.
func (st *stream) Close(code int, reason string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.closeLocked(code, reason)
}

func (st *stream) closeLocked(code int, reason string) {
	if st.closing {
		return
	}
	st.closing, st.cause, st.reason = true, code, reason
	st.deadlineLocked(time.Now().Add(lingerFor))
	st.wakeUp()
}

// sever ends the stream without a word.
func (st *stream) sever() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.closing, st.severed = true, true
	st.dropLocked()
	st.deadlineLocked(time.Now())
	st.wakeUp()
}

func (st *stream) dropLocked() { st.queue, st.queued = nil, st.taken }

// deadlineLocked bounds what run is writing. After run the response is not the
// stream's any more.
func (st *stream) deadlineLocked(at time.Time) {
	if st.control != nil {
		_ = st.control.SetWriteDeadline(at) // without one, the patience with the whole connection counts
	}
}

func (st *stream) wakeUp() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// isClosing says whether the stream has ended, or is about to.
func (st *stream) isClosing() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.closing
}

func (st *stream) lastHeard() int64 { return st.heard.Load() }

// stalled says since when (Unix ms) nothing was taken; 0 when nothing waits.
func (st *stream) stalled() int64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.queued == 0 {
		return 0
	}
	return st.progress.Load()
}

// commentAfter is how long a stream may be silent: some proxies end a response
// on which nothing came for 20 or 30 s.
const commentAfter = 15 * time.Second

// silence is the server's: what the client sends takes another way than its responses.
func (st *stream) silence() (since, patience int64) {
	return st.wrote.Load(), commentAfter.Milliseconds()
}

// keepAlive writes a comment, unless something has been written meanwhile.
func (st *stream) keepAlive(now int64) {
	if now-st.wrote.Load() < commentAfter.Milliseconds() {
		return
	}
	st.wrote.Store(now) // so that one that cannot be written does not become many
	st.mu.Lock()
	defer st.mu.Unlock()
	st.comment = true
	st.wakeUp()
}

// run writes events until the stream is closed, the client goes (ctx) or takes
// nothing any more.
func (st *stream) run(ctx context.Context, w http.ResponseWriter) {
	control := st.control
	defer st.leave()
	batch, last := appendEvent(nil, "open", []byte(`{"id":"`+st.id+`"}`)), false
	for {
		if len(batch) > 0 {
			st.wrote.Store(st.now().UnixMilli()) // before the client can have it
		}
		for piece := range slices.Chunk(batch, writeSize) {
			if _, err := w.Write(piece); err != nil {
				return
			}
			st.progress.Store(st.now().UnixMilli())
		}
		if len(batch) > 0 {
			if err := control.Flush(); err != nil {
				return
			}
		}
		if last {
			return
		}
		if cap(batch) > maxPooled { // one large frame is no reason to keep as much
			batch = nil
		}
		batch, last = st.next(batch[:0])
		if len(batch) > 0 || last {
			continue
		}
		select {
		case <-st.wake:
		case <-ctx.Done():
			return
		}
	}
}

// leave gives the response back to net/http.
func (st *stream) leave() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.closing = true
	st.queue, st.control = nil, nil
	close(st.gone)
}

const (
	// writeSize is how much is written at a time, so that progress shows.
	writeSize = 64 << 10
	// batchSize is how much is taken from the queue at a time: what was taken is
	// written whole, because an event cannot be left in the middle.
	batchSize = 64 << 10
)

// next takes what is to be written, which is appended to buf; last means that
// the stream ends behind it. What was taken before has been written.
func (st *stream) next(buf []byte) (batch []byte, last bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.queued -= st.taken
	st.grace = max(0, st.grace-st.taken)
	st.taken = 0
	for len(st.queue) > 0 && len(buf) < batchSize {
		buf = appendFrame(buf, st.queue[0])
		st.taken += len(st.queue[0].Payload())
		st.queue[0] = protocol.Message{} // its bytes need not live as long as the queue's array
		st.queue = st.queue[1:]
	}
	if st.comment {
		st.comment = false
		buf = append(buf, ":\n\n"...)
	}
	if !st.closing || len(st.queue) > 0 {
		return buf, false
	}
	if st.severed {
		return nil, true
	}
	return appendClose(buf, st.cause, st.reason), true
}

// appendFrame appends one frame as an event. Events are text: what a WebSocket
// would carry as a binary frame is an event of its own kind, in base64.
func appendFrame(buf []byte, m protocol.Message) []byte {
	if m.Binary() {
		buf = append(buf, "event: binary\ndata: "...)
		buf = base64.StdEncoding.AppendEncode(buf, m.Payload())
		return append(buf, "\n\n"...)
	}
	return appendEvent(buf, "", m.Payload())
}

// appendEvent appends an event; no name means a frame. data is JSON, so a line
// break in it is white space, and a blank says the same.
func appendEvent(buf []byte, name string, data []byte) []byte {
	if name != "" {
		buf = append(buf, "event: "...)
		buf = append(buf, name...)
		buf = append(buf, '\n')
	}
	buf = append(buf, "data: "...)
	start := len(buf)
	buf = append(buf, data...)
	if bytes.ContainsAny(data, "\r\n") {
		for i, c := range buf[start:] {
			if c == '\r' || c == '\n' {
				buf[start+i] = ' '
			}
		}
	}
	return append(buf, "\n\n"...)
}

// appendClose appends the event that a WebSocket's close frame is here.
func appendClose(buf []byte, code int, reason string) []byte {
	data := append([]byte(nil), `{"code":`...)
	data = strconv.AppendInt(data, int64(code), 10)
	data = append(data, `,"reason":`...)
	data = protocol.AppendString(data, reason)
	return appendEvent(buf, "close", append(data, '}'))
}
