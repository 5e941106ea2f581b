package transport

// wheel says which of many entries are due: a hashed timing wheel (Varghese and Lauck
// 1987). Each entry is in the slot of its tick, and one that is further away than a turn
// of the wheel stays there for another. So it costs the same to set one, to remove it and
// to find those that are due, however many the others are.
//
// It knows no clock: times are numbers of its user's, which do not begin below 0. Entries
// are numbers from 1, which are given again when they were removed. Links are numbers as
// well, so that the garbage collector has nothing to look through.
type wheel struct {
	width   int64    // of a tick, in the unit of times
	coming  int64    // the first tick that has not come yet
	slots   []uint32 // the first entry of each slot; 0 is none
	due     uint32   // the first entry that is due, and was not popped
	spare   uint32   // the first number that is not used
	entries []entry  // by number
}

type entry struct {
	tick       int64 // with which it is due; unset when it is in no list
	next, prev uint32
}

const unset = -1

func newWheel(width int64, slots int) wheel {
	return wheel{width: width, slots: make([]uint32, slots), entries: make([]entry, 1)}
}

// add makes an entry that is never due until it is set.
func (w *wheel) add() (n uint32) {
	if n = w.spare; n != 0 {
		w.spare = w.entries[n].next
	} else {
		n = uint32(len(w.entries))
		w.entries = append(w.entries, entry{})
	}
	w.entries[n] = entry{tick: unset}
	return n
}

// remove ends an entry. Its number may be another's from now on.
func (w *wheel) remove(n uint32) {
	w.unlink(n)
	w.entries[n].next = w.spare
	w.spare = n
}

// set has an entry be due with the first tick that is not before at, and never with one
// that has come: who sets what was popped does not pop it again in the same turn.
func (w *wheel) set(n uint32, at int64) {
	w.unlink(n)
	tick := max((at+w.width-1)/w.width, w.coming)
	w.entries[n].tick = tick
	w.link(w.slot(tick), n)
}

// turn makes those due whose tick has come.
func (w *wheel) turn(now int64) {
	last := now / w.width
	passed := min(last+1-w.coming, int64(len(w.slots)))
	for i := range passed {
		for n := *w.slot(w.coming + i); n != 0; {
			next := w.entries[n].next
			if tick := w.entries[n].tick; tick <= last {
				w.unlink(n)
				w.entries[n].tick = tick
				w.link(&w.due, n)
			}
			n = next
		}
	}
	w.coming = max(w.coming, last+1)
}

// pop takes one of those that are due, which is not set any more; 0 when there is none.
func (w *wheel) pop() (n uint32) {
	if n = w.due; n != 0 {
		w.unlink(n)
	}
	return n
}

// next is when to turn it next, and false when nothing is set. It may be in vain: when
// all in a slot are due a turn later.
func (w *wheel) next() (at int64, ok bool) {
	if w.due != 0 {
		return (w.coming - 1) * w.width, true
	}
	for i := range int64(len(w.slots)) {
		if tick := w.coming + i; *w.slot(tick) != 0 {
			return tick * w.width, true
		}
	}
	return 0, false
}

func (w *wheel) slot(tick int64) *uint32 { return &w.slots[tick%int64(len(w.slots))] }

// link puts an entry in front of a list.
func (w *wheel) link(list *uint32, n uint32) {
	e := &w.entries[n]
	e.next, e.prev = *list, 0
	if e.next != 0 {
		w.entries[e.next].prev = n
	}
	*list = n
}

// unlink takes an entry off the list that it is in, if it is in one.
func (w *wheel) unlink(n uint32) {
	e := &w.entries[n]
	if e.tick == unset {
		return
	}
	switch {
	case e.prev != 0:
		w.entries[e.prev].next = e.next
	case e.tick < w.coming:
		w.due = e.next
	default:
		*w.slot(e.tick) = e.next
	}
	if e.next != 0 {
		w.entries[e.next].prev = e.prev
	}
	e.tick = unset
}
