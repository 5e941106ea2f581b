package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/chorale-rt/chorale/internal/bench"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/embedded"
	"github.com/chorale-rt/chorale/internal/engine/natsengine"
	"github.com/chorale-rt/chorale/internal/server"
)

// BenchCmd measures a server: one subcommand per scenario of package bench.
type BenchCmd struct {
	Latency     benchLatencyCmd     `cmd:"" help:"Two members answer each other, one message in flight."`
	Rooms       benchRoomsCmd       `cmd:"" help:"Many small rooms, everybody writes at random."`
	Fanout      benchFanoutCmd      `cmd:"" help:"One writer, many subscribers."`
	RoomsMax    benchRoomsMaxCmd    `cmd:"" name:"rooms-max" help:"The highest rate of rooms within a bound of p99."`
	FanoutMax   benchFanoutMaxCmd   `cmd:"" name:"fanout-max" help:"The highest rate of fanout within a bound of p99."`
	Users       benchUsersCmd       `cmd:"" help:"How many people can take notes at once within a bound of p99."`
	Subscribers benchSubscribersCmd `cmd:"" help:"Does a delivery cost the same however many subscribers get it?"`
	Channels    benchChannelsCmd    `cmd:"" help:"Does a delivery cost the same however many channels there are?"`
	Connect     benchConnectCmd     `cmd:"" help:"Connect, authenticate and join."`
	Idle        benchIdleCmd        `cmd:"" help:"Connections that say nothing, before and after they have talked."`
	Flood       benchFloodCmd       `cmd:"" help:"Small rooms, alone and beside a client that pushes as fast as it can."`
	Hall        benchHallCmd        `cmd:"" help:"Small rooms, alone and beside a channel in which few talk to thousands."`
	Rush        benchRushCmd        `cmd:"" help:"Small rooms, alone and while thousands connect and join at once."`
	Order       benchOrderCmd       `cmd:"" help:"Check order, gaps and repeats while everybody leaves and resumes."`
	Reconnect   benchReconnectCmd   `cmd:"" help:"End the server and start it again, and wait until everybody has resumed."`
	CatchUp     benchCatchUpCmd     `cmd:"" name:"catchup" help:"Join a large collection, and a channel in which much was missed."`
	Append      benchAppendCmd      `cmd:"" help:"An engine alone, embedded or over NATS: how fast entries are acknowledged."`
	Report      benchReportCmd      `cmd:"" help:"Write a page with pictures of what --json has kept."`
	FloorServer floorServerCmd      `cmd:"" hidden:"" help:"Copy frames between sockets, and nothing else."`
	Newcomers   newcomersCmd        `cmd:"" hidden:"" help:"Come to a server as the scenario rush says on stdin, and nothing else."`
}

// benchTarget are the flags of all scenarios.
type benchTarget struct {
	URL       []string `name:"url" placeholder:"ws://HOST:PORT" help:"A running server; several times: its nodes, over which members are spread. Without it one is started for each run."`
	Token     string   `env:"CHORALE_BENCH_TOKEN" help:"Token of all members at --url."`
	Secret    string   `env:"CHORALE_BENCH_SECRET" help:"Secret of the server at --url: each member gets a token of its own."`
	PID       int      `name:"pid" help:"Process id of the server at --url, when it is on this machine, for its CPU time and memory."`
	ServerArg []string `name:"server-arg" sep:"none" placeholder:"ARG" help:"A further argument of serve, for servers that are started, such as --server-arg=--pprof=127.0.0.1:6060."`
	InMemory  bool     `name:"in-memory" help:"Measure Chorale too with the channels of mode durable kept in memory alone: what durability costs."`
	Peer      []string `placeholder:"[NAME:]KIND=PATH" help:"Measure another server too, started for each run (bench/compare builds them); KIND, whose protocol it speaks, is ws, socketio, nats, centrifugo or postgres-changes."`
	Dir       string   `type:"existingdir" help:"Where started servers keep their data; the default is the system's temporary directory."`

	Runs       int    `default:"3" help:"How often; the report shows medians."`
	Pin        bool   `default:"true" negatable:"" help:"Bind server and generator to CPUs of their own (Linux)."`
	ServerCPUs int    `name:"server-cpus" default:"1" help:"How many CPUs the server gets."`
	JSON       string `name:"json" type:"path" placeholder:"FILE" help:"Write the report there too, every run in it."`
	Title      string `help:"For bench report: the section of the page."`
	Label      string `help:"For bench report: what this is there, beside others of the same title."`

	secrets []string // what else must not be in the report's command
}

