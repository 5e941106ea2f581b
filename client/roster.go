package client

import (
	"encoding/json"
	"maps"
	"slices"
)

// A roster is who is in a channel, folded from presence_state and presence_diff
// (docs/protocol.md, section 6): tracks by key, oldest first. It is never changed
// once it is made.
type roster map[string][]track

// A track is what one connection said; ref is its phx_ref, which a leave repeats
// exactly (P1).
type track struct {
	ref      string
	replaces string // the track that this one takes the place of (P2)
	state    json.RawMessage
}

type rosterDiff struct{ joins, leaves roster }

func decodeState(payload []byte) (roster, error) {
	var p map[string]struct {
		Metas []map[string]json.RawMessage `json:"metas"`
	}
	if err := decode(payload, &p, "presence"); err != nil {
		return nil, err
	}
	out := make(roster, len(p))
	for key, entry := range p {
		if entry.Metas == nil {
			return nil, protocolFault("a member of presence has no metas")
		}
		for _, meta := range entry.Metas {
			t, err := decodeMeta(meta)
			if err != nil {
				return nil, err
			}
			out[key] = append(out[key], t)
		}
	}
	return out, nil
}

func decodeMeta(meta map[string]json.RawMessage) (track, error) {
	var t track
	if err := json.Unmarshal(meta["phx_ref"], &t.ref); err != nil {
		return t, protocolFault("a presence meta has no phx_ref")
	}
	if raw, ok := meta["phx_ref_prev"]; ok {
		if err := decode(raw, &t.replaces, "phx_ref_prev"); err != nil {
			return t, err
		}
	}
	delete(meta, "phx_ref")
	delete(meta, "phx_ref_prev")
	t.state = mustMarshal(meta)
	return t, nil
}

func decodeDiff(payload []byte) (rosterDiff, error) {
	var p struct {
		Joins  json.RawMessage `json:"joins"`
		Leaves json.RawMessage `json:"leaves"`
	}
	if err := decode(payload, &p, "presence_diff"); err != nil {
		return rosterDiff{}, err
	}
	var d rosterDiff
	for _, part := range []struct {
		raw  json.RawMessage
		into *roster
	}{{p.Joins, &d.joins}, {p.Leaves, &d.leaves}} {
		if part.raw == nil {
			continue
		}
		r, err := decodeState(part.raw)
		if err != nil {
			return rosterDiff{}, err
		}
		*part.into = r
	}
	return d, nil
}

// apply makes the roster after a diff. Joins come before leaves: a track that
// came and went within one diff is gone, and one that replaces another finds that
// other by its ref, wherever it stands.
func (r roster) apply(d rosterDiff) roster {
	after := maps.Clone(r)
	if after == nil {
		after = roster{}
	}
	for key, tracks := range d.joins {
		gone := map[string]bool{}
		for _, t := range tracks {
			gone[t.ref] = true
			gone[t.replaces] = true
		}
		after[key] = append(without(after[key], gone), tracks...)
	}
	for key, tracks := range d.leaves {
		gone := map[string]bool{}
		for _, t := range tracks {
			gone[t.ref] = true
		}
		if left := without(after[key], gone); len(left) > 0 {
			after[key] = left
		} else {
			delete(after, key)
		}
	}
	return after
}

func without(tracks []track, refs map[string]bool) []track {
	return slices.DeleteFunc(slices.Clone(tracks), func(t track) bool { return refs[t.ref] })
}

// members is what an app sees of a roster, ordered by key.
func (r roster) members(ownKey string) []Member {
	out := make([]Member, 0, len(r))
	for _, key := range slices.Sorted(maps.Keys(r)) {
		m := Member{Key: key, Own: key == ownKey}
		for _, t := range r[key] {
			m.States = append(m.States, t.state)
		}
		m.State = m.States[len(m.States)-1]
		out = append(out, m)
	}
	return out
}

// compare says how members came to be other members. Both are ordered by key.
func compare(before, after []Member) PresenceDiff {
	var d PresenceDiff
	for len(before) > 0 || len(after) > 0 {
		switch {
		case len(after) == 0 || (len(before) > 0 && before[0].Key < after[0].Key):
			d.Left, before = append(d.Left, before[0]), before[1:]
		case len(before) == 0 || after[0].Key < before[0].Key:
			d.Joined, after = append(d.Joined, after[0]), after[1:]
		default:
			if !slices.EqualFunc(before[0].States, after[0].States, slices.Equal[json.RawMessage]) {
				d.Changed = append(d.Changed, after[0])
			}
			before, after = before[1:], after[1:]
		}
	}
	return d
}

func (d *PresenceDiff) isEmpty() bool { return len(d.Joined)+len(d.Changed)+len(d.Left) == 0 }
