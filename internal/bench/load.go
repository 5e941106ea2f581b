package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/chorale-rt/chorale/protocol"
)

// openers is how many connections are opened at a time while a load is set up.
const openers = 32

// A crowd is the shape of a load: so many channels, so many members in each, of
// whom the first writers push.
type crowd struct {
	mode     Mode
	channels int
	members  int // per channel
	writers  int // per channel
	shared   int // channels whose members share connections, 0 or 1: each has one of its own
	textSize int // bytes of text in a push
}

// conns is how many connections that takes: one for each member of as many channels
// as share them.
func (c crowd) conns() int {
	share := max(c.shared, 1)
	return (c.channels + share - 1) / share * c.members
}

// A load is one run against one subject: its clock, its members, and what they
// saw. One goroutine drives it, and one reads for all whom the loop can read for;
// others have one each.
type load struct {
	crowd   crowd
	subject subject
	base    time.Time
	members []*member // channel by channel
	topic   []byte    // of a channel, without its number
	loop    *loop
	readers sync.WaitGroup // the loop, those beside it, and who writes answers
	arrived chan struct{}  // holds at most one: something was delivered

	// The measured window is [from, until), instants of the clock. The latency of a
	// push counts when it was due in it.
	from, until atomic.Int64

	beside companion     // what begins with the window, which does not end before it; nil: nothing
	giveUp time.Duration // how late a push may be made before the whole load is given up; 0: as late as it will be

	latency    Histogram
	late       Histogram    // how late pushes were made
	arrivals   atomic.Int64 // deliveries that arrived within the window, whenever they were due
	received   atomic.Int64 // deliveries ever
	answered   atomic.Int64 // replies to pushes
	beats      atomic.Int64 // replies to heartbeats
	disordered atomic.Int64
	faults     faults
	closing    atomic.Bool
}

// A companion is what goes on beside a load that is measured. Its methods do not wait.
type companion interface {
	begin() error
	over() bool
}

// A member is one connection in one channel. Those of several channels may share it.
type member struct {
	sock *socket
	ear  ear         // nil where our own protocol is spoken; used by the member's reader only
	form form        // of what it is sent; likewise
	push *pushWriter // used by the driving goroutine only

	offset atomic.Uint64 // highest one seen

	// By writer of the channel; used by the member's reader, and by anybody once
	// it has ended.
	last  []uint32 // highest sequence number seen
	count []uint32 // deliveries
}

// openLoad connects everybody and starts reading. close must be called, also
// after an error.
func openLoad(ctx context.Context, s subject, c crowd, run string) (*load, error) {
	l := &load{crowd: c, subject: s, base: time.Now(), members: make([]*member, c.channels*c.members), arrived: make(chan struct{}, 1)}
	l.topic = []byte(strings.TrimSuffix(c.mode.topic(run, 0), "0"))
	var err error
	if l.loop, err = openLoop(l.base); err != nil {
		return l, err
	}
	l.readers.Go(l.loop.run)
	share := max(c.shared, 1)
	err = inParallel(ctx, c.conns(), openers, func(i int) error {
		first, index := i/c.members*share, i%c.members
		of := make([]*member, 0, share) // by channel, from the first on
		for channel := first; channel < min(first+share, c.channels); channel++ {
			seat := seat{mode: c.mode, run: run, channel: channel, index: index, writes: index < c.writers, textSize: c.textSize}
			m, err := l.sit(ctx, seat, of)
			if err != nil {
				return err
			}
			of = append(of, m)
			l.members[channel*c.members+index] = m
		}
		l.listen(of)
		return nil
	})
	if err != nil {
		return l, fmt.Errorf("open %d connections: %w", c.conns(), err)
	}
	return l, nil
}

// sit lets a member join, over the connection of those who have one already.
func (l *load) sit(ctx context.Context, s seat, beside []*member) (*member, error) {
	m := &member{last: make([]uint32, l.crowd.writers), count: make([]uint32, l.crowd.writers)}
	if len(beside) > 0 {
		more, ok := l.subject.(sharer)
		if !ok {
			return nil, errors.New("its connections have one channel each")
		}
		var err error
		m.sock = beside[0].sock
		m.push, err = more.enter(m.sock, s)
		return m, err
	}
	address, err := l.subject.address(s)
	if err != nil {
		return nil, err
	}
	if m.sock, m.push, err = l.subject.join(ctx, address, s); err != nil {
		return nil, err
	}
	if peer, ok := l.subject.(foreigner); ok {
		m.ear = peer.ear()
	}
	return m, nil
}

