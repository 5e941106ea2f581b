package protocol

import (
	"bytes"
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

// ParseJoin reads a join's payload. It never fails; see Join. Fields are found as
// encoding/json finds them: whatever the case of their names, the last one counting.
func ParseJoin(payload []byte) Join {
	j := Join{PresenceEnabled: true}
	if !valid(payload) {
		return j
	}
	var config []byte
	var user, access string
	namedMembers(payload, joinNames, func(name string, value []byte) {
		switch name {
		case "user_token":
			readString(value, &user)
		case "access_token":
			readString(value, &access)
		case "config":
			readObject(value, &config)
		}
	})
	j.Token = user
	if user == "" {
		j.Token = access
	}
	if strings.HasPrefix(j.Token, "sb_") {
		j.Token = ""
	}
	j.readConfig(config)
	return j
}

func (j *Join) readConfig(config []byte) {
	var broadcast, presence, replay, key []byte
	namedMembers(config, configNames, func(name string, value []byte) {
		switch name {
		case "private":
			readBool(value, &j.Private)
		case "broadcast":
			readObject(value, &broadcast)
		case "presence":
			readObject(value, &presence)
		case "postgres_changes":
			if isNull(value) || value[0] == '[' {
				j.Postgres = objectsOf(value)
			}
		case "chorale":
			var c *ChoraleJoin
			if json.Unmarshal(value, &c) == nil {
				j.Chorale = c
			}
		}
	})
	namedMembers(broadcast, broadcastNames, func(name string, value []byte) {
		switch name {
		case "ack":
			readBool(value, &j.Ack)
		case "self":
			readBool(value, &j.Self)
		case "replication_ready":
			readBool(value, &j.ReplicationWait)
		case "replay":
			replay = value
		}
	})
	j.Replay = parseReplay(replay)
	namedMembers(presence, presenceNames, func(name string, value []byte) {
		switch name {
		case "key":
			key = value
		case "enabled":
			readBool(value, &j.PresenceEnabled)
		}
	})
	j.PresenceKey = presenceKey(key)
}

var (
	joinNames      = []string{"config", "access_token", "user_token"}
	configNames    = []string{"broadcast", "presence", "postgres_changes", "private", "chorale"}
	broadcastNames = []string{"ack", "self", "replication_ready", "replay"}
	presenceNames  = []string{"key", "enabled"}
)

// namedMembers calls read with each member of an object that has one of these names.
func namedMembers(object []byte, names []string, read func(name string, value []byte)) {
	quotedMembers(object, func(m member) bool {
		if name := oneOf(names, m.quoted); name != "" {
			read(name, m.value)
		}
		return true
	})
}

// oneOf is the one of names that a key stands for; "" when none is.
func oneOf(names []string, quoted []byte) string {
	for _, name := range names {
		if string(quoted[1:len(quoted)-1]) == name {
			return name
		}
	}
	key := stringValue(quoted)
	for _, name := range names {
		if strings.EqualFold(key, name) {
			return name
		}
	}
	return ""
}

func isNull(value []byte) bool { return string(value) == "null" }

// readString, readObject and readBool leave what they read into as it is when the
// value is something else; null is an absent string or object.
func readString(value []byte, into *string) {
	if isString(value) || isNull(value) {
		*into = stringValue(value)
	}
}

func readObject(value []byte, into *[]byte) {
	switch {
	case isObject(value):
		*into = value
	case isNull(value):
		*into = nil
	}
}

// readBool takes the strings "true" and "false", in any case, as well.
func readBool(value []byte, into *bool) {
	switch strings.ToLower(strings.Trim(string(value), `"`)) {
	case "true":
		*into = true
	case "false":
		*into = false
	}
}

// objectsOf are the objects in an array, which outlive it.
func objectsOf(array []byte) (objects []json.RawMessage) {
	elements(array, func(_ int, value []byte) bool {
		if isObject(value) {
			objects = append(objects, bytes.Clone(value))
		}
		return true
	})
	return objects
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
