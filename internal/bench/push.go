package bench

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/protocol"
)

// Mode is what is pushed.
type Mode string

const (
	// Broadcast: messages of a public channel, kept in memory.
	Broadcast Mode = "broadcast"
	// Durable: messages of a private channel, whose rule says who may publish and that
	// an acknowledged one is on the disk's way (os).
	Durable Mode = "durable"
	// Notes: patches of records in the collection notes of a private channel, as
	// durable as its rule says.
	Notes Mode = "notes"
)

// validate says whether there is such a mode.
func (m Mode) validate() error {
	return hold(condition{m == Broadcast || m == Durable || m == Notes, fmt.Sprintf("mode %q: use %s, %s or %s", m, Broadcast, Durable, Notes)})
}

// notesCollection is the collection that Notes writes to; the rules of the notes
// app name it for channels interview:{id}.
const notesCollection = "notes"

// topic is the wire name of a run's channel. run keeps the channels of two runs
// against one server apart.
func (m Mode) topic(run string, channel int) string {
	if m != Broadcast {
		return fmt.Sprintf("%sinterview:bench-%s-%d", protocol.TopicPrefix, run, channel)
	}
	return fmt.Sprintf("%sbench-%s-%d", protocol.TopicPrefix, run, channel)
}

// A pushWriter makes the frames of one member's pushes. What does not change from
// one push to the next is made once. For one goroutine.
type pushWriter struct {
	mode   Mode
	writer uint32
	seq    uint32
	clock  hybridClock
	frame  clientFrame

	head   []byte // up to the ref; none: the protocol has no ref
	middle []byte // from there to n (notes), or to the text
	id     []byte // after n: the first 24 characters of mutation ids, quoted
	tail   []byte // after base, up to the text (notes)
	end    []byte // the text's padding, and what closes the frame
}

// pushOptions say whose pushes are made.
type pushOptions struct {
	mode     Mode
	topic    string
	writer   int    // index within the channel
	client   string // notes: the client id, a UUID
	record   string // notes: the record that this member patches
	textSize int    // bytes of text in a push, at least stampLen
}

func newPushWriter(o pushOptions) *pushWriter {
	w := &pushWriter{mode: o.mode, writer: uint32(o.writer)}
	pad := strings.Repeat(".", max(o.textSize-stampLen, 0))
	w.head = []byte(`["1","`)
	if o.mode == Notes {
		// Record and client are ids made here: nothing in them is ever escaped.
		w.middle = []byte(`","` + o.topic + `","` + protocol.EventMutate + `",{"client":"` + o.client + `","n":`)
		w.id = []byte(`,"id":"` + o.client[:24])
		w.tail = []byte(`,"op":"patch","collection":"` + notesCollection + `","record":"` + o.record + `","fields":{"content":"`)
		w.end = []byte(pad + `"}}]`)
		return w
	}
	w.middle = []byte(`","` + o.topic + `","` + protocol.EventBroadcast + `",{"type":"broadcast","event":"note","payload":{"text":"`)
	w.end = []byte(pad + `"}}]`)
	return w
}

// next makes the frame of the member's next push, due at an instant of the load's
// clock. unixMs is the wall clock and base the highest offset the member has
// seen; both are for Notes. The bytes are good until the next call.
func (w *pushWriter) next(at, unixMs int64, base uint64) []byte {
	w.seq++
	buf := append(w.frame.begin(), w.head...)
	n := uint64(w.seq)
	if w.mode == Notes {
		n++ // the first mutation made the record
	}
	if len(w.head) > 0 {
		buf = strconv.AppendUint(buf, n, 10)
	}
	buf = append(buf, w.middle...)
	if w.mode == Notes {
		buf = strconv.AppendUint(buf, n, 10)
		buf = append(buf, w.id...)
		buf = appendHex(buf, n, 12)
		buf = append(buf, `","at":"`...)
		buf = w.clock.append(buf, unixMs)
		buf = append(buf, `","base":`...)
		buf = strconv.AppendUint(buf, base, 10)
		buf = append(buf, w.tail...)
	}
	buf = stamp{at: at, writer: w.writer, seq: w.seq}.append(buf)
	buf = append(buf, w.end...)
	return w.frame.finish(buf)
}

// hybridClock is a hybrid logical clock of one author: its times only rise.
type hybridClock struct {
	ms      int64
	counter uint16
}

func (c *hybridClock) append(dst []byte, unixMs int64) []byte {
	switch {
	case unixMs > c.ms:
		c.ms, c.counter = unixMs, 0
	case c.counter == 1<<16-1:
		c.ms, c.counter = c.ms+1, 0
	default:
		c.counter++
	}
	dst = appendHex(dst, uint64(c.ms), 12)
	return appendHex(dst, uint64(c.counter), 4)
}

func appendHex(dst []byte, v uint64, width int) []byte {
	for shift := 4 * (width - 1); shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[v>>shift&0xf])
	}
	return dst
}

// A clientFrame puts the header of a masked text frame before a payload, in one
// buffer that is used again.
//
// The mask is zero: it keeps the rules of RFC 6455, 5.3 for the receiver, who
// unmasks as always, and costs the generator nothing. Masks protect proxies from
// pages that choose the bytes; this generator is no such page.
type clientFrame struct {
	buf     []byte
	scratch [ws.MaxHeaderSize]byte
	head    headWriter
}

// begin returns the buffer, with room for the header, to append a payload to.
func (f *clientFrame) begin() []byte {
	if f.buf == nil {
		f.buf = make([]byte, ws.MaxHeaderSize, 1024)
	}
	return f.buf[:ws.MaxHeaderSize]
}

// finish returns the frame whose payload was appended to what begin returned.
func (f *clientFrame) finish(buf []byte) []byte {
	f.buf = buf
	h := ws.Header{Fin: true, OpCode: ws.OpText, Masked: true, Length: int64(len(buf) - ws.MaxHeaderSize)}
	start := ws.MaxHeaderSize - ws.HeaderSize(h)
	f.head = buf[start:start]
	// Neither error can happen: the length is not negative, scratch is as large
	// as it must be, and headWriter takes everything.
	_ = ws.WriteHeaderBuffer(&f.head, h, f.scratch[:])
	return buf[start:]
}

// headWriter appends in place.
type headWriter []byte

func (w *headWriter) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}
