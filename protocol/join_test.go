package protocol

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// What follows is ParseJoin as encoding/json does it, for comparison.

// flexibleBool is a boolean that may be the string "true" or "false" in any case.
type flexibleBool struct{ set, value bool }

func (b *flexibleBool) UnmarshalJSON(data []byte) error {
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
	Private   flexibleBool `json:"private"`
	Broadcast lenient[struct {
		Ack              flexibleBool    `json:"ack"`
		Self             flexibleBool    `json:"self"`
		ReplicationReady flexibleBool    `json:"replication_ready"`
		Replay           json.RawMessage `json:"replay"`
	}] `json:"broadcast"`
	Presence lenient[struct {
		Key     json.RawMessage `json:"key"`
		Enabled flexibleBool    `json:"enabled"`
	}] `json:"presence"`
	Postgres lenient[[]json.RawMessage] `json:"postgres_changes"`
	Chorale  lenient[*ChoraleJoin]      `json:"chorale"`
}

func parseJoinByReflection(payload []byte) Join {
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

func FuzzParseJoinAsByReflection(f *testing.F) {
	for _, seed := range []string{
		`{"config":{"broadcast":{"ack":true,"self":"TRUE","replay":{"since":1,"limit":2}},"presence":{"key":"k","enabled":false},"private":true}}`,
		`{"Config":{"presence":{"KEY":7}},"config":{"postgres_changes":[{"a":1},2,{}],"broadcast":null},"access_token":"sb_x","user_token":null}`,
		`{"config":{"chorale":{"v":1,"client":"c","collections":["notes"],"resume":{"epoch":"e","offset":3}},"private":"no","broadcast":[]},"access_token":7}`,
		`{"con\u0066ig":{"private":1,"private":"False"},"config":null,"access_token":"\u0061","config":7}`,
		`null`, `[]`, `{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if !utf8.Valid(payload) {
			return // no frame is
		}
		got, want := ParseJoin(payload), parseJoinByReflection(payload)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	})
}

func BenchmarkParseJoin(b *testing.B) {
	payload := []byte(`{"config":{"broadcast":{"ack":false,"self":false},"presence":{"key":"","enabled":false},"postgres_changes":[],"private":false},"access_token":"x"}`)
	for name, parse := range map[string]func([]byte) Join{"cut": ParseJoin, "by reflection": parseJoinByReflection} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				parse(payload)
			}
		})
	}
}