// now is the instant of the load's clock.
func (l *load) now() int64 { return int64(time.Since(l.base)) }

// writer is the member who makes pushes of the i-th writer, counted over all
// channels.
func (l *load) writer(i int) *member {
	return l.members[i/l.crowd.writers*l.crowd.members+i%l.crowd.writers]
}

// pushNow writes a member's next push, which was due at an instant of the clock.
func (l *load) pushNow(m *member, due, unixMs int64) error {
	if err := m.sock.write(m.push.next(due, unixMs, m.offset.Load())); err != nil {
		return fmt.Errorf("push: %w", err)
	}
	return nil
}

// listen lets somebody read what the members of one connection receive.
func (l *load) listen(of []*member) {
	sock, receive := of[0].sock, l.receiver(of)
	if l.loop.take(sock, receive, l.ended) {
		return
	}
	l.readers.Go(func() {
		for {
			op, payload, err := sock.next()
			if err == nil {
				err = receive(op, payload, l.now())
			}
			if err != nil {
				l.ended(err)
				return
			}
		}
	})
}

// ended notes that a connection has, and why, unless it was to.
func (l *load) ended(err error) {
	if !l.closing.Load() {
		l.faults.add(fmt.Sprintf("connection lost: %v", err))
	}
}

// receiver handles the frames of one connection, each of which had been read at an
// instant of the clock. It never waits: others may be read for by the same
// goroutine.
func (l *load) receiver(of []*member) func(op ws.OpCode, payload []byte, at int64) error {
	m := of[0]
	return func(op ws.OpCode, payload []byte, at int64) error {
		message, pong, err := heed(op, payload)
		switch {
		case pong != nil:
			l.answer(m.sock, pong)
		case message == nil:
		case m.ear != nil:
			l.hear(m, message, at)
		case len(of) == 1:
			l.take(m, message, at)
		default:
			l.take(l.whose(of, message), message, at)
		}
		return err
	}
}

// answer lets somebody write a frame who may wait for the server.
func (l *load) answer(sock *socket, frame []byte) {
	l.readers.Go(func() {
		if err := sock.write(frame); err != nil && !l.closing.Load() {
			l.faults.add(fmt.Sprintf("answer: %v", err))
		}
	})
}

// whose is the member that a frame is for, of those who share a connection: the
// number of its channel says so. What is for none of them is for the first.
func (l *load) whose(of []*member, data []byte) *member {
	_, rest, _ := bytes.Cut(head(data), l.topic)
	digits, _, _ := bytes.Cut(rest, []byte(`"`))
	if channel, err := strconv.Atoi(string(digits)); err == nil && channel%l.crowd.shared < len(of) {
		return of[channel%l.crowd.shared]
	}
	return of[0]
}

// hear handles one frame of a peer.
func (l *load) hear(m *member, data []byte, at int64) {
	answer, err := m.ear.hear(data, func(message []byte) { l.deliver(m, message, at) })
	if err != nil {
		l.faults.add(err.Error())
	} else if answer != nil {
		l.answer(m.sock, textFrame(answer))
	}
}

// take handles one frame: a delivery, a reply, or something to ignore.
func (l *load) take(m *member, data []byte, at int64) {
	if d, ok := m.form.read(data); ok {
		l.count(m, d, data, at)
		return
	}
	if isReply(data) {
		if isBeat(data) && replySucceeded(data) {
			l.beats.Add(1)
			return
		}
		if l.subject.answers(l.crowd.mode) && !replyApplied(data) || !replySucceeded(data) {
			l.faults.add(string(data))
		}
		l.answered.Add(1)
		return
	}
	if !l.deliver(m, data, at) && ends(data) {
		l.faults.add(string(data))
	}
}

// deliver counts a message, unless it is no push of this load.
func (l *load) deliver(m *member, data []byte, at int64) bool {
	d, ok := m.form.find(data)
	if ok {
		l.count(m, d, data, at)
	}
	return ok
}

