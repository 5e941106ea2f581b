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
)

// notice is what one node tells others. Which fields count depends on the kind.
type notice struct {
	kind    noticeKind
	node    string // that tells it
	channel string // escaped
	after   uint64 // place in the channel's log behind which it happened
	reply   bool   // noticeBeat: answer with a beat

	entry        *chanlog.Record // noticeSend
	prev, number uint64          // of leases: the node's last number in the channel before, and now
	lease        engine.LeaseEvent
	leases       []engine.Lease
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
		out = binary.AppendUvarint(out, n.number)
		out = binary.AppendUvarint(out, uint64(len(n.leases)))
		for _, l := range n.leases {
			out = appendBytes(chanlog.AppendString(out, l.Holder), l.Value)
		}
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
		for left := d.Uvarint(); left > 0 && !d.Failed(); left-- {
			n.leases = append(n.leases, engine.Lease{Holder: d.Text(), Value: append([]byte{}, d.Bytes()...)})
		}
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
