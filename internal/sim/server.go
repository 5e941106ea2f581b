package sim

import (
	"log/slog"
	"slices"
	"testing/fstest"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/collection"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/hub"
	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/metrics"
	"github.com/chorale-rt/chorale/internal/policy"
	"github.com/chorale-rt/chorale/internal/session"
	"github.com/chorale-rt/chorale/protocol"
)

// secret signs the tokens of the simulation.
var secret = []byte("the simulation's secret, which is no secret at all")

// server is one process of the real code: sessions, hub, collections and
// presence over a seam. A process that dies is left as it is and replaced.
type server struct {
	world *World
	index int
	seam  *seam
	hub   *hub.Hub
	deps  *session.Deps
	links []*link
	skew  time.Duration // of its clock
}

func (w *World) newServer(index int, eng engine.Engine, skew time.Duration) (*server, error) {
	s := &server{world: w, index: index, seam: &seam{Engine: eng, world: w}, skew: skew}
	verifier, err := auth.NewVerifier(auth.VerifierOptions{Secret: secret, Now: s.now})
	if err != nil {
		return nil, err
	}
	quiet := slog.New(slog.DiscardHandler)
	s.hub = hub.New(s.seam, silence{})
	s.deps = &session.Deps{
		Hub: s.hub, Engine: s.seam, Collections: collection.New(s.seam, collection.Options{Clock: s.now, Log: quiet}),
		Verifier: verifier, Policy: w.policy,
		Metrics: silence{}, Logger: quiet, Now: s.now, Registry: session.NewRegistry(),
	}
	if w.options.Limits {
		s.deps.Limits = limit.New(limit.Settings{
			Messages: limit.Rate{PerSecond: 20, Burst: 40}, Joins: limit.Rate{PerSecond: 5, Burst: 10},
			Presence: limit.Rate{PerSecond: 2, Burst: 2}, ChannelMessages: limit.Rate{PerSecond: 60, Burst: 100},
		}, s.now)
	}
	return s, nil
}

// now is the server's clock. Each step moves it by a nanosecond, so that no two
// steps set timers for one instant.
func (s *server) now() time.Time { return s.world.now().Add(s.skew) }

func (s *server) remove(l *link) {
	s.links = slices.DeleteFunc(s.links, func(x *link) bool { return x == l })
}

// silence is metrics that nobody reads.
type silence struct{}

func (silence) Delivered() *metrics.Cell { return nil }
func (silence) ChannelsChanged(int)      {}
func (silence) SessionOpened()           {}
func (silence) SessionClosed()           {}
func (silence) Received() *metrics.Cell  { return nil }
func (silence) FrameMalformed()          {}
func (silence) JoinRefused(string)       {}
func (silence) PushRefused(string)       {}
func (silence) Limited(string)           {}

// channelSpec is a channel that clients take part in.
type channelSpec struct {
	name       string
	private    bool
	collection string // "" for none
}

var channels = []channelSpec{
	{name: "room", private: true, collection: "notes"},
	{name: "talk", private: true},
	{name: "lobby"},
}

// room is the channel with records.
var room = protocol.Channel{Name: "room", Private: true}

// rules are what the world loads one after the other: who may join, publish and
// write. The first lets everybody do everything, and is in force at the end.
var rules = []struct{ join, publish, write string }{
	{"true", "true", "true"},
	{"true", "true", `claims.sub != "u0"`},
	{"true", `claims.sub != "u1"`, "true"},
	{`claims.sub != "u2"`, "true", "true"},
}

func rulesFile(join, publish, write, durability string) string {
	return `channels:
  - match: "room"
    join: '` + join + `'
    publish: '` + publish + `'
    presence: 'true'
    history: {messages: 24, durability: ` + durability + `}
    collections:
      notes: {write: '` + write + `'}
  - match: "talk"
    join: 'true'
    publish: '` + publish + `'
    presence: 'true'
    persist: 'true'
    history: {messages: 12}
`
}

// loadPolicies reads the rules. With power that may be lost the room is on disk.
func loadPolicies(power bool) ([]*policy.Policy, error) {
	durability := engine.OS
	if power {
		durability = engine.Disk
	}
	var out []*policy.Policy
	for _, r := range rules {
		src := rulesFile(r.join, r.publish, r.write, durability.String())
		parsed, err := auth.ParseRules("rules.yaml", []byte(src), fstest.MapFS{})
		if err != nil {
			return nil, err
		}
		p, err := policy.New(parsed)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}