// run measures, prints the report, and fails when it should not be believed.
func (t *benchTarget) run(ctx context.Context, s bench.Scenario, floor bool) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	var peers []bench.Peer
	for _, text := range t.Peer {
		p, err := bench.ParsePeer(text)
		if err != nil {
			return err
		}
		peers = append(peers, p)
	}
	report, err := bench.Run(ctx, bench.Options{
		URLs: t.URL, Token: t.Token, Secret: []byte(t.Secret), PID: t.PID,
		Executable: exe, ServerArgs: t.ServerArg, Dir: t.Dir,
		Floor: floor, Memory: t.InMemory, Peers: peers, Runs: t.Runs, Pin: t.Pin, ServerCPUs: t.ServerCPUs,
		Title: t.Title, Label: t.Label, Command: t.command(), Log: os.Stderr,
	}, s)
	if err != nil {
		return err
	}
	return errors.Join(report.WriteTable(os.Stdout), t.writeJSON(report), report.Err())
}

// command is how this was called, without what must not be passed on and what is
// only about the report.
func (t *benchTarget) command() string {
	args := []string{"chorale"}
	for i := 1; i < len(os.Args); i++ {
		name, _, joined := strings.Cut(os.Args[i], "=")
		if slices.Contains([]string{"--json", "--title", "--label"}, name) {
			if !joined {
				i++ // its value
			}
			continue
		}
		args = append(args, os.Args[i])
	}
	line := strings.Join(args, " ")
	for _, secret := range append([]string{t.Token, t.Secret}, t.secrets...) {
		if secret != "" {
			line = strings.ReplaceAll(line, secret, "…")
		}
	}
	return line
}

func (t *benchTarget) writeJSON(report *bench.Report) error {
	if t.JSON == "" {
		return nil
	}
	f, err := os.Create(t.JSON)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return errors.Join(report.WriteJSON(f), f.Close())
}

type benchLatencyCmd struct {
	benchTarget `embed:""`

	Mode   string `default:"broadcast" enum:"broadcast,durable,notes" help:"What is pushed: ${enum}."`
	Count  int    `default:"5000" help:"Pushes that count."`
	Warmup int    `default:"500" help:"Pushes before that."`
	Text   int    `default:"200" help:"Bytes of text in a push."`
	Floor  bool   `default:"true" negatable:"" help:"Measure the raw-socket floor too."`
}

// Run implements the command.
func (c *benchLatencyCmd) Run(ctx context.Context) error {
	return c.run(ctx, bench.Latency{Mode: bench.Mode(c.Mode), Count: c.Count, Warmup: c.Warmup, TextSize: c.Text}, c.Floor)
}

type benchRoomsCmd struct {
	benchTarget `embed:""`

	Mode     string        `default:"notes" enum:"broadcast,durable,notes" help:"What is pushed: ${enum}."`
	Rooms    int           `default:"500" help:"Channels."`
	Members  int           `default:"4" help:"Members of each."`
	Rate     float64       `default:"3000" help:"Pushes per second, all members together."`
	Warmup   time.Duration `default:"2s" help:"How long before anything counts."`
	Duration time.Duration `default:"10s" help:"How long what counts is."`
	Text     int           `default:"200" help:"Bytes of text in a push."`
	Seed     uint64        `default:"1" help:"Seed of the schedule: the same seed pushes at the same instants."`
	Floor    bool          `default:"true" negatable:"" help:"Measure the raw-socket floor too."`
}

// Run implements the command.
func (c *benchRoomsCmd) Run(ctx context.Context) error {
	return c.run(ctx, bench.Rooms{
		Mode: bench.Mode(c.Mode), Rooms: c.Rooms, Members: c.Members, Rate: c.Rate,
		Warmup: c.Warmup, Duration: c.Duration, TextSize: c.Text, Seed: c.Seed,
	}, c.Floor)
}

