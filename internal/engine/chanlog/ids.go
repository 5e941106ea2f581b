package chanlog

import "hash/maphash"

// ids are the offsets of entries that have an ID: of those that are under way, and of
// those that are kept. The ID of a kept entry is in the entry, and only its hash here,
// so that the garbage collector has nothing to look at. Not safe for concurrent use.
type ids struct {
	under  idAt              // sequenced, and not published yet: usually there is one at most
	more   map[string]uint64 // others of these
	byHash map[uint64]uint64 // kept
	twins  map[string]uint64 // kept, while another one in byHash has the same hash

	hash func(id []byte) uint64 // for tests; nil for one that nobody can foresee
}

// idAt is an ID and the offset of its entry.
type idAt struct {
	id     string // "" for none
	offset uint64
}

var seed = maphash.MakeSeed()

func (s *ids) sum(id string) uint64 {
	if s.hash != nil {
		return s.hash([]byte(id))
	}
	return maphash.String(seed, id)
}

func (s *ids) sumBytes(id []byte) uint64 {
	if s.hash != nil {
		return s.hash(id)
	}
	return maphash.Bytes(seed, id)
}

// begin notes an entry that was sequenced.
func (s *ids) begin(id string, offset uint64) {
	if s.under.id == "" {
		s.under = idAt{id, offset}
		return
	}
	if s.more == nil {
		s.more = make(map[string]uint64)
	}
	s.more[id] = offset
}

// cancel forgets an entry that was sequenced and will not be published.
func (s *ids) cancel(id string, offset uint64) {
	if s.under == (idAt{id, offset}) {
		s.under = idAt{}
	} else if s.more[id] == offset {
		delete(s.more, id)
	}
}

// keep notes an entry that is kept from now on. hasID says whether a kept entry has an ID.
func (s *ids) keep(id string, offset uint64, hasID func(offset uint64, id string) bool) {
	s.cancel(id, offset)
	h := s.sum(id)
	if other, taken := s.byHash[h]; taken && !hasID(other, id) {
		if s.twins == nil {
			s.twins = make(map[string]uint64)
		}
		s.twins[id] = offset
		return
	}
	if s.byHash == nil {
		s.byHash = make(map[uint64]uint64)
	}
	s.byHash[h] = offset
}

// lose forgets an entry that is not kept any more.
func (s *ids) lose(id []byte, offset uint64) {
	if h := s.sumBytes(id); s.byHash[h] == offset {
		delete(s.byHash, h)
	} else if s.twins[string(id)] == offset {
		delete(s.twins, string(id))
	}
}

// find returns the offset of the entry that has an ID, if there is one.
func (s *ids) find(id string, hasID func(offset uint64, id string) bool) (uint64, bool) {
	if s.under.id == id {
		return s.under.offset, true
	}
	if offset, ok := s.more[id]; ok {
		return offset, true
	}
	if offset, ok := s.byHash[s.sum(id)]; ok && hasID(offset, id) {
		return offset, true
	}
	offset, ok := s.twins[id]
	return offset, ok
}
