package sim

import (
	"fmt"
	"hash/fnv"
)

// did notes what happens, for the trace and the digest.
func (w *World) did(what string, who int, detail string) {
	if w.options.Trace != nil {
		_, _ = fmt.Fprintf(w.options.Trace, "%d %s %d %s\n", w.steps, what, who, detail) // the run is what counts
	}
	w.trace.add(w.steps, what, who, detail)
}

// trace keeps the newest steps, and a digest of all.
type trace struct {
	ring   [64]traced
	next   int
	digest uint64
}

type traced struct {
	step   int
	what   string
	who    int
	detail string
}

func (t *trace) add(step int, what string, who int, detail string) {
	t.ring[t.next%len(t.ring)] = traced{step, what, who, detail}
	t.next++
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d %d %s %d %s", t.digest, step, what, who, detail) // a hash does not fail
	t.digest = h.Sum64()
}

func (t *trace) lines() (out []string) {
	for i := max(0, t.next-len(t.ring)); i < t.next; i++ {
		e := t.ring[i%len(t.ring)]
		out = append(out, fmt.Sprintf("step %d: %s %d %.200s", e.step, e.what, e.who, e.detail))
	}
	return out
}
