package presence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

// lease is the value of a presence lease.
type lease struct {
	Key  string          `json:"key"`
	Meta json.RawMessage `json:"meta"` // with phx_ref (P1), and phx_ref_prev on a change (P2)
}

// Encode makes the lease value of a member that tracks itself. meta must be a
// JSON object; ref is fresh for each track, prev the ref it replaces or "".
func Encode(key string, meta []byte, ref, prev string) ([]byte, error) {
	meta = bytes.TrimSpace(meta)
	if len(meta) < 2 || meta[0] != '{' || !json.Valid(meta) {
		return nil, fmt.Errorf("presence of %q: meta is not a JSON object", key)
	}
	out := append([]byte(nil), meta[:len(meta)-1]...)
	if len(bytes.TrimSpace(out)) > 1 {
		out = append(out, ',')
	}
	out = append(out, `"phx_ref":`...)
	out = protocol.AppendString(out, ref)
	if prev != "" {
		out = append(out, `,"phx_ref_prev":`...)
		out = protocol.AppendString(out, prev)
	}
	return json.Marshal(lease{Key: key, Meta: append(out, '}')})
}

// State is who is in one channel. The zero value is an empty channel whose
// leases were not loaded yet.
type State struct {
	holders map[string]lease
	loaded  bool
	gone    map[string]bool // until loaded: holders that events said to have left
}

// Load adds leases that were there before the first event. Holders that events
// have spoken of already are left as they are: the list may have been made
// before the event, or behind it.
func (s *State) Load(leases []engine.Lease) {
	for _, l := range leases {
		if _, known := s.holders[l.Holder]; !known && !s.gone[l.Holder] {
			s.put(l.Holder, l.Value)
		}
	}
	s.loaded, s.gone = true, nil
}

func (s *State) put(holder string, value []byte) (now lease, ok bool) {
	if json.Unmarshal(value, &now) != nil || len(now.Meta) == 0 {
		return lease{}, false
	}
	if s.holders == nil {
		s.holders = make(map[string]lease)
	}
	s.holders[holder] = now
	return now, true
}

// Apply folds one lease event and returns the payload of the presence_diff that
// it means, or nil when nothing changed.
func (s *State) Apply(e *engine.LeaseEvent) []byte {
	before, had := s.holders[e.Holder]
	if e.Value == nil {
		if !s.loaded {
			if s.gone == nil {
				s.gone = make(map[string]bool)
			}
			s.gone[e.Holder] = true
		}
		if !had {
			return nil
		}
		delete(s.holders, e.Holder)
		return diff(nil, []lease{before})
	}
	delete(s.gone, e.Holder)
	now, ok := s.put(e.Holder, e.Value)
	switch {
	case !ok, had && before.Key == now.Key && bytes.Equal(before.Meta, now.Meta):
		return nil
	case had:
		return diff([]lease{now}, []lease{before})
	}
	return diff([]lease{now}, nil)
}

// Payload is the presence_state of this moment.
func (s *State) Payload() []byte {
	all := make([]lease, 0, len(s.holders))
	for _, holder := range sortedKeys(s.holders) {
		all = append(all, s.holders[holder])
	}
	return appendMetas(nil, all)
}

// Len is the number of holders.
func (s *State) Len() int { return len(s.holders) }

func diff(joins, leaves []lease) []byte {
	out := append([]byte(nil), `{"joins":`...)
	out = appendMetas(out, joins)
	out = append(out, `,"leaves":`...)
	out = appendMetas(out, leaves)
	return append(out, '}')
}

// appendMetas appends {"<key>":{"metas":[…]}, …}: several holders may share a key.
func appendMetas(dst []byte, leases []lease) []byte {
	slices.SortStableFunc(leases, func(a, b lease) int { return strings.Compare(a.Key, b.Key) })
	dst = append(dst, '{')
	for i, l := range leases {
		switch {
		case i > 0 && leases[i-1].Key == l.Key:
			dst = append(dst, ',')
		default:
			if i > 0 {
				dst = append(dst, "]},"...)
			}
			dst = protocol.AppendString(dst, l.Key)
			dst = append(dst, `:{"metas":[`...)
		}
		dst = append(dst, l.Meta...)
	}
	if len(leases) > 0 {
		dst = append(dst, "]}"...)
	}
	return append(dst, '}')
}

func sortedKeys(m map[string]lease) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