type benchFanoutCmd struct {
	benchTarget `embed:""`

	Mode        string        `default:"broadcast" enum:"broadcast,durable,notes" help:"What is pushed: ${enum}."`
	Subscribers int           `default:"1000" help:"Members that receive."`
	Writers     int           `default:"1" help:"How many push in turn."`
	Rate        float64       `default:"20" help:"Pushes per second, all writers together."`
	Warmup      time.Duration `default:"1s" help:"How long before anything counts."`
	Duration    time.Duration `default:"10s" help:"How long what counts is."`
	Text        int           `default:"200" help:"Bytes of text in a push."`
	Floor       bool          `negatable:"" help:"Measure the raw-socket floor too."`
}

// Run implements the command.
func (c *benchFanoutCmd) Run(ctx context.Context) error {
	return c.run(ctx, bench.Fanout{
		Mode: bench.Mode(c.Mode), Subscribers: c.Subscribers, Writers: c.Writers, Rate: c.Rate,
		Warmup: c.Warmup, Duration: c.Duration, TextSize: c.Text,
	}, c.Floor)
}

// benchBound are the flags of scenarios that look for the highest rate.
type benchBound struct {
	P99      time.Duration `name:"p99" default:"30ms" help:"Below it the 99th percentile of the latency must stay."`
	From     float64       `default:"40" help:"Pushes per second at which the search begins."`
	Warmup   time.Duration `default:"300ms" help:"How long each try takes before anything counts."`
	Duration time.Duration `default:"1s" help:"How long what counts of each try is."`
	Text     int           `default:"200" help:"Bytes of text in a push."`
	Floor    bool          `negatable:"" help:"Measure the raw-socket floor too."`
}

func (b benchBound) bound() bench.Bound {
	return bench.Bound{P99: b.P99, From: b.From, Warmup: b.Warmup, Duration: b.Duration}
}

type benchRoomsMaxCmd struct {
	benchTarget `embed:""`
	benchBound  `embed:""`

	Mode    string `default:"broadcast" enum:"broadcast,durable,notes" help:"What is pushed: ${enum}."`
	Rooms   int    `default:"500" help:"Channels."`
	Members int    `default:"4" help:"Members of each."`
	Seed    uint64 `default:"1" help:"Seed of the schedules."`
}

// Run implements the command.
func (c *benchRoomsMaxCmd) Run(ctx context.Context) error {
	return c.run(ctx, bench.RoomsMax{
		Bound: c.bound(), Mode: bench.Mode(c.Mode), Rooms: c.Rooms, Members: c.Members, TextSize: c.Text, Seed: c.Seed,
	}, c.Floor)
}

type benchUsersCmd struct {
	benchTarget `embed:""`

	Mode     string        `default:"durable" enum:"broadcast,durable,notes" help:"What is pushed: ${enum}."`
	Members  int           `default:"4" help:"Members of each room."`
	Every    time.Duration `default:"10s" help:"Time between two writes of one of them, on average."`
	P99      time.Duration `name:"p99" default:"600ms" help:"Below it the 99th percentile of the latency must stay."`
	From     float64       `default:"500" help:"Users with whom the search begins."`
	Most     float64       `default:"0" help:"Users with whom it ends, when even they are served in time; 0: as many as this machine's limit of descriptors lets connect."`
	Warmup   time.Duration `default:"1s" help:"How long each try takes before anything counts."`
	Duration time.Duration `default:"3s" help:"How long what counts of each try is."`
	Text     int           `default:"200" help:"Bytes of text in a push."`
	Seed     uint64        `default:"1" help:"Seed of the schedules."`
}

// Run implements the command.
func (c *benchUsersCmd) Run(ctx context.Context) error {
	return c.run(ctx, bench.UsersMax{
		Bound: bench.Bound{P99: c.P99, From: c.From, Most: c.Most, Near: 1.2, Warmup: c.Warmup, Duration: c.Duration},
		Mode:  bench.Mode(c.Mode), Members: c.Members, Every: c.Every, TextSize: c.Text, Seed: c.Seed,
	}, false)
}

