package client

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

// The vectors and conversations that judge the server judge this client as well.
const conformance = "../conformance/"

type vectorFrame struct {
	JoinRef   *string         `json:"joinRef"`
	Ref       *string         `json:"ref"`
	Topic     string          `json:"topic"`
	Event     string          `json:"event"`
	Payload   json.RawMessage `json:"payload"`
	UserEvent string          `json:"userEvent"`
	Metadata  json.RawMessage `json:"metadata"`
	RawHex    *string         `json:"rawHex"`
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

type frameVector struct {
	Name      string          `json:"name"`
	Vsn       string          `json:"vsn"`
	SDK       bool            `json:"sdk"`
	Malformed bool            `json:"malformed"`
	Text      *string         `json:"text"`
	Hex       *string         `json:"hex"`
	Frame     vectorFrame     `json:"frame"`
	Encode    string          `json:"encode"`
	Topic     string          `json:"topic"`
	UserEvent string          `json:"userEvent"`
	Meta      json.RawMessage `json:"meta"`
	RawHex    *string         `json:"rawHex"`
	Event     string          `json:"event"`
	Payload   json.RawMessage `json:"payload"`
	Refused   bool            `json:"refused"`
}

func vectors(t *testing.T, file string) []frameVector {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(conformance, "frames", file))
	if err != nil {
		t.Fatal(err)
	}
	var list []frameVector
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestFrameVectors(t *testing.T) {
	for _, v := range vectors(t, "client.json") {
		if f := v.Frame; v.SDK && v.Text != nil {
			t.Run(v.Name+": written to the byte", func(t *testing.T) {
				got := encodeFrame(orEmpty(f.JoinRef), orEmpty(f.Ref), f.Topic, f.Event, f.Payload)
				if string(got) != *v.Text {
					t.Errorf("%s, want %s", got, *v.Text)
				}
			})
		}
	}
	for _, v := range vectors(t, "server.json") {
		if v.Vsn != "2.0.0" {
			continue
		}
		data, isBinary := []byte(orEmpty(v.Text)), v.Text == nil
		if isBinary {
			var err error
			if data, err = hex.DecodeString(orEmpty(v.Hex)); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(v.Name+": read, or dropped", func(t *testing.T) {
			f, err := decodeFrame(isBinary, data)
			switch {
			case v.Malformed:
				if err == nil {
					t.Errorf("it was read as %+v", f)
				}
			case err != nil:
				t.Error(err)
			case isBinary:
				m, err := decodeBroadcast(&f)
				if err != nil || f.Topic != v.Topic || m.event != v.UserEvent || hex.EncodeToString(m.binary) != orEmpty(v.RawHex) {
					t.Errorf("%+v, %v", m, err)
				}
			default:
				want := v.Frame
				if f.JoinRef != orEmpty(want.JoinRef) || f.Ref != orEmpty(want.Ref) || f.Topic != want.Topic || f.Event != want.Event || !isSameJSON(f.Payload, want.Payload) {
					t.Errorf("%+v, want %+v", f, want)
				}
			}
		})
	}
}

// readers read a payload, and write it again where that can be compared.
var readers = map[string]func([]byte) (any, error){
	"change":  func(b []byte) (any, error) { return decodeChange(b) },
	"outcome": func(b []byte) (any, error) { return decodeOutcome(b) },
	"synced":  func(b []byte) (any, error) { return decodeSynced(b) },
	"records": func(b []byte) (any, error) {
		p, err := decodeRecords(b)
		if err != nil {
			return nil, err
		}
		// Whether there are more pages is nothing to a client: synced ends them.
		var unread struct{ More bool }
		if err := json.Unmarshal(b, &unread); err != nil {
			return nil, err
		}
		return map[string]any{"collection": p.collection, "reset": p.reset, "offset": p.offset, "records": p.records, "more": unread.More}, nil
	},
}

func TestPayloadVectors(t *testing.T) {
	for _, v := range vectors(t, "payloads.json") {
		t.Run(v.Name, func(t *testing.T) {
			got, err := readers[v.Event](v.Payload)
			switch {
			case v.Refused:
				if err == nil {
					t.Errorf("it was believed: %+v", got)
				}
			case err != nil:
				t.Error(err)
			default:
				// What is empty may be left out; all else must have been read.
				if again := mustMarshal(got); !isSameJSON(withoutEmpty(t, again), withoutEmpty(t, v.Payload)) {
					t.Errorf("%s, want %s", again, v.Payload)
				}
			}
		})
	}
}

func withoutEmpty(t *testing.T, raw json.RawMessage) json.RawMessage {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return mustMarshal(prune(v))
}

func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, part := range v {
			switch part := prune(part).(type) {
			case map[string]any:
				if len(part) == 0 {
					delete(v, name)
				}
			case bool:
				if !part {
					delete(v, name)
				}
			}
		}
	case []any:
		for _, part := range v {
			prune(part)
		}
	}
	return v
}

