package protocol

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// vectors reads a file of conformance/frames, whose README says what is in it.
func vectors[T any](t *testing.T, file string) []T {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "conformance", "frames", file))
	if err != nil {
		t.Fatal(err)
	}
	var out []T
	if err := json.Unmarshal(data, &out); err != nil || len(out) == 0 {
		t.Fatalf("%s: %d vectors, %v", file, len(out), err)
	}
	return out
}

// vectorFrame is a frame as the vectors write it.
type vectorFrame struct {
	JoinRef, Ref            *string
	Topic, Event, UserEvent string
	Payload, Metadata       json.RawMessage
	RawHex                  *string

	// What read makes of them.
	joinRef, ref string
	raw          []byte
	hasRaw       bool
}

func (f *vectorFrame) read(t *testing.T) {
	t.Helper()
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	f.joinRef, f.ref = text(f.JoinRef), text(f.Ref)
	f.raw, f.hasRaw = unhex(t, text(f.RawHex)), f.RawHex != nil
	if !f.hasRaw && f.Payload == nil {
		f.Payload = json.RawMessage("null")
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sameJSON compares what two JSON texts mean.
func sameJSON(t *testing.T, what string, got, want []byte) {
	t.Helper()
	var g, w any
	if len(got) > 0 && json.Unmarshal(got, &g) != nil {
		t.Fatalf("%s: %s is no JSON", what, got)
	}
	if len(want) > 0 && json.Unmarshal(want, &w) != nil {
		t.Fatalf("%s: %s is no JSON", what, want)
	}
	if d := cmp.Diff(w, g); d != "" {
		t.Errorf("%s: %s", what, d)
	}
}

func version(t *testing.T, vsn string) Version {
	t.Helper()
	v, ok := ParseVersion(vsn)
	if !ok {
		t.Fatalf("vsn %q", vsn)
	}
	return v
}

func TestVectorsOfClients(t *testing.T) {
	for _, tt := range vectors[struct {
		Name, Vsn, Text, TextHex string
		Hex                      *string
		Frame                    vectorFrame
		Malformed                bool
	}](t, "client.json") {
		t.Run(tt.Name, func(t *testing.T) {
			var f Frame
			var err error
			switch {
			case tt.Hex != nil:
				f, err = DecodeBinary(unhex(t, *tt.Hex))
			case tt.TextHex != "":
				f, err = DecodeText(version(t, tt.Vsn), unhex(t, tt.TextHex))
			default:
				f, err = DecodeText(version(t, tt.Vsn), []byte(tt.Text))
			}
			if tt.Malformed {
				if !errors.Is(err, ErrMalformed) {
					t.Errorf("got %+v, %v; want ErrMalformed", f, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			w := &tt.Frame
			w.read(t)
			if f.JoinRef != w.joinRef || f.Ref != w.ref || f.Topic != w.Topic || f.Event != w.Event || f.UserEvent != w.UserEvent {
				t.Errorf("got %+v, want %+v", f, w)
			}
			if f.IsBinary != w.hasRaw || !reflect.DeepEqual([]byte(f.Binary), w.raw) && len(w.raw)+len(f.Binary) > 0 {
				t.Errorf("raw bytes %x, want %x", f.Binary, w.raw)
			}
			sameJSON(t, "payload", f.Payload, w.Payload)
			sameJSON(t, "metadata", f.Metadata, w.Metadata)
		})
	}
}

func TestVectorsOfServers(t *testing.T) {
	for _, tt := range vectors[struct {
		Name, Vsn, Encode, Text, Body, Topic, UserEvent, RawHex, Hex string
		OK                                                           bool
		Response                                                     json.RawMessage
		Error                                                        Error
		Meta                                                         BroadcastMeta
		Frame                                                        vectorFrame
		Malformed                                                    bool
	}](t, "server.json") {
		t.Run(tt.Name, func(t *testing.T) {
			if tt.Malformed {
				return // for who decodes what servers send
			}
			v, f := version(t, tt.Vsn), &tt.Frame
			f.read(t)
			var m Message
			switch tt.Encode {
			case "text":
				m = EncodeText(v, f.joinRef, f.ref, f.Topic, f.Event, f.Payload)
			case "reply":
				m = EncodeReply(v, f.joinRef, f.ref, f.Topic, tt.OK, tt.Response)
				for _, room := range [][]byte{nil, make([]byte, 0, 64), make([]byte, 0, 4096)} {
					lent := LendReply(room, v, f.joinRef, f.ref, f.Topic, tt.OK, tt.Response)
					kept := lent.Kept()
					LendReply(room, v, "", "", "another", false, []byte("null"))
					if !bytes.Equal(kept.Wire(), m.Wire()) {
						t.Errorf("lent %s, want %s", kept.Payload(), m.Payload())
					}
				}
			case "error":
				m = EncodeReply(v, f.joinRef, f.ref, f.Topic, false, AppendError(nil, &tt.Error))
			case "persist-error":
				m = EncodeReply(v, f.joinRef, f.ref, f.Topic, false, AppendPersistError(nil, &tt.Error))
			case "broadcast":
				m = EncodeBroadcast(v, f.Topic, []byte(tt.Body), tt.Meta)
			case "raw":
				m = EncodeBinaryBroadcast(tt.Topic, tt.UserEvent, unhex(t, tt.RawHex), tt.Meta)
				if got := hex.EncodeToString(m.Payload()); got != tt.Hex || !m.Binary() {
					t.Errorf("got %s, want %s", got, tt.Hex)
				}
				return
			default:
				t.Fatalf("encode is %q", tt.Encode)
			}
			if got := string(m.Payload()); got != tt.Text || m.Binary() {
				t.Errorf("got %s, want %s", got, tt.Text)
			}
		})
	}
}

func TestVectorsOfPayloads(t *testing.T) {
	for _, tt := range vectors[struct {
		Name, Event string
		Payload     json.RawMessage
		Refused     bool
	}](t, "payloads.json") {
		t.Run(tt.Name, func(t *testing.T) {
			if tt.Refused {
				return // for who reads what servers send
			}
			shape, ok := map[string]any{
				"change": &Change{}, "outcome": &Outcome{},
				"records": &RecordsPage{}, "synced": &Synced{},
			}[tt.Event]
			if !ok {
				t.Fatalf("event %q", tt.Event)
			}
			if err := json.Unmarshal(tt.Payload, shape); err != nil {
				t.Fatal(err)
			}
			again, err := json.Marshal(shape)
			if err != nil {
				t.Fatal(err)
			}
			sameJSON(t, "what the shape keeps", again, tt.Payload)
		})
	}
}

func TestVectorsOfJoins(t *testing.T) {
	type replay struct {
		Since int64 `json:"since"`
		Limit int   `json:"limit"`
	}
	type join struct {
		Token    string `json:"token"`
		Ack      bool   `json:"ack"`
		Self     bool   `json:"self"`
		Private  bool   `json:"private"`
		Presence bool   `json:"presence"`
		Key      string `json:"key"`
		Postgres int    `json:"postgres"`
	}
	for _, tt := range vectors[struct {
		Name          string
		Payload, Join json.RawMessage
	}](t, "join.json") {
		t.Run(tt.Name, func(t *testing.T) {
			j := ParseJoin(tt.Payload)
			got := map[string]any{}
			data, err := json.Marshal(join{j.Token, j.Ack, j.Self, j.Private, j.PresenceEnabled, j.PresenceKey, len(j.Postgres)})
			if err != nil || json.Unmarshal(data, &got) != nil {
				t.Fatal(err)
			}
			switch {
			case j.Replay == nil:
			case !j.Replay.Valid:
				got["replay"] = nil
			default:
				got["replay"] = replay{j.Replay.Since, j.Replay.Limit}
			}
			if data, err = json.Marshal(got); err != nil {
				t.Fatal(err)
			}
			sameJSON(t, "join", data, tt.Join)
		})
	}
}

func TestVectorsOfPushes(t *testing.T) {
	for _, tt := range vectors[struct {
		Name, Text, Body, Event, ID, Refused string
		Ephemeral                            bool
		PersistSeconds                       int64
	}](t, "push.json") {
		t.Run(tt.Name, func(t *testing.T) {
			b, fault := ParseBroadcast(&Frame{Event: EventBroadcast, Payload: json.RawMessage(tt.Text)})
			if tt.Refused != "" {
				if fault == nil || fault.Code != tt.Refused {
					t.Errorf("got %v, want %s", fault, tt.Refused)
				}
				return
			}
			if fault != nil {
				t.Fatal(fault)
			}
			want := PushedMeta{ID: tt.ID, Ephemeral: tt.Ephemeral, Persist: time.Duration(tt.PersistSeconds) * time.Second}
			if string(b.Body) != tt.Body || b.Event != tt.Event || b.Pushed != want {
				t.Errorf("body %s, event %q, %+v; want %s, %q, %+v", b.Body, b.Event, b.Pushed, tt.Body, tt.Event, want)
			}
		})
	}
}
