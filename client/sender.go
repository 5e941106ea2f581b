package client

import (
	"slices"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

// A sender brings the outbox to the server, in order, while the channel is live.
// It is guarded by Client.mu.
//
// An error answer means that the number was not consumed. Then all that was sent
// behind it is refused as out of order, so sending stops, and begins again with
// the same bytes.
type sender struct {
	s    *recordStore
	live bool
	// fits is false when the log has lost numbers that were given here: only under
	// a new client id can anything be sent.
	fits bool
	// life counts memberships: an answer that belongs to an earlier one is nobody's.
	life int
	// hold runs out when a refusal has been waited out.
	hold *alarm
	// onTheWay has numbers that were sent, and when, counted in sends.
	onTheWay map[uint64]int
	sends    int
}

// goLive hears that the channel is live and the log ends at number last of this
// client: it sends what is unsettled, then what waits.
func (d *sender) goLive(last uint64) {
	d.stop()
	d.live = true
	d.fits = d.s.outbox.continueAfter(last)
	d.send()
}

// stop hears that the channel is not live any more. Everything is sent again when
// it is.
func (d *sender) stop() {
	d.live = false
	d.life++
	d.onTheWay = map[uint64]int{}
	d.s.host.stopAlarm(d.hold)
	d.hold = nil
}

// send sends what may be sent.
func (d *sender) send() {
	o := d.s.outbox
	if !d.live || d.hold != nil || o.size() == 0 {
		return
	}
	if !d.fits {
		d.renew()
		return
	}
	o.freeze(d.s.host.client())
	for _, e := range slices.Clone(o.frozen) {
		if _, sent := d.onTheWay[e.frozen.n]; !sent && !d.push(e) {
			return
		}
	}
}

// forget hears that a number was settled, which makes room in the window.
func (d *sender) forget(n uint64) { delete(d.onTheWay, n) }

func (d *sender) push(e *entry) bool {
	n, life := e.frozen.n, d.life
	d.sends++
	sent := d.sends
	d.onTheWay[n] = sent
	isSent := d.s.host.sendMutation(e.frozen.bytes, func(o *protocol.Outcome, refused *reply) {
		switch {
		case life != d.life || d.s.outbox.byNumber(n) != e:
		case refused == nil:
			d.s.onAnswer(e, o)
		default:
			d.onRefusal(e, refused, sent)
		}
	})
	if !isSent {
		d.stop()
	}
	return isSent
}

func (d *sender) onRefusal(e *entry, r *reply, sent int) {
	n := e.frozen.n
	if d.onTheWay[n] != sent {
		return // was sent again since: that has an answer of its own
	}
	delete(d.onTheWay, n)
	switch code := r.err.Code; {
	case code == protocol.CodeOutOfOrder:
		d.onOutOfOrder(n, orElse(r.expect, n), r.err, sent)
	// A client whose first mutation is still due is as unknown as one that was
	// forgotten.
	case code == protocol.CodeClientUnknown:
		d.onOutOfOrder(n, 1, r.err, sent)
	case r.err.Retryable:
		d.s.host.refusal()
		d.wait(r.err.RetryAfter)
	default:
		if code == protocol.CodeForbiddenClient {
			d.s.settleAll(rejectedBy(r.err))
		} else {
			d.s.settle(e, rejectedBy(r.err))
		}
		// The number is free, but its bytes have been sent: a frame of theirs may still
		// lie in the buffers of a dead connection.
		d.renew()
	}
}

func orElse(n, otherwise uint64) uint64 {
	if n == 0 {
		return otherwise
	}
	return n
}

func (d *sender) onOutOfOrder(n, due uint64, why *Error, sent int) {
	switch {
	case d.hold != nil: // refused behind the one that is being waited for
	case due >= n:
		d.wait(why.RetryAfter)
	// Settled here and lost there: no number that was given here can be taken any
	// more.
	case d.s.outbox.byNumber(due) == nil:
		d.renew()
	default:
		// What was sent before this one was lost or refused; what was sent after it
		// will be refused in its turn.
		for other, at := range d.onTheWay {
			if other >= due && at < sent {
				delete(d.onTheWay, other)
			}
		}
		d.send()
	}
}

func (d *sender) wait(after time.Duration) {
	if d.hold != nil {
		return
	}
	d.hold = d.s.host.startAlarm(orDefault(after, retryAfter), func() {
		d.hold = nil
		d.send()
	})
}

// renew begins again at 1 under a new client id, which the channel is joined with.
// Nothing of what is unsettled is in the log.
func (d *sender) renew() {
	d.stop()
	d.s.outbox.renumber()
	d.s.host.renewClient()
}
