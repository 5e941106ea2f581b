package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/engine/embedded"
	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
	"github.com/chorale-rt/chorale/web/notes"
)

// BenchmarkNote is the price of one patch of a note in a room of four, from the
// frame that was read to the frames that are to be written: rule, schema, merge,
// a log that survives kill -9, and the answer. Sockets are left out. writes/op
// is how often they would be written to.
func BenchmarkNote(b *testing.B) {
	var out tally
	writers := noteTakers(b, &out)
	write := func(who, n int, op, at, fields string) {
		writers[who].Receive(false, fmt.Appendf(nil, `["1","%[2]d","realtime:interview:1","mutate",{"client":"c%[1]d","n":%[2]d,"id":"c%[1]d-%[2]d","at":"%[4]s","base":1,"op":"%[3]s","collection":"notes","record":"r%[1]d","fields":{%[5]s}}]`, who, n, op, at, fields))
	}
	for i := range writers {
		write(i, 1, "put", "0000000000010000", `"content":"a","timestampMs":0,"authorName":"Ada","kind":"note"`)
	}
	text := `"content":"` + strings.Repeat("a note of a person who says a lot. ", 6) + `"`
	n := 1
	out = tally{}
	b.ReportAllocs()
	for b.Loop() {
		n++
		for i := range writers {
			write(i, n, "patch", fmt.Sprintf("%016x", n<<16), text)
		}
	}
	b.StopTimer()
	if out.frames != (n-1)*4*5 {
		b.Fatalf("%d frames for %d patches", out.frames, (n-1)*4)
	}
	b.ReportMetric(float64(out.writes)/float64(4*(n-1)), "writes/patch")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(4*(n-1)), "ns/patch")
}

// noteTakers are four members of one interview whose log is on the disk.
func noteTakers(tb testing.TB, out session.Conn) (writers []*session.Session) {
	eng, err := embedded.Open(embedded.Options{Dir: tb.TempDir()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = eng.Close() })
	deps := newDeps(tb, eng, notes.Rules(), notes.Schemas())
	for i := range 4 {
		tok, err := auth.Mint(secret, auth.MintOptions{Subject: fmt.Sprint("user", i), TTL: time.Hour})
		if err != nil {
			tb.Fatal(err)
		}
		s := session.New(deps, out, protocol.V2, tok)
		tb.Cleanup(s.Close)
		writers = append(writers, s)
		s.Receive(false, fmt.Appendf(nil, `["1","1","realtime:interview:1","phx_join",{"config":{"private":true,"chorale":{"v":1,"client":"c%d","collections":["notes"]}}}]`, i))
	}
	return writers
}

// tally counts what it is sent.
type tally struct{ writes, frames int }

func (c *tally) Send(frames ...protocol.Message) {
	c.Queue(frames...)
	c.Flush()
}
func (c *tally) Queue(frames ...protocol.Message) { c.frames += len(frames) }
func (c *tally) Flush()                           { c.writes++ }
func (*tally) Close(int, string)                  {}
