package cluster

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/chorale-rt/chorale/client"
	"github.com/chorale-rt/chorale/internal/bench"
	"github.com/chorale-rt/chorale/web/notes"
)

var roundsFlag = flag.Int("cluster.rounds", 1, "how often each fault happens; make soak asks for more")

// harm is what is done to a cluster while people write.
type harm struct {
	name string
	do   func(ctx context.Context, c *Cluster) error
	undo func(ctx context.Context, c *Cluster) error // nil: nothing has to be
	// lasts is the time between the two.
	lasts time.Duration
	// still has everybody stay and write more often, so that the longest pause is
	// the harm's alone.
	still bool
	// soak leaves it to make soak: it takes longer than an append has patience.
	soak bool
}

// Of each harm there is traffic before and after.
const (
	before = 2 * time.Second
	after  = 3 * time.Second
)

func harms() []harm {
	victim := 0 // the NATS server that was chosen last
	again := func(ctx context.Context, c *Cluster) error { return c.NATS[victim].Start(ctx) }
	// leading does something to the server that leads most streams.
	leading := func(do func(c *Cluster, nats int) error) func(context.Context, *Cluster) error {
		return func(ctx context.Context, c *Cluster) (err error) {
			if victim, err = busiest(ctx, c); err != nil {
				return err
			}
			return do(c, victim)
		}
	}
	return []harm{
		{
			name: "clocks three hours apart", still: true,
			do: func(context.Context, *Cluster) error { return nil },
		},
		{
			name: "the leader of every stream steps down", still: true,
			do: func(ctx context.Context, c *Cluster) error { return c.StepDown(ctx) },
		},
		{
			name: "the leader of most streams is stopped in lame duck mode", still: true,
			do: leading(func(c *Cluster, nats int) error { return c.NATS[nats].Leave() }), undo: again,
		},
		{
			name: "the leader of most streams is killed", lasts: 4 * time.Second,
			do: leading(func(c *Cluster, nats int) error { return c.NATS[nats].Kill() }), undo: again,
		},
		{
			name: "the leader of most streams is cut off", lasts: 4 * time.Second,
			do:   leading(func(c *Cluster, nats int) error { c.Isolate(nats); return nil }),
			undo: func(_ context.Context, c *Cluster) error { c.Rejoin(victim); return nil },
		},
		{
			name: "a node is killed", lasts: 2 * time.Second,
			do:   func(_ context.Context, c *Cluster) error { return c.Nodes[1].Kill() },
			undo: func(ctx context.Context, c *Cluster) error { return c.Nodes[1].Start(ctx) },
		},
		{
			name: "a node drains", lasts: time.Second,
			do:   func(_ context.Context, c *Cluster) error { return c.Nodes[2].Stop() },
			undo: func(ctx context.Context, c *Cluster) error { return c.Nodes[2].Start(ctx) },
		},
		{
			name: "a node loses every NATS server, and says so", lasts: 3 * time.Second,
			do: func(ctx context.Context, c *Cluster) error {
				for _, w := range c.Links[0] {
					w.Cut()
				}
				return saysSo(ctx, c, 0)
			},
			undo: func(_ context.Context, c *Cluster) error {
				for _, w := range c.Links[0] {
					w.Heal()
				}
				return nil
			},
		},
		{
			name: "two NATS servers are gone for longer than anybody waits, and all nodes say so", lasts: 15 * time.Second, soak: true,
			do: func(ctx context.Context, c *Cluster) error {
				if err := errors.Join(c.NATS[0].Kill(), c.NATS[1].Kill()); err != nil {
					return err
				}
				return errors.Join(saysSo(ctx, c, 0), saysSo(ctx, c, 1), saysSo(ctx, c, 2))
			},
			undo: func(ctx context.Context, c *Cluster) error {
				return errors.Join(c.NATS[0].launch(), c.NATS[1].launch(), c.NATS[0].await(ctx), c.NATS[1].await(ctx))
			},
		},
	}
}

