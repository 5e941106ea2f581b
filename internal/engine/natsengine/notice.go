package natsengine

import (
	"encoding/binary"
	"fmt"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// noticeKind says what a node tells others over core NATS. What is lost of it is
// noticed: leases have numbers, and a log's end is asked for.
type noticeKind byte

const (
	noticeSend   noticeKind = iota + 1 // an entry that is not logged
	noticeLease                        // a lease that was put or dropped
	noticeLeases                       // all leases of a node in a channel
	noticeHint                         // the log may have grown
	noticeBeat                         // a sign of life, with logs that have become quiet
	noticeBye                          // the node leaves
	noticeAsk                          // which leases are in this channel, or in all that have some
	noticeSome                         // a part of a node's leases in a channel that has too many for one notice
	noticeTold                         // all that was to be told of leases in all channels has been
)

// notice is what one node tells others. Which fields count depends on the kind.
type notice struct {
	kind    noticeKind
	node    string // that tells it
	channel string // escaped
	after   uint64 // place in the channel's log behind which it happened
	reply   bool   // noticeBeat: answer with a beat

	entry *chanlog.Record // noticeSend
	// Of leases: the number of the node's change in the channel before this one; and
	// of this one, or of the node's newest anywhere that is in what it tells.
	prev, number uint64
	lease        engine.LeaseEvent
	leases       []engine.Lease
	part, of     uint64 // noticeSome: which part, from 0, of how many
	news         []news // noticeBeat
}

// news is how far a node is in a channel, so that others see what they missed.
type news struct {
	channel string // escaped
	seq     uint64 // place of the last message, when this node wrote it; else 0
	number  uint64 // of the newest change of its leases there; 0 for none
}

func (n *notice) encode() []byte {
	var reply, dropped byte
	if n.reply {
		reply = 1
	}
	if n.lease.Value == nil {
		dropped = 1
	}
	out := []byte{chanlog.CodecVersion, byte(n.kind), reply}
	out = chanlog.AppendString(out, n.node)
	out = chanlog.AppendString(out, n.channel)
	out = binary.AppendUvarint(out, n.after)
	switch n.kind {
	case noticeSend:
		out = append(out, chanlog.AppendEntry(nil, n.entry)...)
	case noticeLease:
		out = binary.AppendUvarint(binary.AppendUvarint(out, n.prev), n.number)
		out = append(chanlog.AppendString(out, n.lease.Holder), dropped)
		out = append(out, n.lease.Value...)
	case noticeLeases:
		out = appendLeases(binary.AppendUvarint(out, n.number), n.leases)
	case noticeSome:
		for _, i := range []uint64{n.number, n.part, n.of} {
			out = binary.AppendUvarint(out, i)
		}
		out = appendLeases(out, n.leases)
	case noticeTold:
		out = binary.AppendUvarint(out, n.number)
	case noticeBeat:
		out = binary.AppendUvarint(out, uint64(len(n.news)))
		for _, w := range n.news {
			out = binary.AppendUvarint(chanlog.AppendString(out, w.channel), w.seq)
			out = binary.AppendUvarint(out, w.number)
		}
	}
	return out
}

// decodeNotice reads what encode wrote; the notice shares no memory with it.
func decodeNotice(b []byte) (*notice, error) {
	d := chanlog.NewDecoder(b)
	version := d.Byte()
	n := &notice{kind: noticeKind(d.Byte()), reply: d.Byte() == 1, node: d.Text(), channel: d.Text(), after: d.Uvarint()}
	switch n.kind {
	case noticeSend:
		r, err := chanlog.DecodeEntry(1, d.Rest())
		if err != nil {
			return nil, err
		}
		r.Offset, r.Prev = 0, 0
		n.entry = r
	case noticeLease:
		n.prev, n.number = d.Uvarint(), d.Uvarint()
		n.lease.Holder = d.Text()
		if d.Byte() == 0 {
			n.lease.Value = append([]byte{}, d.Rest()...)
		}
	case noticeLeases:
		n.number = d.Uvarint()
		n.leases = decodeLeases(&d)
	case noticeSome:
		n.number, n.part, n.of = d.Uvarint(), d.Uvarint(), d.Uvarint()
		n.leases = decodeLeases(&d)
	case noticeTold:
		n.number = d.Uvarint()
	case noticeBeat:
		for left := d.Uvarint(); left > 0 && !d.Failed(); left-- {
			n.news = append(n.news, news{channel: d.Text(), seq: d.Uvarint(), number: d.Uvarint()})
		}
	case noticeHint, noticeBye, noticeAsk:
	default:
		return nil, fmt.Errorf("notice of kind %d: %w", n.kind, chanlog.ErrCorrupt)
	}
	return n, d.End(version, "notice")
}

func appendLeases(dst []byte, leases []engine.Lease) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(leases)))
	for _, l := range leases {
		dst = appendBytes(chanlog.AppendString(dst, l.Holder), l.Value)
	}
	return dst
}

func decodeLeases(d *chanlog.Decoder) (leases []engine.Lease) {
	for left := d.Uvarint(); left > 0 && !d.Failed(); left-- {
		leases = append(leases, engine.Lease{Holder: d.Text(), Value: append([]byte{}, d.Bytes()...)})
	}
	return leases
}

// size is about how many bytes a notice has for it.
func (w news) size() int { return len(w.channel) + 2*binary.MaxVarintLen64 }

// pack cuts a list into parts of about max bytes each; one at least, which may be empty.
func pack[T any](list []T, max int, size func(T) int) [][]T {
	out, room := [][]T{nil}, max
	for _, item := range list {
		n := size(item)
		if last := len(out) - 1; n <= room || len(out[last]) == 0 {
			out[last] = append(out[last], item)
		} else {
			out, room = append(out, []T{item}), max
		}
		room -= n
	}
	return out
}
