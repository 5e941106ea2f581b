package cluster

import (
	"bytes"
	"context"
	"flag"
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
	undo func(ctx context.Context, c *Cluster) error
}

func harms() []harm {
	victim := 0 // the NATS server that was chosen last
	return []harm{
		{"clocks ten minutes apart", func(context.Context, *Cluster) error { return nil }, func(context.Context, *Cluster) error { return nil }},
		{"the leader of most streams is killed", func(ctx context.Context, c *Cluster) (err error) {
			if victim, err = busiest(ctx, c); err != nil {
				return err
			}
			return c.NATS[victim].Kill()
		}, func(ctx context.Context, c *Cluster) error { return c.NATS[victim].Start(ctx) }},
		{"the leader of most streams is cut off", func(ctx context.Context, c *Cluster) (err error) {
			if victim, err = busiest(ctx, c); err == nil {
				c.Isolate(victim)
			}
			return err
		}, func(_ context.Context, c *Cluster) error { c.Rejoin(victim); return nil }},
		{"a node is killed", func(_ context.Context, c *Cluster) error { return c.Nodes[1].Kill() },
			func(ctx context.Context, c *Cluster) error { return c.Nodes[1].Start(ctx) }},
		{"a node drains", func(_ context.Context, c *Cluster) error { return c.Nodes[2].Stop() },
			func(ctx context.Context, c *Cluster) error { return c.Nodes[2].Start(ctx) }},
		{"a node loses every NATS server", func(_ context.Context, c *Cluster) error {
			for _, w := range c.Links[0] {
				w.Cut()
			}
			return nil
		}, func(_ context.Context, c *Cluster) error {
			for _, w := range c.Links[0] {
				w.Heal()
			}
			return nil
		}},
	}
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
		Clocks: [Size]time.Duration{0, -10 * time.Minute, 10 * time.Minute},
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

// The nodes' clocks are ten minutes apart all the time. Each harm happens while people on all nodes write, leave and resume. Then
// bench.Order compares what everybody saw with what was acknowledged and with
// what each node tells a newcomer.
func TestCluster(t *testing.T) {
	secret := bytes.Repeat([]byte("k"), 32)
	c := startCluster(t, secret)
	t.Run("[P3] who was on a node that is killed is gone for the others", func(t *testing.T) { presenceDies(t, c, secret) })
	for range *roundsFlag {
		for _, h := range harms() {
			t.Run("[R1] [R2] [R3] [R4] [R5] [E1] "+h.name, func(t *testing.T) {
				order := bench.Order{Channels: 8, Writers: 1, Readers: 2, Rate: 160, Duration: 10 * time.Second, Away: 3 * time.Second, TextSize: 50, Durable: true}
				ended := make(chan error, 1)
				go func() {
					time.Sleep(3 * time.Second) // of traffic before: a schedule, and no wait for something
					err := h.do(t.Context(), c)
					time.Sleep(4 * time.Second) // of harm
					if undone := h.undo(t.Context(), c); err == nil {
						err = undone
					}
					ended <- err
				}()
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
			})
		}
	}
}

// presenceDies has one member on a node that is killed, whom a member on another
// node sees leave.
func presenceDies(t *testing.T, c *Cluster, secret []byte) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	join := func(node int, who string) *client.Presence {
		token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": who, "role": "authenticated", "exp": time.Now().Add(time.Hour).Unix()})
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