type benchFanoutMaxCmd struct {
	benchTarget `embed:""`
	benchBound  `embed:""`

	Mode        string `default:"broadcast" enum:"broadcast,durable,notes" help:"What is pushed: ${enum}."`
	Subscribers int    `default:"1000" help:"Members that receive."`
	Writers     int    `default:"1" help:"How many push in turn."`
}

// Run implements the command.
func (c *benchFanoutMaxCmd) Run(ctx context.Context) error {
	return c.run(ctx, bench.FanoutMax{Bound: c.bound(), Mode: bench.Mode(c.Mode), Subscribers: c.Subscribers, Writers: c.Writers, TextSize: c.Text}, c.Floor)
}

type benchSubscribersCmd struct {
	benchTarget `embed:""`

	Mode       string        `default:"broadcast" enum:"broadcast,durable,notes" help:"What is pushed: ${enum}."`
	Counts     []int         `default:"100,1000,10000" help:"How many subscribers; one column each."`
	Deliveries float64       `default:"20000" help:"Deliveries per second, each time."`
	Warmup     time.Duration `default:"1s" help:"How long each takes before anything counts."`
	Duration   time.Duration `default:"4s" help:"How long what counts of each is."`
	Text       int           `default:"200" help:"Bytes of text in a push."`
	Floor      bool          `default:"true" negatable:"" help:"Measure the raw-socket floor too."`
}

// Run implements the command.
func (c *benchSubscribersCmd) Run(ctx context.Context) error {
	return c.run(ctx, bench.Subscribers{
		Mode: bench.Mode(c.Mode), Counts: c.Counts, Deliveries: c.Deliveries, Warmup: c.Warmup, Duration: c.Duration, TextSize: c.Text,
	}, c.Floor)
}

type benchChannelsCmd struct {
	benchTarget `embed:""`

	Mode     string        `default:"broadcast" enum:"broadcast,durable,notes" help:"What is pushed: ${enum}."`
	Counts   []int         `default:"1,100,10000,100000" help:"How many channels; one column each."`
	Members  int           `default:"4" help:"Members of each, of whom one pushes."`
	Shared   int           `default:"100" help:"Channels that one connection is in, where there are so many."`
	Rate     float64       `default:"1000" help:"Pushes per second, all channels together."`
	Warmup   time.Duration `default:"1s" help:"How long each takes before anything counts."`
	Duration time.Duration `default:"4s" help:"How long what counts of each is."`
	Text     int           `default:"200" help:"Bytes of text in a push."`
	Seed     uint64        `default:"1" help:"Seed of the schedules."`
	Floor    bool          `default:"true" negatable:"" help:"Measure the raw-socket floor too, with as many connections."`
}

// Run implements the command.
func (c *benchChannelsCmd) Run(ctx context.Context) error {
	return c.run(ctx, bench.Channels{
		Mode: bench.Mode(c.Mode), Counts: c.Counts, Members: c.Members, Shared: c.Shared, Rate: c.Rate,
		Warmup: c.Warmup, Duration: c.Duration, TextSize: c.Text, Seed: c.Seed,
	}, c.Floor)
}

type benchConnectCmd struct {
	benchTarget `embed:""`

	Mode     string `default:"broadcast" enum:"broadcast,durable,notes" help:"Which channels are joined: public ones, private ones, or private ones with a collection."`
	Single   int    `default:"500" help:"Connections that are opened one by one."`
	Conns    int    `default:"2000" help:"Connections that are opened many at a time."`
	Parallel int    `default:"64" help:"How many at a time."`
	Members  int    `default:"4" help:"Members per channel."`
	Floor    bool   `negatable:"" help:"Measure the raw-socket floor too, which only upgrades."`
}

// Run implements the command.
func (c *benchConnectCmd) Run(ctx context.Context) error {
	return c.run(ctx, bench.Connect{
		Mode: bench.Mode(c.Mode), Single: c.Single, Conns: c.Conns, Parallel: c.Parallel, Members: c.Members,
	}, c.Floor)
}

