package presence

import (
	"strings"
	"testing"

	"github.com/chorale-rt/chorale/internal/engine"
)

func value(t *testing.T, key, meta, ref, prev string) []byte {
	t.Helper()
	v, err := Encode(key, []byte(meta), ref, prev)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestState(t *testing.T) {
	t.Run("[P3] a lease that was dropped while the list was made is not loaded", func(t *testing.T) {
		var s State
		if diff := s.Apply(&engine.LeaseEvent{Holder: "a"}); diff != nil {
			t.Errorf("%s", diff)
		}
		s.Load([]engine.Lease{{Holder: "a", Value: value(t, "ada", "{}", "1", "")}, {Holder: "b", Value: value(t, "ben", "{}", "2", "")}})
		if got := string(s.Payload()); got != `{"ben":{"metas":[{"phx_ref":"2"}]}}` {
			t.Error(got)
		}
		s.Apply(&engine.LeaseEvent{Holder: "a", Value: value(t, "ada", "{}", "3", "")})
		if s.Len() != 2 {
			t.Errorf("%d holders", s.Len())
		}
	})
	t.Run("a lease that was dropped and put again while the list was made counts once", func(t *testing.T) {
		var s State
		s.Apply(&engine.LeaseEvent{Holder: "a"})
		s.Apply(&engine.LeaseEvent{Holder: "a", Value: value(t, "ada", "{}", "2", "")})
		s.Load([]engine.Lease{{Holder: "a", Value: value(t, "ada", "{}", "1", "")}})
		if got := string(s.Payload()); got != `{"ada":{"metas":[{"phx_ref":"2"}]}}` {
			t.Error(got)
		}
	})
	t.Run("several connections of one key are several metas", func(t *testing.T) {
		var s State
		s.Apply(&engine.LeaseEvent{Holder: "a", Value: value(t, "ada", `{"n":1}`, "1", "")})
		s.Apply(&engine.LeaseEvent{Holder: "b", Value: value(t, "ben", `{}`, "2", "")})
		s.Apply(&engine.LeaseEvent{Holder: "c", Value: value(t, "ada", `{"n":2}`, "3", "")})
		want := `{"ada":{"metas":[{"n":1,"phx_ref":"1"},{"n":2,"phx_ref":"3"}]},"ben":{"metas":[{"phx_ref":"2"}]}}`
		if got := string(s.Payload()); got != want {
			t.Error(got)
		}
	})
	t.Run("[P2] the same again is no diff, a change is one with both", func(t *testing.T) {
		var s State
		first := value(t, "ada", `{"n":1}`, "1", "")
		s.Apply(&engine.LeaseEvent{Holder: "a", Value: first})
		if diff := s.Apply(&engine.LeaseEvent{Holder: "a", Value: first}); diff != nil {
			t.Errorf("%s", diff)
		}
		diff := string(s.Apply(&engine.LeaseEvent{Holder: "a", Value: value(t, "ada", `{"n":2}`, "2", "1")}))
		if !strings.Contains(diff, `"phx_ref_prev":"1"`) || !strings.Contains(diff, `"leaves":{"ada"`) {
			t.Error(diff)
		}
	})
}

func TestEncodeRefusesWhatIsNoObject(t *testing.T) {
	for _, meta := range []string{"", "1", `"x"`, "[]", "{", "null"} {
		if v, err := Encode("k", []byte(meta), "1", ""); err == nil {
			t.Errorf("%q becomes %s", meta, v)
		}
	}
}
