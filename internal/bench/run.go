package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/web/notes"
)

// Options say what is measured and how often.
type Options struct {
	// URLs are the nodes of a running server (ws://host:port), over which members are
	// spread; none starts a server for each run. It must have the rules of the notes
	// app for scenarios in mode Notes.
	URLs   []string
	Token  string // for all members; "" makes one for each with Secret
	Secret []byte // signs tokens (HS256) for the server at URLs
	PID    int    // of the server at URLs, when it is on this machine; 0: not measured

	// Executable is the chorale binary that is started as server and as floor.
	Executable string
	ServerArgs []string // further arguments of serve
	Dir        string   // for the data of started servers; "" means the system's temporary directory

	Floor  bool // measure the floor too; on Linux, elsewhere it is left out
	Memory bool // measure Chorale too with channels of mode Durable kept in memory alone
	Runs   int  // of each subject; 0 means 3

	Peers []Peer // measured between the floor and Chorale, in this order

	// Pin binds servers and generator to CPUs of their own, when there are two at
	// least. It is for a process that does nothing else: the whole of it is bound.
	Pin        bool
	ServerCPUs int // how many the server gets; 0 means 1

	// Patience is how long after its last push a run waits for deliveries that are
	// missing, before they are lost. 0 means 5 seconds.
	Patience time.Duration

	Title   string    // for pages: see Report
	Label   string    // likewise
	Command string    // how this was asked for, for the report
	Log     io.Writer // progress, and what servers say on stderr; nil discards
}

func (o Options) withDefaults() Options {
	if o.Runs == 0 {
		o.Runs = 3
	}
	if o.ServerCPUs == 0 {
		o.ServerCPUs = 1
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Second
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	return o
}

func (o Options) validate() error {
	return hold(
		condition{o.Runs >= 1, "at least one run is needed"},
		condition{o.Patience > 0, "the patience must be above 0"},
		condition{o.ServerCPUs >= 1, "the server needs at least one CPU"},
		condition{len(o.URLs) == 0 || o.Token != "" || len(o.Secret) > 0, "a running server needs a token or the secret that makes one"},
		condition{!o.Memory || len(o.URLs) == 0, "a running server has its own rules, which say how durable it is"},
		condition{o.Executable != "" || (len(o.URLs) > 0 && !o.Floor), "there is no executable to start"},
	)
}

// Run measures a scenario and returns what came of it. A report is returned also
// when Report.Err will complain; an error means that there is none.
func Run(ctx context.Context, o Options, s Scenario) (*Report, error) {
	o = o.withDefaults()
	if err := errors.Join(o.validate(), s.validate()); err != nil {
		return nil, fmt.Errorf("bench %s: %w", s.name(), err)
	}
	if o.Floor && runtime.GOOS != "linux" {
		fmt.Fprintln(o.Log, "the floor is left out: it needs Linux")
		o.Floor = false
	}
	r := &runner{options: o, scenario: s, report: newReport(o, s)}
	if err := r.pin(); err != nil {
		return nil, fmt.Errorf("bench %s: %w", s.name(), err)
	}
	// The generator makes next to no garbage while it measures; what connecting
	// leaves behind should not be swept up again and again.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	for i := range o.Runs {
		if o.Floor {
			if err := r.once(ctx, i, floorName, r.onFloor); err != nil {
				return nil, fmt.Errorf("bench %s: floor: %w", s.name(), err)
			}
		}
		for _, p := range o.Peers {
			if err := r.once(ctx, i, p.Name, r.onPeer(p)); err != nil {
				return nil, fmt.Errorf("bench %s: %s: %w", s.name(), p.Name, err)
			}
		}
		if o.Memory {
			measure := func(ctx context.Context, run string) ([]Figures, error) {
				return r.onOwnServer(ctx, run, memoryRules)
			}
			if err := r.once(ctx, i, memoryName, measure); err != nil {
				return nil, fmt.Errorf("bench %s: %s: %w", s.name(), memoryName, err)
			}
		}
		measure := r.onChorale
		if here, ok := s.(inProcess); ok {
			measure = func(ctx context.Context, _ string) ([]Figures, error) { return here.runHere(ctx, o.Dir) }
		}
		if err := r.once(ctx, i, choraleName, measure); err != nil {
			return nil, fmt.Errorf("bench %s: %w", s.name(), err)
		}
	}
	return r.report, nil
}

// A runner carries out one call of Run.
type runner struct {
	options    Options
	scenario   Scenario
	report     *Report
	serverCPUs []int   // none: anywhere
	hint       float64 // for the subject that is measured now
}

// pin divides the CPUs: the first ones are the generator's.
func (r *runner) pin() error {
	if !r.options.Pin {
		return nil
	}
	cpus, err := allowedCPUs()
	if err != nil {
		return err
	}
	if len(cpus) <= r.options.ServerCPUs {
		r.report.Pinning = "none: too few CPUs"
		return nil
	}
	cut := len(cpus) - r.options.ServerCPUs
	own, server := cpus[:cut], cpus[cut:]
	r.report.Pinning = fmt.Sprintf("generator on CPU %s, servers on %s", list(own), list(server))
	if len(r.options.URLs) > 0 {
		r.report.Pinning = fmt.Sprintf("generator on CPU %s, floor on %s, the server as it was started", list(own), list(server))
	}
	r.serverCPUs = server
	return pinProcess(own)
}