type benchIdleCmd struct {
	benchTarget `embed:""`

	Mode      string        `default:"broadcast" enum:"broadcast,durable,notes" help:"Which channels are joined: public ones, private ones, or private ones with a collection."`
	Conns     int           `default:"10000" help:"Connections."`
	Members   int           `default:"4" help:"Members per channel."`
	Heartbeat time.Duration `default:"15s" help:"Between two heartbeats of a connection after the traffic, as the SDKs send them; 0: none."`
	Quiet     time.Duration `default:"20s" help:"How long nothing is said before the traffic, and nothing but heartbeats after it."`
	Rate      float64       `default:"3000" help:"Pushes per second in between, all members together."`
	Traffic   time.Duration `default:"5s" help:"How long they talk."`
	Text      int           `default:"200" help:"Bytes of text in a push."`
	Floor     bool          `negatable:"" help:"Measure the raw-socket floor too, where heartbeats are not known."`
}

// Run implements the command.
func (c *benchIdleCmd) Run(ctx context.Context) error {
	return c.run(ctx, bench.Idle{
		Mode: bench.Mode(c.Mode), Conns: c.Conns, Members: c.Members, Heartbeat: c.Heartbeat, Quiet: c.Quiet, Rate: c.Rate, Traffic: c.Traffic, TextSize: c.Text,
	}, c.Floor)
}

type benchFloodCmd struct {
	benchTarget `embed:""`

	Mode     string        `default:"notes" enum:"broadcast,durable,notes" help:"What the others push: ${enum}."`
	Rooms    int           `default:"100" help:"Channels of the others."`
	Members  int           `default:"4" help:"Members of each."`
	Rate     float64       `default:"500" help:"Pushes per second of the others, all together."`
	Warmup   time.Duration `default:"2s" help:"How long before anything counts."`
	Duration time.Duration `default:"10s" help:"How long what counts is, each time."`
	Text     int           `default:"200" help:"Bytes of text in a push."`
	Seed     uint64        `default:"1" help:"Seed of the others' schedule."`
}

// Run implements the command.
func (c *benchFloodCmd) Run(ctx context.Context) error {
	return c.run(ctx, bench.Flood{Rooms: bench.Rooms{
		Mode: bench.Mode(c.Mode), Rooms: c.Rooms, Members: c.Members, Rate: c.Rate,
		Warmup: c.Warmup, Duration: c.Duration, TextSize: c.Text, Seed: c.Seed,
	}}, false)
}

type benchHallCmd struct {
	benchTarget `embed:""`

	Mode      string        `default:"broadcast" enum:"broadcast,durable,notes" help:"What is pushed in the rooms: ${enum}."`
	Rooms     int           `default:"100" help:"Channels of the rooms."`
	Members   int           `default:"4" help:"Members of each."`
	Rate      float64       `default:"500" help:"Pushes per second in the rooms, all together."`
	Listeners int           `default:"5000" help:"Who is in the hall."`
	Speakers  int           `default:"1" help:"How many of them talk, in turn."`
	Talk      float64       `default:"4" help:"What is said in the hall, pushes per second."`
	Warmup    time.Duration `default:"1s" help:"How long before anything counts."`
	Duration  time.Duration `default:"5s" help:"How long what counts is, each time."`
	Text      int           `default:"200" help:"Bytes of text in a push."`
	Seed      uint64        `default:"1" help:"Seed of the rooms' schedule."`
	Floor     bool          `negatable:"" help:"Measure the raw-socket floor too, which is one loop."`
}

// Run implements the command.
func (c *benchHallCmd) Run(ctx context.Context) error {
	return c.run(ctx, bench.Hall{
		Rooms: bench.Rooms{
			Mode: bench.Mode(c.Mode), Rooms: c.Rooms, Members: c.Members, Rate: c.Rate,
			Warmup: c.Warmup, Duration: c.Duration, TextSize: c.Text, Seed: c.Seed,
		},
		Listeners: c.Listeners, Speakers: c.Speakers, Talk: c.Talk,
	}, c.Floor)
}