var (
	saidLine = regexp.MustCompile(`(?m)^(\S+) < (\[.*|bytes ".*")$`)
	line     = regexp.MustCompile(`(?m)^(\S+) ([<>]) (\[.*)$`)
)

func conversations(t *testing.T) []string {
	files, err := filepath.Glob(conformance + "sessions/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	return files
}

// TestConversations reads everything that the server says in conformance/sessions.
func TestConversations(t *testing.T) {
	for _, file := range conversations(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			said := saidLine.FindAllStringSubmatch(string(script), -1)
			if len(said) == 0 {
				t.Fatal("the server says nothing")
			}
			for _, found := range said {
				if err := understand(found[2]); err != nil {
					t.Errorf("%s: %v", found[2], err)
				}
			}
		})
	}
}

func understand(frame string) error {
	if quoted, isBinary := strings.CutPrefix(frame, "bytes "); isBinary {
		data, err := strconv.Unquote(quoted)
		if err != nil {
			return err
		}
		f, err := decodeFrame(true, []byte(data))
		if err == nil {
			_, err = decodeBroadcast(&f)
		}
		return err
	}
	f, err := decodeFrame(false, []byte(frame))
	if err != nil {
		return err
	}
	switch f.Event {
	case protocol.EventReply:
		r, err := decodeReply(f.Payload)
		if err == nil && r.err != nil && (r.err.Code == CodeRefused || r.err.Message == "") {
			return protocolFault("a refusal without a code or a sentence")
		}
		if err == nil && r.err == nil && strings.Contains(string(r.response), `"chorale"`) {
			_, err = decodeJoined(r.response)
		}
		return err
	case protocol.EventBroadcast:
		_, err = decodeBroadcast(&f)
	case protocol.EventPresenceState:
		_, err = decodeState(f.Payload)
	case protocol.EventPresenceDiff:
		_, err = decodeDiff(f.Payload)
	case protocol.EventSystem, protocol.EventClose, protocol.EventError:
	default:
		read := readers[f.Event]
		if read == nil {
			return protocolFault("an event that nobody reads")
		}
		_, err = read(f.Payload)
	}
	return err
}

// deafHost is a storeHost whose channel is never live: a store beside a recorded
// conversation.
type deafHost struct{ id string }

func (h deafHost) client() string                                          { return h.id }
func (deafHost) renewClient()                                              {}
func (deafHost) seenOffset() uint64                                        { return 0 }
func (deafHost) author() string                                            { return "" }
func (deafHost) serverNow() int64                                          { return 0 }
func (deafHost) bounds() limits                                            { return limits{protocol.MaxRecordBytes, protocol.MaxFrameBytes} }
func (deafHost) startAlarm(time.Duration, func()) *alarm                   { return nil }
func (deafHost) stopAlarm(*alarm)                                          {}
func (deafHost) sendMutation([]byte, func(*protocol.Outcome, *reply)) bool { return false }
func (deafHost) rejoinSoon()                                               {}
func (deafHost) emit(Event)                                                {}
func (deafHost) settled()                                                  {}
func (deafHost) refusal()                                                  {}
func (deafHost) logEpoch() string                                          { return "" }

// TestConversationsConverge gives what each client was told of records to a store
// of this package. A record that two of them know at one version is the same for
// both: whether it came whole, as a page, or change by change.
func TestConversationsConverge(t *testing.T) {
	compared := 0
	for _, file := range conversations(t) {
		t.Run("[R5][M7][S3] "+filepath.Base(file), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			stores := listen(t, string(script))
			type version struct {
				topic, record string
				version       uint64
			}
			known := map[version]string{}
			for _, topicOf := range slices.Sorted(maps.Keys(stores)) {
				for _, k := range stores[topicOf].collections {
					for id, rec := range k.base.records {
						_, topic, _ := strings.Cut(topicOf, " ")
						v := version{topic, k.name + "/" + id, rec.Version}
						text := string(withoutEmpty(t, mustMarshal(rec)))
						if other, ok := known[v]; ok {
							if compared++; !sameJSON(other, text) {
								t.Errorf("%v: %s\nand: %s", v, other, text)
							}
						}
						known[v] = text
					}
				}
			}
		})
	}
	if compared == 0 {
		t.Error("no two clients knew the same record: the conversations tell nothing")
	}
}

