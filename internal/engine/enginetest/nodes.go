package enginetest

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/chorale-rt/chorale/internal/engine"
)

// Nodes adds tests of several nodes over one log. open returns their engines,
// two at least, which the suite closes.
func Nodes(open func(t *testing.T) []engine.Engine) Option {
	return func(s *suite) { s.nodes = open }
}

// startNodes opens nodes that are closed when the test ends.
func (s *suite) startNodes(t *testing.T) []engine.Engine {
	t.Helper()
	nodes := s.nodes(t)
	for _, e := range nodes {
		closeAtEnd(t, func() engine.Engine { return e })
	}
	return nodes
}

func (s *suite) testNodes(t *testing.T, d engine.Durability) {
	t.Run("[E9] what one node has acknowledged is in every node's head, and can be read there", func(t *testing.T) {
		nodes := s.startNodes(t)
		for _, e := range nodes { // so that each has something to lag behind with
			watch(t, e, room)
		}
		for n := range 20 {
			writer := nodes[n%len(nodes)]
			at := mustAppend(t, writer, room, keyed(d, "k", fmt.Sprint(n))).Position
			for i, e := range nodes {
				if head := mustHead(t, e, room); head != at {
					t.Fatalf("node %d: head %v after %v was acknowledged", i, head, at)
				}
				if v := mustGet(t, e, "k"); v.Version != at.Offset {
					t.Fatalf("node %d: version %d after head %v", i, v.Version, at)
				}
				if entries := mustRead(t, e, room, engine.Position{Epoch: at.Epoch, Offset: at.Offset - 1}); len(entries) != 1 {
					t.Fatalf("node %d: %d entries after %d", i, len(entries), at.Offset-1)
				}
			}
		}
	})

	t.Run("[E7] [E9] a position that another node has given is not ahead of the log", func(t *testing.T) {
		nodes := s.startNodes(t)
		watch(t, nodes[1], room)
		at := mustAppend(t, nodes[0], room, message(d, "a")).Position
		want(t, "after it", len(mustRead(t, nodes[1], room, at)), 0)
	})

	t.Run("[E1] [E2] the watchers of every node see what all nodes write in one order", func(t *testing.T) {
		const each = 40
		nodes := s.startNodes(t)
		var recorders []*recorder
		for _, e := range nodes {
			recorders = append(recorders, watch(t, e, room))
		}
		together(2*len(nodes), func(i int) {
			for n := range each {
				w := message(d, fmt.Sprintf("%d/%d", i, n))
				w.Retention = many
				if _, err := nodes[i%len(nodes)].Append(t.Context(), room, w); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
		for i, r := range recorders {
			head := mustHead(t, nodes[i], room).Offset
			r.wait(t, 2*len(nodes)*each)
			r.check(t, head)
			want(t, "order", data(r.entries()), data(recorders[0].entries()))
			checkEachInOrder(t, data(r.entries()), 2*len(nodes))
		}
	})

	t.Run("[E4] the same id on two nodes is appended once", func(t *testing.T) {
		nodes := s.startNodes(t)
		first := mustAppend(t, nodes[0], room, identified(message(d, "a"), "id-1"))
		again := mustAppend(t, nodes[1], room, identified(message(d, "a"), "id-1"))
		want(t, "repeat", again, engine.Receipt{Position: first.Position, Duplicate: true})
		want(t, "log", data(mustRead(t, nodes[1], room, engine.Position{})), []string{"a"})
	})

	t.Run("[E5] of many on all nodes that name the same version exactly one wins", func(t *testing.T) {
		nodes := s.startNodes(t)
		version := uint64(0)
		for range 15 {
			var won atomic.Uint64
			var wins atomic.Int32
			together(2*len(nodes), func(i int) {
				r, err := nodes[i%len(nodes)].Append(t.Context(), room, provided(keyed(d, "k", "x"), "k", version))
				switch {
				case err == nil:
					won.Store(r.Position.Offset)
					wins.Add(1)
				case !isConflict(err):
					t.Errorf("append: %v", err)
				}
			})
			want(t, "wins", wins.Load(), 1)
			version = won.Load()
		}
	})
}

func (s *suite) testLeasesOfNodes(t *testing.T) {
	t.Run("the leases of a node are seen on the others, and vanish with it", func(t *testing.T) {
		nodes := s.startNodes(t)
		r := watch(t, nodes[1], room)
		must(t, nodes[0].PutLease(t.Context(), room, "h", []byte("1")))
		mustHead(t, nodes[1], room)
		want(t, "value", string(r.wait(t, 1)[0].Lease.Value), "1")
		must(t, nodes[0].Close())
		mustHead(t, nodes[1], room)
		want(t, "gone", r.wait(t, 2)[1].Lease.Value == nil, true)
		leases, err := nodes[1].Leases(t.Context(), room)
		must(t, err)
		want(t, "leases", len(leases), 0)
	})
}
