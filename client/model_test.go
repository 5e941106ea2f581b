package client

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

// A modelServer is one channel with one collection, as the protocol describes it
// (M1 to M8, S3), and nothing else.
type modelServer struct {
	epoch   int
	log     []*protocol.Change // offset i+1
	records map[string]*protocol.Record
	rows    map[string]*modelRow // by client id
	now     int64
	busy    int // so many mutations are refused for a while
	applied map[string]int
}

type modelRow struct {
	last     uint64
	outcomes map[uint64]protocol.Outcome
}

func (s *modelServer) reset() {
	s.epoch++
	s.log, s.records, s.rows, s.applied = nil, map[string]*protocol.Record{}, map[string]*modelRow{}, map[string]int{}
}

func (s *modelServer) mutate(m *protocol.Mutation) (*protocol.Outcome, *reply, *protocol.Change) {
	refuse := func(code string, retryable bool, expect uint64) (*protocol.Outcome, *reply, *protocol.Change) {
		return nil, &reply{err: &Error{Code: code, Retryable: retryable}, expect: expect}, nil
	}
	row := s.rows[m.Client]
	switch {
	case row == nil && m.N != 1:
		return refuse(protocol.CodeClientUnknown, false, 0)
	case row == nil:
		row = &modelRow{outcomes: map[uint64]protocol.Outcome{}}
	}
	switch {
	case m.N <= row.last:
		o, known := row.outcomes[m.N]
		if !known {
			o = protocol.Outcome{N: m.N, Status: protocol.StatusUnknown}
		}
		return &o, nil, nil
	case m.N > row.last+1:
		return refuse(protocol.CodeOutOfOrder, true, row.last+1)
	case s.busy > 0:
		s.busy--
		return refuse(protocol.CodeOverloaded, true, 0)
	}
	offset := uint64(len(s.log) + 1)
	next, change := protocol.Reduce(s.records[m.Record], m, protocol.MakeStamp(protocol.ClampTime(m.At, s.now), m.Client), s.now, m.Client)
	change.Offset = offset
	if change.Status == protocol.StatusApplied {
		rec := *next
		rec.Version = offset
		s.records[m.Record] = &rec
		s.applied[m.ID]++
		if change.State != nil {
			change.State = &rec
		}
	}
	s.log = append(s.log, &change)
	s.rows[m.Client] = row
	row.last = m.N
	o := protocol.Outcome{N: m.N, Offset: offset, Status: change.Status, Lost: change.Lost}
	row.outcomes[m.N] = o
	return &o, nil, &change
}

// A modelClient is a recordStore with a wire whose frames a test hands over one by
// one.
type modelClient struct {
	t      *testing.T
	server *modelServer
	store  *recordStore
	id     string
	ids    int
	live   bool
	life   int
	epoch  int
	offset uint64
	up     []modelPush
	down   []func()
	alarms []func() // that wait for time to pass
	bytes  map[string]string
	made   []*entry
}

type modelPush struct {
	raw     []byte
	onReply func(*protocol.Outcome, *reply)
}

func (c *modelClient) client() string     { return c.id }
func (c *modelClient) seenOffset() uint64 { return c.offset }
func (c *modelClient) author() string     { return c.id }
func (c *modelClient) serverNow() int64   { return c.server.now }
func (c *modelClient) bounds() limits     { return limits{protocol.MaxRecordBytes, protocol.MaxFrameBytes} }
func (c *modelClient) stopAlarm(*alarm)   {}
func (c *modelClient) rejoinSoon()        {}
func (c *modelClient) emit(Event)         {}
func (c *modelClient) settled()           {}
func (c *modelClient) refusal()           {}
func (c *modelClient) logEpoch() string   { return fmt.Sprint(c.epoch) }
func (c *modelClient) renewClient() {
	c.ids++
	c.id = fmt.Sprintf("%s-%d", c.id[:1], c.ids)
	c.drop() // it joins again
}

func (c *modelClient) startAlarm(_ time.Duration, fire func()) *alarm {
	life := c.life
	c.alarms = append(c.alarms, func() {
		if life == c.life {
			fire()
		}
	})
	return &alarm{}
}

func (c *modelClient) sendMutation(raw []byte, onReply func(*protocol.Outcome, *reply)) bool {
	if !c.live {
		return false
	}
	var m protocol.Mutation
	if err := json.Unmarshal(raw, &m); err != nil {
		c.t.Fatal(err)
	}
	key := fmt.Sprint(m.Client, " ", m.N)
	if before, ok := c.bytes[key]; ok && before != string(raw) {
		c.t.Fatalf("%s was sent as %s and as %s", key, before, raw)
	}
	c.bytes[key] = string(raw)
	c.up = append(c.up, modelPush{raw, onReply})
	return true
}

