package session_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

// FuzzSession hands a session whatever a stranger may send, one frame per line;
// lines that begin with a 3 or 0 byte are binary. Beside it sits a second
// session in the same channels, which must only ever be told what can be read.
func FuzzSession(f *testing.F) {
	for _, seed := range conversationFrames(f) {
		f.Add(true, seed)
	}
	f.Add(false, []byte(`{"topic":"realtime:x","event":"phx_join","payload":{"config":{}},"ref":"1"}`+"\n"+
		`{"topic":"realtime:x","event":"broadcast","payload":{"event":"e"},"ref":"2"}`))
	f.Add(true, []byte("\x00\x01\x01\x0a\x08"+"11realtime:xphx_join\n\x00\x01\x01\x0a\x06"+"12realtime:xmutate"))
	f.Fuzz(func(t *testing.T, v2 bool, data []byte) {
		w := newWorld(t)
		version := protocol.V1
		if v2 {
			version = protocol.V2
		}
		c, beside := w.connectAs(version, token(t, "ada", time.Hour)), w.connect("ben")
		beside.join("realtime:x", `{"presence":{"key":"ben"}}`)
		beside.want("presence_state")
		beside.joinRecords("beside", "")
		for line := range bytes.SplitSeq(data, []byte("\n")) {
			c.Receive(len(line) > 0 && (line[0] == 3 || line[0] == 0), line)
		}
		c.readable()
		beside.readable()
		c.push("", "phoenix", "heartbeat", "{}")
		if f := c.last(); f.event != "phx_reply" || f.payload["status"] != "ok" {
			t.Errorf("the session is of no use any more: %s", f.raw)
		}
		c.Session.Close()
		beside.Session.Close()
		if n := w.deps.Hub.Channels(); n != 0 {
			t.Errorf("%d channels have members that are gone", n)
		}
	})
}

// conversationFrames are the frames that clients send in conformance/sessions,
// one seed per file.
func conversationFrames(f *testing.F) [][]byte {
	files, err := filepath.Glob("../../conformance/sessions/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatalf("no conversations: %v", err)
	}
	said := regexp.MustCompile(`(?m)^\S+ > (.*)$`)
	var out [][]byte
	for _, file := range files {
		script, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var seed []string
		for _, found := range said.FindAllSubmatch(script, -1) {
			frame := string(found[1])
			if quoted, ok := strings.CutPrefix(frame, "bytes "); ok {
				if frame, err = strconv.Unquote(quoted); err != nil {
					f.Fatal(err)
				}
			}
			seed = append(seed, frame)
		}
		out = append(out, []byte(strings.Join(seed, "\n")))
	}
	return out
}

// readable says that everything the client was sent can be decoded.
func (c *client) readable() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, raw := range c.in {
		if raw[0] == 4 && c.v == protocol.V2 {
			continue
		}
		if _, err := protocol.DecodeText(c.v, []byte(raw)); err != nil {
			c.t.Errorf("sent %q: %v", raw, err)
		}
	}
}

// last is the newest frame that the client was sent.
func (c *client) last() frame {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	raw := c.in[len(c.in)-1]
	if !json.Valid([]byte(raw)) {
		c.t.Fatalf("sent %q", raw)
	}
	return c.decode(raw)
}