// count counts a delivery that had arrived at an instant of the clock.
func (l *load) count(m *member, d delivery, data []byte, at int64) {
	l.checkOffset(m, d)
	s := d.stamp
	if int(s.writer) >= len(m.last) {
		l.faults.add(fmt.Sprintf("delivery of a writer that does not exist: %s", data))
		return
	}
	if m.push.writer == s.writer {
		return // its own, come back
	}
	if s.seq <= m.last[s.writer] {
		l.disordered.Add(1)
	}
	m.last[s.writer] = max(m.last[s.writer], s.seq)
	m.count[s.writer]++
	from, until := l.from.Load(), l.until.Load()
	if from <= s.at && s.at < until {
		l.latency.Record(time.Duration(at - s.at))
	}
	if from <= at && at < until {
		l.arrivals.Add(1)
	}
	l.received.Add(1)
	select {
	case l.arrived <- struct{}{}:
	default: // nobody waits for single deliveries, or knows already
	}
}

// checkOffset holds the server to one order per channel (R1): offsets rise.
func (l *load) checkOffset(m *member, d delivery) {
	if !d.numbered {
		return
	}
	if d.offset <= m.offset.Load() {
		l.disordered.Add(1)
		return
	}
	m.offset.Store(d.offset)
}

// expected is how many deliveries all pushes so far must lead to.
func (l *load) expected() int64 {
	var n int64
	for i := range l.crowd.channels * l.crowd.writers {
		n += int64(l.writer(i).push.seq)
	}
	return n * int64(l.crowd.members-1)
}

// settle waits until everything that was pushed has arrived and was answered, or
// until the patience is over. What is missing then is lost.
func (l *load) settle(ctx context.Context, patience time.Duration) {
	want := l.expected()
	var answers int64
	if l.subject.answers(l.crowd.mode) {
		answers = want / int64(l.crowd.members-1)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for l.received.Load() < want || l.answered.Load() < answers {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// close ends all connections and waits for their readers, who take no more of what
// is still there. Idempotent.
func (l *load) close() {
	l.loop.stop()
	if !l.closing.Swap(true) {
		for _, m := range l.members {
			if m != nil {
				m.sock.close()
			}
		}
	}
	l.readers.Wait()
	l.loop.release()
}

// hangUp closes all connections without a word and does not wait, so that nobody
// goes on reading or writing. Everybody must be connected.
func (l *load) hangUp() {
	l.closing.Store(true)
	for _, m := range l.members {
		m.sock.hangUp()
	}
}

// lost counts the deliveries that never came. Call it after close.
func (l *load) lost() int64 {
	var lost int64
	for i := range l.crowd.channels * l.crowd.writers {
		author := l.writer(i)
		first := i / l.crowd.writers * l.crowd.members
		for _, m := range l.members[first : first+l.crowd.members] {
			if m != author {
				lost += max(int64(author.push.seq)-int64(m.count[author.push.writer]), 0)
			}
		}
	}
	return lost
}

// headLen is where in a frame its event is found: refs, topic and event of a load
// are short.
const headLen = 160

func head(data []byte) []byte { return data[:min(len(data), headLen)] }

func isReply(data []byte) bool {
	return bytes.Contains(head(data), []byte(`"`+protocol.EventReply+`"`))
}

// isBeat says whether a reply is to a heartbeat.
func isBeat(data []byte) bool {
	return bytes.Contains(head(data), []byte(`"`+protocol.TopicPhoenix+`"`))
}

func replySucceeded(data []byte) bool { return bytes.Contains(data, []byte(`"status":"ok"`)) }

func replyApplied(data []byte) bool { return bytes.Contains(data, []byte(`"status":"applied"`)) }

// ends says whether a frame is the end of a membership, or the warning before it.
func ends(data []byte) bool {
	h := head(data)
	return bytes.Contains(h, []byte(`"`+protocol.EventError+`"`)) ||
		bytes.Contains(h, []byte(`"`+protocol.EventClose+`"`)) ||
		bytes.Contains(h, []byte(`"`+protocol.EventSystem+`"`))
}

// faults counts what went wrong and remembers the first. Safe for concurrent use.
type faults struct {
	mu    sync.Mutex // guards the following
	count int64
	first string
}

func (f *faults) add(text string) {
	const enough = 400 // bytes of explanation
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count == 0 {
		f.first = text[:min(len(text), enough)]
	}
	f.count++
}

func (f *faults) get() (count int64, first string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count, f.first
}

// inParallel calls do for 0 … n-1, a few at a time, until one fails or ctx ends,
// and returns the first error when all calls are over.
func inParallel(ctx context.Context, n, workers int, do func(i int) error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(workers, n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					fail(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func unixMillis() int64 { return time.Now().UnixMilli() }