func list(cpus []int) string { return strings.Trim(fmt.Sprint(cpus), "[]") }

// once measures one subject once and adds it to the report.
func (r *runner) once(ctx context.Context, i int, name string, measure func(context.Context, string) ([]Figures, error)) error {
	began := time.Now()
	r.hint = 0
	if c := r.report.column(name, ""); c != nil {
		r.hint = c.Runs[len(c.Runs)-1].Highest
	}
	figures, err := measure(ctx, hex.EncodeToString(randomBytes(4)))
	if err != nil {
		return err
	}
	for _, f := range figures {
		r.report.add(name, f)
	}
	fmt.Fprintf(r.options.Log, "run %d of %d, %s: %s\n", i+1, r.options.Runs, name, time.Since(began).Round(time.Millisecond))
	return nil
}

// site is where a server is measured, whose process is pid.
func (r *runner) site(s subject, pid int, run string) site {
	return site{
		subject: s, pid: pid, run: run, hint: r.hint, patience: r.options.Patience,
		executable: r.options.Executable, log: r.options.Log, pinned: len(r.serverCPUs) > 0,
	}
}

func (r *runner) onFloor(ctx context.Context, run string) ([]Figures, error) {
	k, err := startChild(ctx, command{path: r.options.Executable, args: []string{"bench", "floor-server"}, cpus: r.serverCPUs, stderr: r.options.Log})
	if err != nil {
		return nil, err
	}
	figures, err := r.scenario.run(ctx, r.site(&floorSubject{url: k.url}, k.cmd.Process.Pid, run))
	return figures, errors.Join(err, k.stop())
}

func (r *runner) onChorale(ctx context.Context, run string) ([]Figures, error) {
	o := r.options
	if len(o.URLs) == 0 {
		return r.onOwnServer(ctx, run, notes.Rules())
	}
	token := mint(o.Secret)
	if o.Token != "" {
		token = func(string) (string, error) { return o.Token, nil }
	}
	subject, err := newChorale(o.URLs, token)
	if err != nil {
		return nil, err
	}
	return r.scenario.run(ctx, r.site(subject, o.PID, run))
}

// onOwnServer starts a server with an empty log and those rules.
func (r *runner) onOwnServer(ctx context.Context, run string, text []byte) (figures []Figures, err error) {
	dir, err := os.MkdirTemp(r.options.Dir, "chorale-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the server: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	rules, err := writeRules(dir, text)
	if err != nil {
		return nil, err
	}
	secret := hex.EncodeToString(randomBytes(32))
	args := append([]string{
		"serve", "--data", filepath.Join(dir, "data"), "--jwt-secret", secret, "--rules", rules, "--log-level", "warn",
	}, r.limits()...)
	args = append(args, r.options.ServerArgs...)
	// GOMAXPROCS is left alone: the runtime reads it off the CPUs that the process
	// may use, and a server may have reasons for another number.
	own := &ownServer{command: command{path: r.options.Executable, args: args, cpus: r.serverCPUs, stderr: r.options.Log}}
	if err := own.start(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, own.stop()) }()
	subject, err := newChorale([]string{own.child.url}, mint([]byte(secret)))
	if err != nil {
		return nil, err
	}
	s := r.site(subject, own.child.cmd.Process.Pid, run)
	s.own = own
	return r.scenario.run(ctx, s)
}

// limits are the arguments that let a load through: what is measured is how fast
// the server is, not how fast one client may be.
func (r *runner) limits() []string {
	if _, limited := r.scenario.(Flood); limited {
		return nil
	}
	return []string{"--limit-joins", "off", "--limit-messages", "off", "--limit-bytes", "off", "--limit-channel-messages", "off", "--limit-channel-bytes", "off"}
}

// mint makes tokens that outlive any run.
func mint(secret []byte) func(sub string) (string, error) {
	return func(sub string) (string, error) {
		return auth.Mint(secret, auth.MintOptions{Subject: sub, TTL: 24 * time.Hour})
	}
}

// memoryRules are for an interview's channel what the rules of the notes app are,
// but that nothing of it outlives the process. That does not do for records: it has
// no collections.
var memoryRules = []byte(`channels:
  - match: "interview:{id}"
    join: 'claims.role in ["authenticated", "guest", "editor"]'
    publish: 'claims.role in ["authenticated", "guest", "editor"]'
    presence: 'claims.role in ["authenticated", "guest", "editor"]'
    history: { messages: 1000, age: 24h, durability: memory }
`)

// writeRules writes rules, and the schemas of the notes app, into dir and returns
// the path of the rules.
func writeRules(dir string, rules []byte) (string, error) {
	path := filepath.Join(dir, "rules.yaml")
	err := os.WriteFile(path, rules, 0o600)
	if err == nil {
		err = os.CopyFS(dir, notes.Schemas())
	}
	if err != nil {
		return "", fmt.Errorf("write rules: %w", err)
	}
	return path, nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return b
}
