package protocol

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// DecodeMutation reads the payload of a mutate push, which is valid JSON, or
// nothing where a frame has none. What it returns shares no memory with the
// payload. Its errors are those of encoding/json, and so are its results: only that
// the payload of nearly every push, without sets, counters, escapes or a member
// twice, is read in one pass instead of three.
func DecodeMutation(payload []byte) (Mutation, error) {
	if m, ok := quickMutation(payload); ok {
		return m, nil
	}
	var m Mutation
	err := json.Unmarshal(payload, &m)
	return m, err
}

// A mutationReader reads members one after the other, and keeps texts as bytes of
// the payload until it has all of them.
type mutationReader struct {
	m                                  Mutation
	client, id, at, collection, record []byte
	hasN, hasBase                      bool
	rare                               bool // there is something that is not read here
}

// quickMutation reads a mutation, unless there is something about it that is rare.
func quickMutation(payload []byte) (Mutation, bool) {
	var r mutationReader
	if !quotedMembers(payload, func(m member) bool { r.read(m.quoted, m.value); return !r.rare }) || r.rare {
		return Mutation{}, false
	}
	var room [5 * MaxIDBytes]byte
	all := room[:0]
	texts := [...][]byte{r.client, r.id, r.at, r.collection, r.record}
	for _, text := range texts {
		all = append(all, text...)
	}
	rest := string(all)
	for i, into := range [...]*string{&r.m.Client, &r.m.ID, &r.m.At, &r.m.Collection, &r.m.Record} {
		*into, rest = rest[:len(texts[i])], rest[len(texts[i]):]
	}
	return r.m, true
}

func (r *mutationReader) read(key, value []byte) {
	switch string(key) {
	case `"client"`:
		r.text(&r.client, value)
	case `"id"`:
		r.text(&r.id, value)
	case `"at"`:
		r.text(&r.at, value)
	case `"collection"`:
		r.text(&r.collection, value)
	case `"record"`:
		r.text(&r.record, value)
	case `"n"`:
		r.number(&r.m.N, &r.hasN, value)
	case `"base"`:
		r.number(&r.m.Base, &r.hasBase, value)
	case `"ifVersion"`:
		has := r.m.IfVersion != nil
		r.m.IfVersion = new(uint64)
		r.number(r.m.IfVersion, &has, value)
	case `"op"`:
		r.op(value)
	case `"fields"`:
		r.fields(value)
	default:
		r.rare = true
	}
}

func (r *mutationReader) text(into *[]byte, value []byte) {
	if *into != nil || !isPlainString(value) {
		r.rare = true
		return
	}
	*into = value[1 : len(value)-1]
}

func (r *mutationReader) number(into *uint64, has *bool, value []byte) {
	const most = 18 // digits, which fit whatever they are
	r.rare = r.rare || *has || len(value) > most
	*into, *has = 0, true
	for _, c := range value {
		if c < '0' || c > '9' {
			r.rare = true
			return
		}
		*into = *into*10 + uint64(c-'0')
	}
}

func (r *mutationReader) op(value []byte) {
	r.rare = r.rare || r.m.Op != ""
	switch string(value) {
	case `"put"`:
		r.m.Op = OpPut
	case `"patch"`:
		r.m.Op = OpPatch
	case `"delete"`:
		r.m.Op = OpDelete
	case `"restore"`:
		r.m.Op = OpRestore
	default:
		r.rare = true
	}
}

func (r *mutationReader) fields(value []byte) {
	r.rare = r.rare || r.m.Fields != nil
	fields := make(map[string]json.RawMessage)
	isObject := members(value, func(field member) bool {
		fields[field.key] = bytes.Clone(field.value)
		return true
	})
	r.m.Fields, r.rare = fields, r.rare || !isObject
}

// isPlainString says whether a JSON string is ASCII and means what stands between
// its quotes.
func isPlainString(b []byte) bool {
	if !isString(b) {
		return false
	}
	for _, c := range b {
		if c == '\\' || c >= 0x80 {
			return false
		}
	}
	return true
}

// AppendOutcome appends the response to a mutate push, as encoding/json has it.
func AppendOutcome(dst []byte, o *Outcome) ([]byte, error) {
	if len(o.Lost) > 0 || o.Error != nil || o.State != nil {
		b, err := json.Marshal(o)
		return append(dst, b...), err
	}
	dst = append(dst, `{"n":`...)
	dst = strconv.AppendUint(dst, o.N, 10)
	dst = append(dst, `,"offset":`...)
	dst = strconv.AppendUint(dst, o.Offset, 10)
	dst = append(dst, `,"status":`...)
	dst = AppendString(dst, string(o.Status))
	if o.Duplicate {
		dst = append(dst, `,"duplicate":true`...)
	}
	return append(dst, '}'), nil
}