func (c *modelClient) drop() {
	c.live = false
	c.life++
	c.up, c.down, c.alarms = nil, nil, nil
	c.store.onDown()
}

// join is the catch-up, as one frame: the records that changed, and synced.
func (c *modelClient) join() {
	c.drop()
	resumed := c.epoch == c.server.epoch && c.offset <= uint64(len(c.server.log))
	page := recordsPage{collection: "notes", reset: !resumed || !c.store.collections["notes"].base.loaded, offset: uint64(len(c.server.log))}
	for _, id := range slices.Sorted(maps.Keys(c.server.records)) {
		if r := c.server.records[id]; page.reset && r.Deleted == "" || !page.reset && r.Version > c.offset {
			page.records = append(page.records, r)
		}
	}
	synced := &protocol.Synced{Epoch: fmt.Sprint(c.server.epoch), Offset: page.offset, Outcomes: []protocol.Outcome{}}
	if row := c.server.rows[c.id]; row != nil {
		synced.Last = row.last
		for _, n := range slices.Sorted(maps.Keys(row.outcomes)) {
			synced.Outcomes = append(synced.Outcomes, row.outcomes[n])
		}
	}
	c.live = true
	epoch := c.server.epoch
	c.down = append(c.down, func() {
		c.store.onRecords(page)
		c.epoch, c.offset = epoch, page.offset
		c.store.onSynced(synced)
	})
}

// world is a server and its clients.
type modelWorld struct {
	server  *modelServer
	clients []*modelClient
}

func (w *modelWorld) push(c *modelClient) {
	if len(c.up) == 0 {
		return
	}
	p := c.up[0]
	c.up = c.up[1:]
	var m protocol.Mutation
	if err := json.Unmarshal(p.raw, &m); err != nil {
		c.t.Fatal(err)
	}
	o, refused, change := w.server.mutate(&m)
	if change != nil {
		for _, other := range w.clients {
			if other.live && (change.Status == protocol.StatusApplied || other.id == change.Client) {
				other.down = append(other.down, func() {
					other.offset = change.Offset
					other.store.onChange(change)
				})
			}
		}
	}
	if c.live {
		c.down = append(c.down, func() { p.onReply(o, refused) })
	}
}

func (c *modelClient) pull() {
	if len(c.down) == 0 {
		return
	}
	f := c.down[0]
	c.down = c.down[1:]
	f()
}

func (c *modelClient) pass() {
	due := c.alarms
	c.alarms = nil
	for _, fire := range due {
		fire()
	}
}

// shown is what a program sees, without what only the server knows.
func (c *modelClient) shown() map[string]string {
	out := map[string]string{}
	for id, r := range c.store.collections["notes"].view.shown {
		out[id] = string(mustMarshal(r.Values))
	}
	return out
}

// settleDown lets everybody come back, and everything arrive.
func (w *modelWorld) settleDown(t *testing.T) {
	w.server.busy = 0
	for range 1000 {
		quiet := true
		for _, c := range w.clients {
			if !c.live {
				c.join()
			}
			for len(c.up)+len(c.down)+len(c.alarms) > 0 {
				quiet = false
				w.push(c)
				c.pull()
				c.pass()
			}
			quiet = quiet && c.store.outbox.size() == 0
		}
		if quiet {
			return
		}
	}
	for _, c := range w.clients {
		t.Logf("%s: live %v, %d pending, %+v", c.id, c.live, c.store.outbox.size(), c.store.sender)
	}
	t.Fatal("it never comes to rest")
}

func newModelWorld(t *testing.T, people int) *modelWorld {
	w := &modelWorld{server: &modelServer{now: 1_764_000_000_000}}
	w.server.reset()
	for i := range people {
		c := &modelClient{t: t, server: w.server, id: string(rune('a' + i)), bytes: map[string]string{}}
		c.store = newRecordStore("room", c)
		c.store.keep("notes")
		w.clients = append(w.clients, c)
	}
	return w
}

