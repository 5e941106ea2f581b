package natsengine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// nodes is which other nodes live: those of which there was a sign lately.
type nodes struct {
	mu   sync.Mutex
	seen map[string]time.Time // of the last sign of life
	// news is what this node says with its next sign: of channels that it wrote to
	// last and that have become quiet, and of leases that have changed.
	news map[string]news
}

// newsMax bounds what one sign of life says. What is too much is found by who
// checks.
const newsMax = 4096

func (n *nodes) init() { n.seen, n.news = make(map[string]time.Time), make(map[string]news) }

func (n *nodes) lives(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, ok := n.seen[id]
	return ok
}

// living returns the ids of the nodes that live.
func (n *nodes) living() map[string]bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make(map[string]bool, len(n.seen))
	for id := range n.seen {
		out[id] = true
	}
	return out
}

// sign notes that a node lives, and says whether that is new.
func (n *nodes) sign(id string) (fresh bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, known := n.seen[id]
	n.seen[id] = time.Now()
	return !known
}

// renew counts all nodes as seen now: nobody could be heard for a while.
func (n *nodes) renew() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id := range n.seen {
		n.seen[id] = time.Now()
	}
}

func (n *nodes) remove(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.seen, id)
}

// silent returns the nodes of which there was no sign for that long.
func (n *nodes) silent(timeout time.Duration) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for id, at := range n.seen {
		if time.Since(at) > timeout {
			out = append(out, id)
		}
	}
	return out
}

// first says whether an id is the lowest of all that live.
func (n *nodes) first(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for other := range n.seen {
		if other < id {
			return false
		}
	}
	return true
}

// saying takes what the next sign of life says.
func (n *nodes) saying() []news {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := slices.Collect(maps.Values(n.news))
	clear(n.news)
	return out
}

// say adds how far this node is in a channel.
func (n *nodes) say(w news) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, has := n.news[w.channel]; has || len(n.news) < newsMax {
		n.news[w.channel] = w
	}
}

// meetFor is how long a node that has found another waits for more of them.
const meetFor = 50 * time.Millisecond

// meet says that this node is there, and waits a moment for the others to
// answer, so that the first channel knows whom to ask.
func (e *Engine) meet(ctx context.Context) error {
	n := &notice{kind: noticeBeat, node: e.id, reply: true}
	asking, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	_, err := e.store.nc.RequestWithContext(asking, e.store.subjects.nodes(), n.encode())
	if err == nil {
		e.pauseIn(ctx, meetFor)
	}
	return ctx.Err()
}

// beatUntilStopped gives signs of life and looks for those of others.
func (e *Engine) beatUntilStopped() {
	t := time.NewTicker(e.options.NodeTimeout / 5)
	defer t.Stop()
	for {
		select {
		case <-e.stop.Done():
			return
		case <-t.C:
		}
		if !e.store.nc.IsConnected() {
			e.nodes.renew() // nobody can be heard
			continue
		}
		for _, said := range pack(e.nodes.saying(), e.store.pieceSize(), news.size) {
			e.tellAll(&notice{kind: noticeBeat, news: said})
		}
		if e.deaf.Swap(false) {
			e.tellAll(&notice{kind: noticeAsk})
		}
		for _, id := range e.nodes.silent(e.options.NodeTimeout) {
			e.options.Logger.Warn("a node is gone; its leases end", "node", id)
			e.bury(id)
		}
	}
}

// bury ends what a node that is gone has left.
func (e *Engine) bury(id string) {
	e.nodes.remove(id)
	e.eachLocked(func(c *channel) {
		c.forgetNode(id)
		c.handOut()
	})
}

// eachLocked calls f with every channel that is in memory and loaded, its shard
// locked. f may unlock it for a while.
func (e *Engine) eachLocked(f func(*channel)) {
	for i := range e.shards {
		s := &e.shards[i]
		s.mu.Lock()
		all := make([]*channel, 0, len(s.channels))
		for _, c := range s.channels {
			all = append(all, c)
		}
		for _, c := range all {
			if !c.gone && c.loading == nil {
				f(c)
			}
		}
		s.mu.Unlock()
	}
}

// probeUntilStopped looks for the leaders of partitions in trouble. Nobody else waits
// for them: signs of life have to be on time just then.
func (e *Engine) probeUntilStopped() {
	for e.pause(e.options.NodeTimeout / 5) {
		if e.store.nc.IsConnected() {
			e.probe()
		}
	}
}