type benchRushCmd struct {
	benchTarget `embed:""`

	Mode      string        `default:"broadcast" enum:"broadcast,durable,notes" help:"What is pushed in the rooms, and which channels newcomers join: ${enum}."`
	Rooms     int           `default:"100" help:"Channels of the rooms."`
	Members   int           `default:"4" help:"Members of each."`
	Rate      float64       `default:"500" help:"Pushes per second in the rooms, all together."`
	Newcomers int           `default:"5000" help:"How many come at once."`
	Warmup    time.Duration `default:"1s" help:"How long before anything counts."`
	Duration  time.Duration `default:"5s" help:"How long what counts is, each time; longer where it takes longer until all are in."`
	Text      int           `default:"200" help:"Bytes of text in a push."`
	Seed      uint64        `default:"1" help:"Seed of the rooms' schedule."`
	Floor     bool          `negatable:"" help:"Measure the raw-socket floor too, which only upgrades."`
}

// Run implements the command.
func (c *benchRushCmd) Run(ctx context.Context) error {
	return c.run(ctx, bench.Rush{
		Rooms: bench.Rooms{
			Mode: bench.Mode(c.Mode), Rooms: c.Rooms, Members: c.Members, Rate: c.Rate,
			Warmup: c.Warmup, Duration: c.Duration, TextSize: c.Text, Seed: c.Seed,
		},
		Newcomers: c.Newcomers,
	}, c.Floor)
}

type benchOrderCmd struct {
	benchTarget `embed:""`

	Channels int           `default:"10" help:"Channels."`
	Writers  int           `default:"2" help:"Members of each that write."`
	Readers  int           `default:"3" help:"Members of each that only read."`
	Rate     float64       `default:"500" help:"Writes per second, all together."`
	Duration time.Duration `default:"10s" help:"How long they write."`
	Away     time.Duration `default:"2s" help:"How long a member stays on average before it leaves without a word and resumes; 0: it stays."`
	Text     int           `default:"100" help:"Bytes of text in a write."`
	Durable  bool          `default:"true" negatable:"" help:"Private channels with records, as the rules of the notes app have them, and mutations too; otherwise messages in public channels."`
}

// Run implements the command.
func (c *benchOrderCmd) Run(ctx context.Context) error {
	return c.run(ctx, bench.Order{
		Channels: c.Channels, Writers: c.Writers, Readers: c.Readers, Rate: c.Rate, Duration: c.Duration,
		Away: c.Away, TextSize: c.Text, Durable: c.Durable,
	}, false)
}

type benchReconnectCmd struct {
	benchTarget `embed:""`

	Clients  int           `default:"1000" help:"Connections."`
	Channels int           `default:"250" help:"Channels; the clients are spread over them evenly."`
	Rate     float64       `default:"500" help:"Writes per second, all together."`
	Before   time.Duration `default:"2s" help:"How long they write before the server ends."`
	After    time.Duration `default:"1s" help:"How long they write when all are back."`
}

// Run implements the command.
func (c *benchReconnectCmd) Run(ctx context.Context) error {
	return c.run(ctx, bench.Reconnect{Clients: c.Clients, Channels: c.Channels, Rate: c.Rate, Before: c.Before, After: c.After}, false)
}

type benchCatchUpCmd struct {
	benchTarget `embed:""`

	Records  int `default:"10000" help:"Records of the collection."`
	Messages int `default:"1000" help:"Messages that were missed."`
	Joins    int `default:"30" help:"Joins of each kind, one after the other."`
}

// Run implements the command.
func (c *benchCatchUpCmd) Run(ctx context.Context) error {
	return c.run(ctx, bench.CatchUp{Records: c.Records, Messages: c.Messages, Joins: c.Joins}, false)
}