// listen makes a store of each client and topic, and tells it what the client was
// told.
func listen(t *testing.T, script string) map[string]*recordStore {
	stores, ids := map[string]*recordStore{}, map[string]string{}
	for _, found := range line.FindAllStringSubmatch(script, -1) {
		f, err := decodeFrame(false, []byte(found[3]))
		if err != nil {
			continue // what strange clients send
		}
		key := found[1] + " " + f.Topic
		if found[2] == ">" {
			if j := protocol.ParseJoin(f.Payload); f.Event == protocol.EventJoin && j.Chorale != nil {
				ids[key] = j.Chorale.Client
			}
			continue
		}
		s := stores[key]
		if s == nil {
			s = newRecordStore(f.Topic, deafHost{ids[key]})
			stores[key] = s
		}
		switch f.Event {
		case protocol.EventRecords:
			p, err := decodeRecords(f.Payload)
			if err != nil {
				t.Fatal(err)
			}
			s.keep(p.collection)
			s.onRecords(p)
		case protocol.EventChange:
			c, err := decodeChange(f.Payload)
			if err != nil {
				t.Fatal(err)
			}
			s.onChange(c)
		case protocol.EventSynced:
			synced, err := decodeSynced(f.Payload)
			if err != nil {
				t.Fatal(err)
			}
			s.onSynced(synced)
		}
	}
	return stores
}

func TestDecodersTakeWhatTheyAreGiven(t *testing.T) {
	t.Run("[F3][F4] raw bytes travel both ways", func(t *testing.T) {
		push := protocol.EncodeBinaryPush("1", "2", "realtime:room", "e", []byte(`{"id":"m"}`), []byte{0, 255})
		f, err := protocol.DecodeBinary(push)
		if err != nil || f.JoinRef != "1" || f.Ref != "2" || f.UserEvent != "e" || string(f.Binary) != "\x00\xff" || string(f.Metadata) != `{"id":"m"}` {
			t.Errorf("%+v, %v", f, err)
		}
		down := protocol.EncodeBinaryBroadcast("realtime:room", "e", []byte{0, 255}, protocol.BroadcastMeta{ID: "m", Offset: 7}).Payload()
		if f, err = decodeFrame(true, down); err != nil {
			t.Fatal(err)
		}
		if m, err := decodeBroadcast(&f); err != nil || m.id != "m" || m.offset != 7 || string(m.binary) != "\x00\xff" {
			t.Errorf("%+v, %v", m, err)
		}
		if protocol.EncodeBinaryPush(strings.Repeat("x", 256), "", "", "", nil, nil) != nil {
			t.Error("a ref that does not fit its length byte was written")
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`[null,null,"realtime:a","broadcast",{"event":"e","payload":1,"meta":{"id":"m","offset":1}}]`,
		`["1","1","realtime:a","phx_reply",{"status":"ok","response":{"chorale":{"epoch":"e","offset":1,"resumed":false,"now":1}}}]`,
		`[null,null,"realtime:a","change",{"offset":1,"collection":"n","record":"r","op":"put","status":"applied","client":"c","n":1,"state":{"id":"r","fields":{},"stamps":{},"sets":{"t":["b","a"]},"setStamps":{"t":{"a":"+1"}}}}]`,
		`[null,null,"realtime:a","synced",{"epoch":"e","offset":1,"last":1,"outcomes":[{"n":1,"status":"gone"}]}]`,
		`[null,null,"realtime:a","presence_diff",{"joins":{"k":{"metas":[{"phx_ref":"r"}]}},"leaves":{}}]`,
		"\x04\x0a\x01\x02\x00realtime:ae{}raw",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		fr, err := decodeFrame(data != "" && data[0] == 4, []byte(data))
		if err != nil {
			return
		}
		// Whatever can be decoded can be handled, in any order.
		s := newRecordStore("a", deafHost{"c"})
		s.keep("n")
		if _, err := s.write("n", protocol.OpPut, "r", "id", map[string]any{"a": 1, "t": []string{"x"}}, nil); err != nil {
			t.Fatal(err)
		}
		s.outbox.freeze("c")
		if fr.IsBinary || fr.Event == protocol.EventBroadcast {
			_, _ = decodeBroadcast(&fr)
			return
		}
		if c, err := decodeChange(fr.Payload); err == nil {
			s.onChange(c)
		}
		if p, err := decodeRecords(fr.Payload); err == nil {
			s.onRecords(p)
		}
		if synced, err := decodeSynced(fr.Payload); err == nil {
			s.onSynced(synced)
		}
		if r, err := decodeReply(fr.Payload); err == nil && r.err == nil {
			_, _ = decodeJoined(r.response)
		}
		if d, err := decodeDiff(fr.Payload); err == nil {
			roster{}.apply(d).members("k")
		}
	})
}