// probe asks the partitions that took no writes whether they have a leader again.
func (e *Engine) probe() {
	for p := range e.store.parts {
		if e.store.parts[p].trouble.Load() == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(e.stop, tryFor)
		msg := nats.NewMsg(e.store.subjects.log(p, escape("\x00probe")))
		msg.Header.Set(headerExpected, "1") // it never is, so nothing is stored; but who says so is a leader
		if _, err := e.store.publish(ctx, p, msg); errors.Is(err, errMoved) {
			e.store.worked(p)
		}
		cancel()
	}
}

// toldBy takes what nodes tell each other.
func (e *Engine) toldBy(msg *nats.Msg) {
	n, err := decodeNotice(msg.Data)
	if err != nil {
		e.options.Logger.Warn("notice of a node cannot be read", "cause", err)
		return
	}
	if n.node == e.id {
		return
	}
	if n.kind == noticeBye {
		e.options.Logger.Info("a node has left; its leases end", "node", n.node)
		e.bury(n.node)
		return
	}
	if e.nodes.sign(n.node) {
		e.greet(n)
	}
	switch n.kind {
	case noticeBeat:
		if n.reply {
			e.tellNode(n.node, &notice{kind: noticeBeat})
			if msg.Reply != "" {
				e.publish(msg.Reply, &notice{kind: noticeBeat, node: e.id})
			}
		}
		for _, w := range n.news {
			e.toldNews(n.node, w)
		}
	case noticeAsk:
		e.tellLeases(n)
	case noticeLeases, noticeSome:
		e.toldLeases(n)
	case noticeTold:
		e.toldAll(n)
	}
}

// greet asks a node that is new to this one for all leases that it has.
func (e *Engine) greet(n *notice) {
	e.options.Logger.Info("a node is there", "node", n.node)
	e.tellNode(n.node, &notice{kind: noticeAsk})
}

// toldNews compares how far another node is in a channel with what this one has
// of it.
func (e *Engine) toldNews(node string, w news) {
	name, err := unescape(w.channel)
	if err != nil {
		return
	}
	s := e.shardOf(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[name]
	if c == nil || c.loading != nil {
		return
	}
	if w.seq > c.seq {
		c.ahead = max(c.ahead, w.seq)
		e.repairLocked(c)
	}
	if w.number > c.leases.have[node] {
		e.askNode(node, c)
	}
}

// tellLeases answers who asks for this node's leases: in one channel, or in all
// that have some.
func (e *Engine) tellLeases(n *notice) {
	if n.channel == "" {
		all := &notice{kind: noticeTold, number: e.number.Load()}
		e.eachLocked(func(c *channel) {
			if c.leases.number > 0 {
				e.tellLeasesOf(c, n.node)
			}
		})
		e.tellNode(n.node, all)
		return
	}
	name, err := unescape(n.channel)
	if err != nil {
		return
	}
	s := e.shardOf(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.channels[name]; c != nil && c.loading == nil {
		e.tellLeasesOf(c, n.node)
		return
	}
	e.tellNode(n.node, &notice{kind: noticeLeases, channel: n.channel, number: e.number.Load()}) // there are none
}

func (e *Engine) tellLeasesOf(c *channel, node string) {
	for _, told := range c.ownLeases() {
		e.tellNode(node, told)
	}
}

// toldAll asks a node again for the channels in which this one shows leases of it, and
// of which it has said nothing in an answer about all: they have left its memory with the
// last lease, or what it said got lost.
func (e *Engine) toldAll(n *notice) {
	e.eachLocked(func(c *channel) {
		l := &c.leases
		if l.have[n.node] >= n.number {
			return
		}
		for _, owner := range l.node {
			if owner == n.node {
				e.askNode(n.node, c)
				return
			}
		}
	})
}

// toldLeases takes over what a node says of its leases in a channel.
func (e *Engine) toldLeases(n *notice) {
	name, err := unescape(n.channel)
	if err != nil {
		return
	}
	s := e.shardOf(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[name]
	if c == nil || c.loading != nil {
		return
	}
	if e.takeLeases(c, n) {
		c.answered(n.node)
	}
	c.handOut()
}

// disconnected is called when the connection is lost.
func (e *Engine) disconnected() {
	if e.ready.Load() {
		e.nodes.renew()
	}
}

// reconnected catches up with what happened meanwhile, in all channels, and
// tells what others have missed.
func (e *Engine) reconnected() {
	if !e.ready.Load() {
		return
	}
	e.nodes.renew()
	e.tellAll(&notice{kind: noticeBeat, reply: true})
	e.tellAll(&notice{kind: noticeAsk})
	e.eachLocked(func(c *channel) {
		if c.leases.number > 0 {
			for _, told := range c.ownLeases() {
				e.tell(c.part, told)
			}
		}
		e.lookAgainLocked(c)
	})
}

// waitFor waits until done is closed, or for a while.
func (e *Engine) waitFor(done <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	case <-e.stop.Done():
	}
}
