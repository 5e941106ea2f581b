package protocol

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// jsonInUTF8 are texts that are JSON in UTF-8, and some that nearly are.
var jsonInUTF8 = []string{
	`{}`, `[]`, `""`, `0`, `-0`, `-1.5e+10`, `1E9`, `true`, `false`, `null`, ` [ 1 , { "a" : [ ] , "b" : { } } ] `,
	`["6","6","realtime:room:1","phx_join",{"config":{"broadcast":{"ack":true}}}]`, `"\u00e9\n\"\\\/\b\f\r\t"`, `"é 👋"`,
	``, ` `, `{`, `[`, `"`, `]`, `}`, `[}`, `{]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `[1,]`, `[,1]`, `{,}`, `{1:2}`, `[1 2]`, `{"a" 1}`, `1 2`, `01`, `-`, `1.`, `.5`, `1e`,
	`1e+`, `-01`, `+1`, `tru`, `truex`, `nul`, `"\x"`, `"\u00g0"`, `"\u00`, `"\`, "\"\x01\"", "\"\xff\"", "\"\xed\xa0\x80\"", "\xef\xbb\xbf{}", `[[]`, `[]]`, "{}\x00", `'a'`, `NaN`,
}

func TestValid(t *testing.T) {
	for _, text := range jsonInUTF8 {
		checkValid(t, []byte(text))
	}
	for _, depth := range []int{63, 64, 65, 10000, 10001} {
		checkValid(t, []byte(strings.Repeat("[", depth)+strings.Repeat("]", depth)))
		checkValid(t, []byte(strings.Repeat(`{"a":`, depth)+"1"+strings.Repeat("}", depth)))
	}
}

func checkValid(t *testing.T, text []byte) {
	t.Helper()
	if got, want := valid(text), json.Valid(text) && utf8.Valid(text); got != want {
		t.Errorf("%.60q: %v, want %v", text, got, want)
	}
}

func FuzzValid(f *testing.F) {
	for _, text := range jsonInUTF8 {
		f.Add([]byte(text))
	}
	f.Fuzz(checkValid)
}

// BenchmarkValid asks of a push of 200 bytes of text whether it is JSON.
func BenchmarkValid(b *testing.B) {
	push := []byte(`["1","2","realtime:room:1234","broadcast",{"type":"broadcast","event":"note","payload":{"text":"` +
		strings.Repeat("a note of a person who says a lot. ", 6) + `","at":1234.5}}]`)
	for name, ask := range map[string]func([]byte) bool{
		"ours":          valid,
		"encoding/json": func(push []byte) bool { return json.Valid(push) && utf8.Valid(push) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(push)))
			b.ReportAllocs()
			for b.Loop() {
				if !ask(push) {
					b.Fatal("refused")
				}
			}
		})
	}
}
