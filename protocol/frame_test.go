package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeText(t *testing.T) {
	tests := []struct {
		name string
		v    Version
		in   string
		want Frame
		bad  bool
	}{
		{"[F2] a join as realtime-js sends it", V2, `["6","6","realtime:room:1","phx_join",{"config":{}}]`,
			Frame{JoinRef: "6", Ref: "6", Topic: "realtime:room:1", Event: "phx_join", Payload: json.RawMessage(`{"config":{}}`)}, false},
		{"[F2] null refs, and elements nobody asked for", V2, ` [ null , null , "phoenix" , "heartbeat" , { } , 7 ] `,
			Frame{Topic: "phoenix", Event: "heartbeat", Payload: json.RawMessage(`{ }`)}, false},
		{"[F2] refs as numbers, as some clients write them", V2, `[1,2,"t","e",null]`,
			Frame{JoinRef: "1", Ref: "2", Topic: "t", Event: "e", Payload: json.RawMessage(`null`)}, false},
		{"[F2] brackets and quotes inside strings", V2, `["1","2","realtime:a\"],[","e",{"a":"}]\\\"","b":["]"]}]`,
			Frame{JoinRef: "1", Ref: "2", Topic: `realtime:a"],[`, Event: "e", Payload: json.RawMessage(`{"a":"}]\\\"","b":["]"]}`)}, false},
		{"[F2] unicode topics", V2, `["1","2","realtime:приём \u00e9","e",1]`,
			Frame{JoinRef: "1", Ref: "2", Topic: "realtime:приём é", Event: "e", Payload: json.RawMessage(`1`)}, false},
		{"[F1] an object without join_ref", V1, `{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"12"}`,
			Frame{Ref: "12", Topic: "phoenix", Event: "heartbeat", Payload: json.RawMessage(`{}`)}, false},
		{"[F1] an object in another order", V1, `{"ref":null,"join_ref":"3","payload":[1,2],"event":"x","topic":"t"}`,
			Frame{JoinRef: "3", Topic: "t", Event: "x", Payload: json.RawMessage(`[1,2]`)}, false},
		{"[F5] four elements", V2, `["1","2","t","e"]`, Frame{}, true},
		{"[F5] an object where an array is due", V2, `{"topic":"t"}`, Frame{}, true},
		{"[F5] an array where an object is due", V1, `["1","2","t","e",{}]`, Frame{}, true},
		{"[F5] a topic that is no string", V2, `["1","2",3,"e",{}]`, Frame{}, true},
		{"[F5] an object without payload", V1, `{"topic":"t","event":"e","ref":null}`, Frame{}, true},
		{"[F5] no JSON", V2, `["1","2"`, Frame{}, true},
		{"[F5] no UTF-8", V2, "[\"1\",\"2\",\"t\xff\",\"e\",{}]", Frame{}, true},
		{"[F5] nothing", V2, ``, Frame{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := DecodeText(tt.v, []byte(tt.in))
			if tt.bad {
				if !errors.Is(err, ErrMalformed) {
					t.Fatalf("got %+v, %v; want ErrMalformed", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestDecodeBinary(t *testing.T) {
	t.Run("[F3] kind 3 with metadata, as captured from realtime-js 2.119", func(t *testing.T) {
		f, err := DecodeBinary([]byte("\x03\x01\x01\x0f\x02\x16\x01" + "67realtime:room:1ev" + `{"persist":{"ttl":60}}` + `{"a":1}`))
		if err != nil {
			t.Fatal(err)
		}
		want := Frame{JoinRef: "6", Ref: "7", Topic: "realtime:room:1", Event: "broadcast", Kind3: true, UserEvent: "ev",
			Metadata: json.RawMessage(`{"persist":{"ttl":60}}`), Payload: json.RawMessage(`{"a":1}`)}
		if d := cmp.Diff(want, f); d != "" {
			t.Error(d)
		}
	})
	t.Run("[F3] kind 3 with raw bytes", func(t *testing.T) {
		f, err := DecodeBinary([]byte("\x03\x00\x01\x0a\x02\x00\x00" + "7" + "realtime:t" + "ev" + "\x00\xff"))
		if err != nil || !f.IsBinary || f.UserEvent != "ev" || !bytes.Equal(f.Binary, []byte{0, 0xff}) {
			t.Errorf("got %+v, %v", f, err)
		}
	})
	t.Run("[F3] kind 0, the stock Phoenix push", func(t *testing.T) {
		f, err := DecodeBinary([]byte("\x00\x01\x01\x03\x02" + "67" + "r:t" + "ev" + "\x01\x02"))
		if err != nil || f.Topic != "r:t" || f.Event != "ev" || !bytes.Equal(f.Binary, []byte{1, 2}) {
			t.Errorf("got %+v, %v", f, err)
		}
	})
	for name, in := range map[string]string{
		"nothing": "", "an unknown kind": "\x09", "lengths beyond the frame": "\x03\xff\x01\x03\x02\x00\x00abc",
		"metadata that is no object":                     "\x03\x00\x00\x0a\x01\x01\x01realtime:te7{}",
		"JSON that is none":                              "\x03\x00\x00\x0a\x01\x00\x01realtime:te{",
		"the six-byte header of clients older than 2.85": "\x03\x01\x01\x0f\x02\x01" + "67realtime:room:1ev{\"a\":1}",
	} {
		t.Run("[F5] "+name, func(t *testing.T) {
			if f, err := DecodeBinary([]byte(in)); !errors.Is(err, ErrMalformed) {
				t.Errorf("got %+v, %v; want ErrMalformed", f, err)
			}
		})
	}
}

func TestBroadcast(t *testing.T) {
	tests := []struct{ name, push, wantBody, wantID string }{
		{"[B1] what was pushed is passed on as it is", `{"type":"broadcast","event":"e","payload":{"a":1},"extra":[1]}`,
			`{"type":"broadcast","event":"e","payload":{"a":1},"extra":[1]}`, ""},
		{"[B2] meta is taken out: at the end", `{"event":"e","payload":1,"meta":{"id":"m1"}}`, `{"event":"e","payload":1}`, "m1"},
		{"[B2] in the middle", `{"event":"e", "meta" : {"id":"m1"} , "payload":1}`, `{"event":"e", "payload":1}`, "m1"},
		{"[B2] at the beginning", `{"meta":{"id":"m1"},"event":"e"}`, `{"event":"e"}`, "m1"},
		{"[B2] alone", ` {"meta":{"id":"m1"}} `, `{}`, "m1"},
		{"[B2] meta that is no object", `{"event":"e","meta":7}`, `{"event":"e"}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, fault := ParseBroadcast(&Frame{Event: EventBroadcast, Payload: json.RawMessage(tt.push)})
			if fault != nil {
				t.Fatal(fault)
			}
			if string(b.Body) != tt.wantBody || b.Pushed.ID != tt.wantID {
				t.Errorf("body %s id %q, want %s %q", b.Body, b.Pushed.ID, tt.wantBody, tt.wantID)
			}
			for _, v := range []Version{V1, V2} {
				m := EncodeBroadcast(v, "realtime:x", b.Body, BroadcastMeta{ID: "id", Offset: 7, Replayed: true})
				if !json.Valid(m.Payload()) || !bytes.Contains(m.Payload(), []byte(`"meta":{"id":"id","offset":7,"replayed":true}`)) {
					t.Errorf("vsn %d: %s", v, m.Payload())
				}
			}
		})
	}
	t.Run("[B2] an id has a limit", func(t *testing.T) {
		push := `{"event":"e","meta":{"id":"` + strings.Repeat("x", MaxIDBytes+1) + `"}}`
		if _, fault := ParseBroadcast(&Frame{Payload: json.RawMessage(push)}); fault == nil || fault.Code != CodeInvalidPayload {
			t.Errorf("got %v", fault)
		}
	})
	t.Run("[F4] raw bytes travel as kind 4", func(t *testing.T) {
		m := EncodeBinaryBroadcast("r:t", "ev", []byte{9}, BroadcastMeta{Offset: 1})
		if got, want := string(m.Payload()), "\x04\x03\x02\x0c\x00r:tev{\"offset\":1}\x09"; got != want || !m.Binary() {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestMessageCarriesItsWebSocketHeader(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
		m := finish(append(begin(n), make([]byte, n)...), false)
		head := len(m.Wire()) - n
		want := 2
		if n > 125 {
			want = 4
		}
		if n > 65535 {
			want = 10
		}
		if head != want || m.Wire()[0] != 0x81 || len(m.Payload()) != n {
			t.Errorf("%d bytes: a header of %d, first byte %#x; want %d, 0x81", n, head, m.Wire()[0], want)
		}
	}
}

func TestParseJoin(t *testing.T) {
	t.Run("what realtime-js sends", func(t *testing.T) {
		j := ParseJoin([]byte(`{"config":{"broadcast":{"ack":true,"self":true,"replay":{"since":1,"limit":5}},"presence":{"key":"k","enabled":true},
			"postgres_changes":[null,{"event":"*","schema":"public"}],"private":true},"access_token":"jwt"}`))
		want := Join{Token: "jwt", Ack: true, Self: true, Private: true, PresenceEnabled: true, PresenceKey: "k",
			Replay: &Replay{Since: 1, Limit: 5, Valid: true}, Postgres: []json.RawMessage{json.RawMessage(`{"event":"*","schema":"public"}`)}}
		if d := cmp.Diff(want, j); d != "" {
			t.Error(d)
		}
	})
	t.Run("booleans as strings, a key that is a number, user_token before access_token", func(t *testing.T) {
		j := ParseJoin([]byte(`{"user_token":"old","access_token":"new","config":{"private":"TRUE","broadcast":{"self":"false"},"presence":{"key":7,"enabled":"False"}}}`))
		if !j.Private || j.Self || j.PresenceEnabled || j.PresenceKey != "7" || j.Token != "old" {
			t.Errorf("%+v", j)
		}
	})
	t.Run("presence.enabled absent means enabled; sb_ keys are no tokens", func(t *testing.T) {
		j := ParseJoin([]byte(`{"access_token":"sb_publishable_x","config":{}}`))
		if !j.PresenceEnabled || j.Token != "" {
			t.Errorf("%+v", j)
		}
	})
	t.Run("a part that cannot be understood counts as absent", func(t *testing.T) {
		j := ParseJoin([]byte(`{"access_token":7,"config":{"broadcast":"yes","presence":{"key":"k"},"private":true,"postgres_changes":{}}}`))
		if !j.Private || j.PresenceKey != "k" || j.Ack || j.Token != "" {
			t.Errorf("%+v", j)
		}
	})
	t.Run("a replay without since is not valid", func(t *testing.T) {
		if j := ParseJoin([]byte(`{"config":{"broadcast":{"replay":{"limit":3}}}}`)); j.Replay == nil || j.Replay.Valid {
			t.Errorf("%+v", j.Replay)
		}
	})
	t.Run("postgres_changes are echoed with ids", func(t *testing.T) {
		got := EchoPostgres([]json.RawMessage{json.RawMessage(`{"event":"*"}`), json.RawMessage(`{}`)})
		var back []map[string]any
		if err := json.Unmarshal(got, &back); err != nil || len(back) != 2 || back[0]["event"] != "*" || back[1]["id"] == nil {
			t.Errorf("%s: %v", got, err)
		}
	})
}

func TestErrorsAreSaidInUpstreamsForm(t *testing.T) {
	e := &Error{Code: CodeTooManyChannels, Message: "Too many channels", Retryable: true, RetryAfterMs: 5000}
	got := string(AppendError(nil, e))
	want := `{"reason":"ChannelRateLimitReached: Too many channels","code":"channel_rate_limit_reached","retryable":true,"retryAfterMs":5000}`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestStamps(t *testing.T) {
	now := int64(1_764_000_000_000)
	at := FormatTime(now, 3)
	if err := CheckTime(at); err != nil || TimeMillis(at) != now || MakeStamp(at, "c").Time() != at {
		t.Errorf("%s: %v", at, err)
	}
	t.Run("[M2] a clock at 2035 is set back to a minute ahead", func(t *testing.T) {
		got := ClampTime(FormatTime(now+10*365*86400_000, 9), now)
		if got != FormatTime(now+60_000, 9) {
			t.Errorf("got %s", got)
		}
	})
	t.Run("[M2] a minute ahead is let through", func(t *testing.T) {
		at := FormatTime(now+60_000, 0xffff)
		if got := ClampTime(at, now); got != at {
			t.Errorf("got %s", got)
		}
	})
	for _, bad := range []string{"", "0192f0c12b3c000", "0192F0C12B3C0003", "0192f0c12b3c0003 ", "0192f0c12b3c000g"} {
		if CheckTime(bad) == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func FuzzDecodeText(f *testing.F) {
	f.Add(true, []byte(`["6","6","realtime:room:1","phx_join",{"config":{"broadcast":{"ack":true}}}]`))
	f.Add(true, []byte(`[null,"2","realtime:a","broadcast",{"event":"e","meta":{"id":"x"},"payload":[1,"]"]}]`))
	f.Add(false, []byte(`{"topic":"realtime:a","event":"broadcast","payload":{"meta":{}},"ref":"1","join_ref":null}`))
	f.Fuzz(func(t *testing.T, v2 bool, data []byte) {
		v := V1
		if v2 {
			v = V2
		}
		frame, err := DecodeText(v, data)
		if err != nil {
			return
		}
		if !json.Valid(frame.Payload) {
			t.Fatalf("payload %q is no JSON", frame.Payload)
		}
		again, err := DecodeText(v, EncodeText(v, frame.JoinRef, frame.Ref, frame.Topic, frame.Event, frame.Payload).Payload())
		if err != nil {
			t.Fatal(err)
		}
		if v == V1 {
			frame.JoinRef = "" // the server's form leaves it out
		}
		if d := cmp.Diff(frame, again); d != "" {
			t.Fatal(d)
		}
		checkBroadcast(t, &frame)
	})
}

// checkBroadcast says that whatever is pushed, what members get is JSON.
func checkBroadcast(t *testing.T, frame *Frame) {
	b, fault := ParseBroadcast(frame)
	if fault != nil || b.IsBinary {
		return
	}
	for _, v := range []Version{V1, V2} {
		m := EncodeBroadcast(v, "realtime:x", b.Body, BroadcastMeta{ID: b.Pushed.ID, Offset: 1})
		if !json.Valid(m.Payload()) {
			t.Fatalf("push %s becomes %s", frame.Payload, m.Payload())
		}
	}
}

func FuzzDecodeBinary(f *testing.F) {
	f.Add([]byte("\x03\x01\x01\x0f\x02\x16\x01" + "67realtime:room:1ev" + `{"persist":{"ttl":60}}` + `{"a":1}`))
	f.Add([]byte("\x00\x01\x01\x03\x02" + "67" + "r:t" + "ev" + "\x01\x02"))
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := DecodeBinary(data)
		if err != nil {
			return
		}
		if !utf8.ValidString(frame.Topic) {
			t.Fatalf("topic %q", frame.Topic)
		}
		checkBroadcast(t, &frame)
	})
}

func FuzzParseJoin(f *testing.F) {
	f.Add([]byte(`{"config":{"broadcast":{"ack":"true","replay":{"since":1}},"presence":{"key":"k"},"postgres_changes":[{}],"chorale":{"v":1,"client":"c"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if j := ParseJoin(data); !json.Valid(EchoPostgres(j.Postgres)) {
			t.Fatalf("echo %s", EchoPostgres(j.Postgres))
		}
	})
}

func TestRecordsPages(t *testing.T) {
	for _, page := range []StoredPage{
		{Collection: `odd "name"`, Reset: true, Offset: 7, More: true},
		{Collection: "notes", Offset: math.MaxUint64, Records: []StoredRecord{{3, []byte(`{"id":"a","fields":{}}`)}, {math.MaxUint64, []byte(`{"id":"b"}`)}}},
	} {
		records := []json.RawMessage{}
		for _, r := range page.Records {
			raw := r.Append(nil)
			if len(raw) > r.Size() || !json.Valid(raw) {
				t.Errorf("%d bytes: %s", r.Size(), raw)
			}
			records = append(records, raw)
		}
		want, err := json.Marshal(RecordsPage{Collection: page.Collection, Reset: page.Reset, Offset: page.Offset, Records: records, More: page.More})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []Version{V1, V2} {
			got := EncodeRecords(v, "realtime:x", &page).Payload()
			if same := EncodeText(v, "", "", "realtime:x", EventRecords, want).Payload(); string(got) != string(same) {
				t.Errorf("%s, want %s", got, same)
			}
		}
	}
}
