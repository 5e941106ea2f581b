package embedded

import (
	"sync"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// opKind says what an op does when its turn comes.
type opKind uint8

const (
	opAppend   opKind = iota // publish a sequenced entry
	opAnswer                 // nothing but to answer after what was sequenced before it
	opSend                   // deliver an entry without logging it
	opLease                  // put or drop a lease
	opMaintain               // delete on disk what memory has dropped already
)

// op is one thing in a shard's queue. The goroutine that made it waits for done
// unless it leads or has abandoned it; only who leads touches it in between.
type op struct {
	kind           opKind
	ch             *channel
	chanlog.Append // Record of opAppend and opSend, Puts of opAppend, Receipt, Err
	lease          engine.LeaseEvent
	durability     engine.Durability
	persist        bool               // part of a commit
	size           int                // bytes it is counted with while it waits
	watchers       []*chanlog.Watcher // who were handed it, and are to be flushed

	finished  bool          // its outcome stands; written by the leader, read by the leader or after done
	abandoned bool          // nobody waits; guarded by the shard's lock
	lead      bool          // whoever waits is to lead; written before done is signalled
	done      chan struct{} // capacity 1; nil when nobody ever waits
}

// flush flushes those who were handed what the op did. Who waited for the op calls it,
// so that he is as slow as they are (E10).
func (o *op) flush() {
	for _, w := range o.watchers {
		w.Sink.Flush()
	}
}

// opPool saves an op and its channel per append. An op goes back only when
// nobody else can still signal it, so an abandoned one never does.
type opPool struct{ pool sync.Pool }

func (p *opPool) get() *op {
	if o, ok := p.pool.Get().(*op); ok {
		return o
	}
	return &op{done: make(chan struct{}, 1)}
}

func (p *opPool) put(o *op) {
	*o = op{done: o.done}
	p.pool.Put(o)
}
