package client

import (
	"slices"
	"time"
)

const (
	// Messages and bytes of JSON that may wait to be published in one channel. A
	// single message may have more bytes.
	maxPublishes    = 1_000
	maxPublishBytes = 1 << 20
	// How many may be on the wire without an answer.
	publishWindow = 32
	// retryAfter is how long a refusal that does not say is waited out.
	retryAfter = time.Second
)

// Receipt says where a message is.
type Receipt struct {
	ID string
	// Position in the channel's log; zero for ephemeral messages, and for messages
	// whose acknowledgement was not waited for.
	Position Position
}

// A publish is a message on its way into the log. It is sent again with the same
// id until it is acknowledged (B2), so it is logged once.
type publish struct {
	id      string
	event   string
	payload []byte // of the push; of raw bytes, the metadata
	binary  []byte // raw bytes
	isRaw   bool
	noAck   bool // it is done with when it was handed to the socket
	sent    bool
	done    chan published // capacity 1
}

type published struct {
	Position
	err error
}

func (p *publish) size() int { return len(p.payload) + len(p.binary) }

func (p *publish) finish(at Position, err error) {
	select {
	case p.done <- published{at, err}:
	default: // nobody waits any more: it was finished when it was sent
	}
}

// publishQueue keeps messages in order until they are in the log. It is guarded by
// Client.mu.
type publishQueue struct {
	m       *membership
	waiting []*publish
	bytes   int
	hold    *alarm
}

func (q *publishQueue) add(p *publish) error {
	if len(q.waiting) > 0 && (len(q.waiting) >= maxPublishes || q.bytes+p.size() > maxPublishBytes) {
		return ErrQueueFull
	}
	q.waiting = append(q.waiting, p)
	q.bytes += p.size()
	q.flush()
	return nil
}

// flush sends what may be sent, in order.
func (q *publishQueue) flush() {
	if q.hold != nil {
		return
	}
	for _, p := range q.waiting[:min(len(q.waiting), publishWindow)] {
		if p.sent {
			continue
		}
		if p.sent = q.m.pushMessage(p, func(r reply) { q.answered(p, r) }); !p.sent {
			return
		}
		if p.noAck {
			p.finish(Position{}, nil)
		}
	}
}

// onDown hears that the channel is not live: what has no answer is sent again.
func (q *publishQueue) onDown() {
	for _, p := range q.waiting {
		p.sent = false
	}
	q.m.c.alarms.stop(q.hold)
	q.hold = nil
}

// close ends what waits.
func (q *publishQueue) close(err error) {
	q.onDown()
	for _, p := range q.waiting {
		p.finish(Position{}, err)
	}
	q.waiting, q.bytes = nil, 0
}

// withdraw gives up a message whose publisher does not wait any more.
func (q *publishQueue) withdraw(p *publish) {
	if at := slices.Index(q.waiting, p); at >= 0 {
		q.take(at)
		q.flush()
	}
}

func (q *publishQueue) take(at int) {
	q.bytes -= q.waiting[at].size()
	q.waiting = slices.Delete(q.waiting, at, at+1)
}

func (q *publishQueue) answered(p *publish, r reply) {
	at := slices.Index(q.waiting, p)
	if at < 0 {
		return
	}
	if r.err != nil && r.err.Retryable {
		q.m.c.stats.Refusals++
		// All that follow wait as well, or they would overtake it.
		for _, later := range q.waiting[at:] {
			later.sent = false
		}
		if q.hold == nil {
			q.hold = q.m.c.alarms.start(orDefault(r.err.RetryAfter, retryAfter), func() {
				q.hold = nil
				q.flush()
			})
		}
		return
	}
	q.take(at)
	p.finish(publishedAt(q.m.position.Epoch, r))
	q.flush()
}

func publishedAt(epoch string, r reply) (Position, error) {
	if r.err != nil {
		return Position{}, r.err
	}
	var response struct {
		Offset uint64 `json:"offset"`
	}
	if err := decode(r.response, &response, "an acknowledgement"); err != nil {
		return Position{}, err
	}
	return Position{epoch, response.Offset}, nil
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}