// saysSo waits until a node says that it takes no writes.
func saysSo(ctx context.Context, c *Cluster, node int) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	err := poll(ctx, func(ctx context.Context) error {
		if c.Ready(ctx, node) == nil {
			return errors.New("it says that it takes writes")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("node %d: %w", node+1, err)
	}
	return nil
}

// busiest is the NATS server that leads most streams.
func busiest(ctx context.Context, c *Cluster) (most int, err error) {
	leads, err := c.Leaders(ctx)
	for i, n := range leads {
		if n > leads[most] {
			most = i
		}
	}
	return most, err
}

// startCluster builds the binary and starts a cluster with the rules of the notes app.
func startCluster(t *testing.T, secret []byte) *Cluster {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rules := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(rules, notes.Rules(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, notes.Schemas()); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "chorale")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/chorale-rt/chorale/cmd/chorale").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	c, err := Start(t.Context(), Options{
		NATS: []string{self, "nats-server"}, Chorale: []string{binary, "serve"}, Serve: []string{"--rules", rules},
		Clocks: [Size]time.Duration{0, -3 * time.Hour, 3 * time.Hour},
		Dir:    dir, Secret: secret,
	})
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			logs, _ := filepath.Glob(filepath.Join(dir, "node-*.log"))
			for _, path := range logs {
				text, _ := os.ReadFile(path)
				t.Logf("%s:\n%s", filepath.Base(path), text[max(0, len(text)-4000):])
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The nodes' clocks are three hours apart all the time. Each harm happens while
// people on all nodes write and, but for those that are measured alone, leave and
// resume. Then bench.Order compares what everybody saw with what was acknowledged
// and with what each node tells a newcomer.
func TestCluster(t *testing.T) {
	secret := bytes.Repeat([]byte("k"), 32)
	c := startCluster(t, secret)
	t.Run("[P3] who was on a node that is killed is gone for the others", func(t *testing.T) { presenceDies(t, c, secret) })
	for range *roundsFlag {
		for _, h := range harms() {
			if h.soak && *roundsFlag == 1 {
				continue
			}
			t.Run("[R1] [R2] [R3] [R4] [R5] [E1] "+h.name, func(t *testing.T) { h.test(t, c, secret) })
		}
	}
}

func (h harm) test(t *testing.T, c *Cluster, secret []byte) {
	order := bench.Order{
		Channels: 8, Writers: 1, Readers: 2, Rate: 160, Duration: before + h.lasts + after, Away: 3 * time.Second, TextSize: 50, Durable: true,
	}
	if h.still {
		order.Rate, order.Away = 400, 0
	}
	ended := make(chan error, 1)
	go func() { ended <- h.happen(t.Context(), c) }()
	report, err := bench.Run(t.Context(), bench.Options{URLs: c.URLs(), Secret: secret, Runs: 1, Patience: 45 * time.Second}, order)
	if harmed := <-ended; harmed != nil {
		t.Fatal(harmed)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Err(); err != nil {
		t.Error(err)
	}
	f := report.Columns[0].Median
	t.Logf("%d acknowledged, longest pause %.2f s, %d refused for the moment, %d reconnects, %d resyncs",
		f.Followed.Acknowledged, f.Followed.PauseUs/1e6, f.Followed.Retried, f.Followed.Reconnects, f.Followed.Resyncs)
	if h.soak && f.Followed.Retried == 0 {
		t.Error("no client was told that nothing can be written")
	}
}

// happen does a harm after some traffic, and undoes it after a while: a schedule,
// and no wait for something.
func (h harm) happen(ctx context.Context, c *Cluster) error {
	time.Sleep(before)
	err := h.do(ctx, c)
	time.Sleep(h.lasts)
	if h.undo == nil {
		return err
	}
	return errors.Join(err, h.undo(ctx, c))
}

// presenceDies has one member on a node that is killed, whom a member on another
// node sees leave.
func presenceDies(t *testing.T, c *Cluster, secret []byte) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	join := func(node int, who string) *client.Presence {
		token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": who, "role": "authenticated", "exp": time.Now().Add(24 * time.Hour).Unix()})
		signed, err := token.SignedString(secret)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := client.Dial(ctx, c.URL(node), &client.Options{Token: client.StaticToken(signed)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		room, err := conn.Channel("interview:who-is-there", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := room.Presence().Track(map[string]string{"name": who}); err != nil {
			t.Fatal(err)
		}
		return room.Presence()
	}
	await := func(p *client.Presence, people int) {
		for members := range p.Watch(ctx) {
			if len(members) == people {
				return
			}
		}
		t.Fatalf("there never were %d: %v", people, p.Members())
	}
	ada := join(0, "Ada")
	join(1, "Ben")
	await(ada, 2)
	if err := c.Nodes[1].Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	await(ada, 1)
	t.Logf("gone for the others %.1f s after kill -9", time.Since(killed).Seconds())
	if err := c.Nodes[1].Start(ctx); err != nil {
		t.Fatal(err)
	}
	await(ada, 2) // his client has come back
}
