package protocol

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"
)

// Join is the payload of a phx_join, read as leniently as clients write it: a
// part that cannot be understood counts as absent.
type Join struct {
	Token           string // "" when the connection's token counts
	Ack             bool
	Self            bool
	Private         bool
	PresenceEnabled bool
	PresenceKey     string
	Replay          *Replay
	Postgres        []json.RawMessage // each a JSON object
	ReplicationWait bool              // broadcast.replication_ready
	Chorale         *ChoraleJoin
}

// Replay asks for stored messages.
type Replay struct {
	Since int64 // Unix ms
	Limit int   // 1 to MaxReplay
	Valid bool  // since and limit are whole numbers
}

// ChoraleJoin is config.chorale of a join.
type ChoraleJoin struct {
	V           int      `json:"v"`
	Client      string   `json:"client"`
	Collections []string `json:"collections"`
	Resume      *struct {
		Epoch  string `json:"epoch"`
		Offset uint64 `json:"offset"`
		// Collections that the client holds at this position; nil means all of
		// ChoraleJoin.Collections. The others are loaded whole.
		Collections []string `json:"collections"`
	} `json:"resume"`
}

// flexBool is a boolean that may be the string "true" or "false" in any case.
type flexBool struct{ set, value bool }

func (b *flexBool) UnmarshalJSON(data []byte) error {
	switch strings.ToLower(strings.Trim(string(data), `"`)) {
	case "true":
		b.set, b.value = true, true
	case "false":
		b.set, b.value = true, false
	}
	return nil
}

// lenient unmarshals into T and leaves its zero value when that fails.
type lenient[T any] struct{ value T }

func (l *lenient[T]) UnmarshalJSON(data []byte) error {
	var v T
	if json.Unmarshal(data, &v) == nil {
		l.value = v
	}
	return nil
}

type joinPayload struct {
	UserToken   lenient[string]     `json:"user_token"`
	AccessToken lenient[string]     `json:"access_token"`
	Config      lenient[joinConfig] `json:"config"`
}

type joinConfig struct {
	Private   flexBool `json:"private"`
	Broadcast lenient[struct {
		Ack              flexBool        `json:"ack"`
		Self             flexBool        `json:"self"`
		ReplicationReady flexBool        `json:"replication_ready"`
		Replay           json.RawMessage `json:"replay"`
	}] `json:"broadcast"`
	Presence lenient[struct {
		Key     json.RawMessage `json:"key"`
		Enabled flexBool        `json:"enabled"`
	}] `json:"presence"`
	Postgres lenient[[]json.RawMessage] `json:"postgres_changes"`
	Chorale  lenient[*ChoraleJoin]      `json:"chorale"`
}

// ParseJoin reads a join's payload. It never fails; see Join.
func ParseJoin(payload []byte) Join {
	var p joinPayload
	if json.Unmarshal(payload, &p) != nil {
		return Join{PresenceEnabled: true}
	}
	c := p.Config.value
	b, pr := c.Broadcast.value, c.Presence.value
	j := Join{
		Token:           p.UserToken.value,
		Ack:             b.Ack.value,
		Self:            b.Self.value,
		Private:         c.Private.value,
		PresenceEnabled: pr.Enabled.value || !pr.Enabled.set,
		PresenceKey:     presenceKey(pr.Key),
		ReplicationWait: b.ReplicationReady.value,
		Chorale:         c.Chorale.value,
		Replay:          parseReplay(b.Replay),
	}
	if j.Token == "" {
		j.Token = p.AccessToken.value
	}
	if strings.HasPrefix(j.Token, "sb_") {
		j.Token = ""
	}
	for _, entry := range c.Postgres.value {
		if isObject(entry) {
			j.Postgres = append(j.Postgres, entry)
		}
	}
	return j
}

// presenceKey is the key as a string: other values are taken as they are written.
func presenceKey(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	if isString(raw) {
		return stringValue(raw)
	}
	return string(raw)
}

func parseReplay(raw json.RawMessage) *Replay {
	if !isObject(raw) {
		return nil
	}
	var p struct {
		Since *int64 `json:"since"`
		Limit *int   `json:"limit"`
	}
	if json.Unmarshal(raw, &p) != nil || p.Since == nil {
		return &Replay{}
	}
	limit := DefaultReplay
	if p.Limit != nil {
		limit = min(max(*p.Limit, 1), MaxReplay)
	}
	return &Replay{Since: *p.Since, Limit: limit, Valid: true}
}

// EchoPostgres is the response's postgres_changes: each request with an id, as
// clients compare them by position.
func EchoPostgres(requests []json.RawMessage) []byte {
	out := []byte{'['}
	for i, r := range requests {
		if i > 0 {
			out = append(out, ',')
		}
		h := fnv.New32a()
		_, _ = h.Write(r) // a hash does not fail
		end := len(r) - 1
		out = append(out, r[:end]...)
		if strings.TrimSpace(string(r[1:end])) != "" {
			out = append(out, ',')
		}
		out = fmt.Appendf(out, `"id":%d}`, h.Sum32()>>1)
	}
	return append(out, ']')
}
