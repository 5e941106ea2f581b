package bench

import "bytes"

// A delivery is what a frame says of the push that it carries.
type delivery struct {
	stamp    stamp
	offset   uint64
	numbered bool // it has an offset; ephemeral messages and frames of the floor have none
}

// A form is what a member's deliveries look like. Only digits change from one to the
// next, most of the time: what stands where it stood is not searched for. For one
// goroutine.
type form struct {
	begin    []byte // up to the first of stamp and offset, its key included
	stampAt  int    // where the stamp begins
	offsetAt int    // where the key of the offset does
}

// read reads a delivery of the same form as the last that was found. It is false
// when the frame is of another, or no delivery.
func (f *form) read(frame []byte) (d delivery, ok bool) {
	if len(f.begin) == 0 || !bytes.HasPrefix(frame, f.begin) || len(frame) < max(f.stampAt, f.offsetAt) {
		return delivery{}, false
	}
	if d.stamp, ok = stampOf(frame[f.stampAt:]); !ok {
		return delivery{}, false
	}
	d.offset, d.numbered = offsetOf(frame[f.offsetAt:])
	return d, d.numbered
}

// find reads a delivery wherever stamp and offset stand, and remembers where. It is
// false without a stamp.
func (f *form) find(frame []byte) (d delivery, ok bool) {
	stampAt, offsetAt := bytes.Index(frame, []byte(stampMarker)), bytes.Index(frame, []byte(offsetKey))
	if stampAt < 0 {
		return delivery{}, false
	}
	if d.stamp, ok = stampOf(frame[stampAt:]); !ok || offsetAt < 0 {
		return d, ok
	}
	d.offset, d.numbered = offsetOf(frame[offsetAt:])
	begin := frame[:min(stampAt+len(stampMarker), offsetAt+len(offsetKey))]
	if bytes.IndexByte(begin, '{') >= 0 { // behind the event, which tells deliveries from replies
		f.begin, f.stampAt, f.offsetAt = append(f.begin[:0], begin...), stampAt, offsetAt
	}
	return d, true
}