func (c *modelClient) write(t *testing.T, chance *rand.Rand, n int) {
	op := pick(chance, protocol.OpPut, protocol.OpPut, protocol.OpPatch, protocol.OpPatch, protocol.OpPatch, protocol.OpPatch, protocol.OpPatch, protocol.OpPatch, protocol.OpDelete, protocol.OpRestore)
	id := pick(chance, "r1", "r2")
	var values any
	if op != protocol.OpDelete {
		all := map[string]any{}
		if chance.IntN(2) == 0 {
			all["content"] = n
		}
		if chance.IntN(2) == 0 {
			all["tags"] = pick(chance, Elements{Add: []string{"x"}}, Elements{Remove: []string{"x"}, Add: []string{"y"}})
		}
		if chance.IntN(2) == 0 {
			all["votes"] = Increment(1)
		}
		values = all
	}
	e, err := c.store.write("notes", op, id, fmt.Sprintf("%s-%d", c.id[:1], n), values, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.made = append(c.made, e)
}

func pick[T any](chance *rand.Rand, from ...T) T { return from[chance.IntN(len(from))] }

// weighted picks a word by the number behind it.
func weighted(chance *rand.Rand, weights string) string {
	var words []string
	list := strings.Fields(weights)
	for i := 0; i < len(list); i += 2 {
		n, err := strconv.Atoi(list[i+1])
		if err != nil {
			panic(err)
		}
		words = append(words, slices.Repeat(list[i:i+1], n)...)
	}
	return pick(chance, words...)
}

// seeds runs a schedule for each of many seeds, and names the one that fails.
func seeds(t *testing.T, act func(t *testing.T, chance *rand.Rand)) {
	for seed := range uint64(600) {
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { act(t, rand.New(rand.NewPCG(seed, 0))) }) {
			return
		}
	}
}

func TestModel(t *testing.T) {
	t.Run("[R4][R5][R6][M1] any schedule of edits, drops and refusals converges, and no write is lost or doubled", func(t *testing.T) {
		seeds(t, func(t *testing.T, chance *rand.Rand) {
			w := newModelWorld(t, 3)
			lostLog, at := false, map[*modelClient]uint64{}
			for n := range 1 + chance.IntN(120) {
				c := w.clients[chance.IntN(len(w.clients))]
				switch weighted(chance, "write 6 push 8 pull 16 drop 1 join 3 time 2 busy 1 forget 1 lose 1") {
				case "write":
					c.write(t, chance, n)
				case "push":
					w.push(c)
				case "pull":
					c.pull()
				case "drop":
					c.drop()
				case "join":
					c.join()
				case "time":
					w.server.now += int64(chance.IntN(5001))
					c.pass()
				case "busy":
					w.server.busy = 1 + chance.IntN(3)
				case "forget": // client rows age while their client is away
					if !c.live {
						delete(w.server.rows, c.id)
						lostLog = true // what was sent and not heard of may be done again
					}
				case "lose":
					if chance.IntN(10) == 0 {
						w.server.reset()
						lostLog = true
						for _, other := range w.clients {
							other.drop()
						}
					}
				}
				if c.offset < at[c] && !lostLog {
					t.Fatalf("%s went back from %d to %d", c.id, at[c], c.offset)
				}
				at[c] = c.offset
			}
			w.settleDown(t)
			for _, c := range w.clients {
				for id, rec := range w.server.records {
					got := c.store.collections["notes"].view.shown[id]
					if (got == nil) != (rec.Deleted != "") {
						t.Fatalf("%s shows %s: %v; deleted: %q", c.id, id, got != nil, rec.Deleted)
					}
					if got != nil && string(mustMarshal(got)) != string(mustMarshal(recordOf(rec, 0))) {
						t.Fatalf("%s shows %s\nthe server has %s", c.id, mustMarshal(got), mustMarshal(recordOf(rec, 0)))
					}
				}
				for _, e := range c.made {
					if e.outcome.Status == "" {
						t.Fatalf("%s: write %s has no outcome", c.id, e.write.ID)
					}
					if n := w.server.applied[e.write.ID]; !lostLog && (n > 1 || (e.outcome.Status == Applied) != (n == 1)) {
						t.Fatalf("%s: write %s is %s, and was applied %d times", c.id, e.write.ID, e.outcome.Status, n)
					}
				}
			}
		})
	})
	t.Run("[R6] a frame that only confirms an own write changes nothing of what is shown", func(t *testing.T) {
		seeds(t, func(t *testing.T, chance *rand.Rand) {
			w := newModelWorld(t, 1) // alone: every frame is about an own write
			c := w.clients[0]
			w.settleDown(t)
			for n := range 1 + chance.IntN(60) {
				what := weighted(chance, "write 5 push 5 pull 8 drop 1 join 3 time 2 busy 1")
				before := c.shown()
				switch what {
				case "write":
					c.write(t, chance, n)
					continue
				case "push":
					w.push(c)
				case "pull":
					c.pull()
				case "drop":
					c.drop()
				case "join":
					c.join()
				case "time":
					c.pass()
				case "busy":
					w.server.busy = 1
				}
				if after := c.shown(); !maps.Equal(before, after) {
					t.Fatalf("%s: shown before %v, after %v", what, before, after)
				}
			}
		})
	})
}
