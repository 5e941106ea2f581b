package session_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/collection"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/embedded"
	"github.com/chorale-rt/chorale/internal/hub"
	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/metrics"
	"github.com/chorale-rt/chorale/internal/policy"
	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

// stage is a server without sockets on which a conversation is played.
type stage struct {
	t       *testing.T
	disk    vfs.FS
	log     *embedded.Engine
	world   *world
	clients map[string]*client
	order   []string // names in the order in which they first came
	known   map[string]string
	counts  map[string]int
	out     strings.Builder
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, disk: vfs.NewMem(), clients: map[string]*client{}, known: map[string]string{}, counts: map[string]int{}}
	s.open()
	t.Cleanup(s.close)
	return s
}

func (s *stage) open() {
	t := s.t
	log, err := embedded.Open(embedded.Options{
		Dir: "log", FS: s.disk, BallastBytes: -1, BootID: func() string { return "one" }, SweepEvery: time.Hour, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile(filepath.Join("..", "..", "conformance", "sessions", "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := auth.ParseRules("rules.yaml", src, fstest.MapFS{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.New(rules)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := auth.NewVerifier(auth.VerifierOptions{Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	f, m := &flaky{Engine: log}, metrics.New()
	s.log = log
	s.world = &world{t: t, engine: f, deps: &session.Deps{
		Hub: hub.New(f, m), Engine: f, Collections: collection.New(f, collection.Options{}), Verifier: verifier,
		Policy: func() *policy.Policy { return p }, Metrics: m, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	}}
}

// close ends the connections and the log, as a process does that stops.
func (s *stage) close() {
	for _, name := range s.order {
		s.leave(name)
	}
	if err := s.log.Close(); err != nil {
		s.t.Error(err)
	}
}

func (s *stage) leave(name string) {
	if c := s.clients[name]; c != nil {
		delete(s.clients, name)
		c.Session.Close()
	}
}

// play returns the script with what was said in place of what it says was said.
func (s *stage) play(script string) string {
	for i, line := range strings.Split(strings.TrimSuffix(script, "\n"), "\n") {
		switch word, rest, _ := strings.Cut(strings.TrimSpace(line), " "); {
		case word == "" || strings.HasPrefix(word, "#") || program.MatchString(rest):
			s.out.WriteString(line + "\n")
		case strings.HasPrefix(rest, "< ") || strings.HasPrefix(rest, "closed "):
			// It is written anew.
		default:
			s.out.WriteString(line + "\n")
			if err := s.step(word, rest); err != nil {
				s.t.Fatalf("line %d: %s: %v", i+1, line, err)
			}
			synctest.Wait()
			s.listen()
		}
	}
	return s.out.String()
}

// program is what a client's program does and sees, which is nothing to the server.
var program = regexp.MustCompile(`^(does|shows|hears) `)

func (s *stage) step(word, rest string) error {
	switch word {
	case "connect":
		return s.connect(strings.Fields(rest))
	case "disconnect":
		s.leave(rest)
		return nil
	case "advance":
		d, err := time.ParseDuration(rest)
		time.Sleep(d)
		return err
	case "restart":
		s.close()
		s.open()
		return nil
	case "limits":
		settings, err := limits(strings.Fields(rest))
		s.world.deps.Limits = limit.New(settings, time.Now)
		return err
	case "store":
		s.world.engine.set(map[string]error{"fails": engine.ErrUnavailable}[rest])
		return nil
	}
	c := s.clients[word]
	frame, ok := strings.CutPrefix(rest, "> ")
	if c == nil || !ok {
		return fmt.Errorf("no step, and no client %q that is connected", word)
	}
	frame, err := s.fill(frame)
	if err != nil {
		return err
	}
	if quoted, ok := strings.CutPrefix(frame, "bytes "); ok {
		raw, err := strconv.Unquote(quoted)
		c.Receive(true, []byte(raw))
		return err
	}
	c.Receive(false, []byte(frame))
	return nil
}

// connect reads: NAME [vsn=1.0.0] [sub=…] [role=…] [ttl=1h].
func (s *stage) connect(words []string) error {
	name := words[0]
	if s.clients[name] != nil {
		return fmt.Errorf("%s is connected", name)
	}
	version := protocol.V2
	if i := slices.Index(words, "vsn=1.0.0"); i > 0 {
		version, words = protocol.V1, slices.Delete(words, i, i+1)
	}
	tok, err := mint(append([]string{"sub=" + name}, words[1:]...))
	if err != nil {
		return err
	}
	s.clients[name] = s.world.connectAs(version, tok)
	if !slices.Contains(s.order, name) {
		s.order = append(s.order, name)
	}
	return nil
}

// limits reads words like joins=1:3, channels=2, payload=64: the limits of the
// connections that come after it. What is not named is not limited.
func limits(words []string) (limit.Settings, error) {
	out := limit.Unlimited()
	rates := map[string]*limit.Rate{
		"messages": &out.Messages, "bytes": &out.Bytes, "joins": &out.Joins, "presence": &out.Presence,
		"channel_messages": &out.ChannelMessages, "channel_bytes": &out.ChannelBytes,
	}
	counts := map[string]*int{"channels": &out.Channels, "payload": &out.PayloadBytes}
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		var err error
		if rate := rates[name]; rate != nil {
			err = rate.UnmarshalText([]byte(value))
		} else if count := counts[name]; count != nil {
			*count, err = strconv.Atoi(value)
		} else {
			err = fmt.Errorf("%q is not known", name)
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// mint makes a token of words like sub=ada, role=anon, ttl=30s.
func mint(words []string) (string, error) {
	o := auth.MintOptions{TTL: time.Hour}
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "sub":
			o.Subject = value
		case "role":
			o.Role = value
		case "ttl":
			d, err := time.ParseDuration(value)
			if err != nil {
				return "", err
			}
			o.TTL = d
		default:
			return "", fmt.Errorf("%q is not known", word)
		}
	}
	return auth.Mint(secret, o)
}

var placeholder = regexp.MustCompile(`\{[a-z]+[0-9]*( [a-z]+=[^{} ]*)*\}`)

// fill puts values in the place of {token …} and of names that were given to
// generated values.
func (s *stage) fill(frame string) (string, error) {
	var fault error
	out := placeholder.ReplaceAllStringFunc(frame, func(p string) string {
		words := strings.Fields(strings.Trim(p, "{}"))
		if words[0] == "token" {
			tok, err := mint(words[1:])
			fault = err
			return tok
		}
		for value, name := range s.known {
			if name == p {
				return value
			}
		}
		fault = fmt.Errorf("%s is the name of nothing that was said so far", p)
		return p
	})
	return out, fault
}

// listen writes down what each client was sent since the last step.
func (s *stage) listen() {
	for _, name := range s.order {
		c := s.clients[name]
		if c == nil {
			continue
		}
		c.mu.Lock()
		said, code := c.in[c.read:], c.closedWith
		c.read, c.closedWith = len(c.in), 0
		c.mu.Unlock()
		for _, frame := range said {
			fmt.Fprintf(&s.out, "%s < %s\n", name, s.hide(frame))
		}
		if code != 0 {
			fmt.Fprintf(&s.out, "%s closed %d\n", name, code)
			s.leave(name)
		}
	}
}

// generated finds the values that differ from run to run, each kind with its
// name: what a client is to treat as opaque.
var generated = []struct {
	name  string
	value *regexp.Regexp
}{
	{"epoch", regexp.MustCompile(`"epoch":"([^"]+)"`)},
	{"ref", regexp.MustCompile(`"phx_ref(?:_prev)?":"([^"]+)"`)},
	{"uuid", regexp.MustCompile(`([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})`)},
}

// hide puts names in the place of generated values: the same for the same.
func (s *stage) hide(frame string) string {
	if frame[0] != '[' && frame[0] != '{' {
		frame = "bytes " + strconv.Quote(frame)
	}
	for _, g := range generated {
		for _, found := range g.value.FindAllStringSubmatch(frame, -1) {
			if _, known := s.known[found[1]]; !known {
				s.counts[g.name]++
				s.known[found[1]] = fmt.Sprintf("{%s%d}", g.name, s.counts[g.name])
			}
		}
	}
	for value, name := range s.known {
		frame = strings.ReplaceAll(frame, value, name)
	}
	return frame
}