type benchAppendCmd struct {
	Durability string        `default:"os" enum:"memory,os,disk" help:"What an acknowledged entry survives: ${enum}."`
	Writers    []int         `default:"1,64,512" help:"How many append at a time; one column each."`
	Channels   int           `default:"1000" help:"Channels that they append to in turn."`
	Bytes      int           `default:"200" help:"Bytes of an entry."`
	Duration   time.Duration `default:"3s" help:"How long each takes."`
	Dir        string        `type:"existingdir" help:"Where the log is kept; the default is the system's temporary directory."`
	Runs       int           `default:"3" help:"How often; the report shows medians."`
	JSON       string        `name:"json" type:"path" placeholder:"FILE" help:"Write the report there too, every run in it."`
	Title      string        `help:"For bench report: the section of the page."`
	Label      string        `help:"For bench report: what this is there, beside others of the same title."`
	Engine     string        `default:"embedded" env:"CHORALE_ENGINE" placeholder:"URL,…" help:"Which engine: embedded, or the URLs of NATS servers, where it makes streams of its own and deletes them. There every class is stored alike."`
	NATS       natsLogin     `embed:"" prefix:"nats-"`
	Streams    natsStreams   `embed:"" prefix:"nats-"`
}

// Run implements the command.
func (c *benchAppendCmd) Run(ctx context.Context) error {
	durability, err := engine.ParseDurability(c.Durability)
	if err != nil {
		return err
	}
	s := bench.Append{Durability: durability, Writers: c.Writers, Channels: c.Channels, Bytes: c.Bytes, Duration: c.Duration}
	t := benchTarget{Dir: c.Dir, Runs: c.Runs, JSON: c.JSON, Title: c.Title, Label: c.Label, secrets: []string{c.NATS.Token, c.NATS.Password}}
	if c.Engine == "embedded" {
		s.Engine = "the engine in this process, as durable as " + c.Durability
		s.Open = func(dir string) (engine.Engine, error) { return embedded.Open(embedded.Options{Dir: dir}) }
		return t.run(ctx, s, false)
	}
	servers, err := server.NATSServers(c.Engine)
	if err != nil {
		return explain(err)
	}
	o := c.NATS.options()
	o.Partitions, o.Replicas = c.Streams.Partitions, c.Streams.Replicas
	var names []string
	for _, u := range servers {
		o.Servers = append(o.Servers, u.String())
		names = append(names, u.Redacted())
		if password, has := u.User.Password(); has {
			t.secrets = append(t.secrets, password)
		} else {
			t.secrets = append(t.secrets, u.User.Username()) // that is a token
		}
	}
	s.Engine = "the engine over NATS at " + strings.Join(names, ", ") + ", as durable as its servers are"
	s.Open = func(string) (engine.Engine, error) { return openPassing(ctx, o) }
	return t.run(ctx, s, false)
}

// passing is an engine over NATS whose streams end with it.
type passing struct {
	engine.Engine
	options natsengine.Options
}

func openPassing(ctx context.Context, o natsengine.Options) (engine.Engine, error) {
	o.Prefix = "chorale-bench-" + strings.ToLower(rand.Text()[:8]) // never one that is in use
	o.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	e, err := natsengine.Open(ctx, o)
	if err != nil {
		o.OpenTimeout = 3 * time.Second // some may have been made; but nobody waits long for servers that are not there
		return nil, errors.Join(err, natsengine.Remove(context.WithoutCancel(ctx), o))
	}
	return passing{e, o}, nil
}

// Close deletes the streams, also after an interruption.
func (p passing) Close() error {
	return errors.Join(p.Engine.Close(), natsengine.Remove(context.Background(), p.options))
}

type benchReportCmd struct {
	Dir  string `arg:"" type:"existingdir" help:"The directory with the JSON files. The pictures (SVG) go there too."`
	Page string `default:"benchmarks.md" type:"path" help:"Where to write the page (Markdown), beside the directory."`
}

// Run implements the command.
func (c *benchReportCmd) Run() error { return bench.WritePage(c.Page, c.Dir) }

type floorServerCmd struct {
	Addr string `default:"127.0.0.1:0" help:"Where to listen, as host:port."`
}

// Run implements the command. It ends with ctx, as serve does.
func (c *floorServerCmd) Run(ctx context.Context) error {
	// One for the event loop, which never gives its processor back, and one for
	// everything else.
	runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0)))
	return bench.ServeFloor(ctx, c.Addr, func(addr string) {
		fmt.Printf("listening on http://%s\n", addr)
	})
}

type newcomersCmd struct{}

// Run implements the command.
func (newcomersCmd) Run(ctx context.Context) error {
	return bench.RunNewcomers(ctx, os.Stdin, os.Stdout)
}
