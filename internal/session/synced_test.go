package session_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chorale-rt/chorale/internal/engine"
)

// between is an engine on which something happens before the records of one collection
// are read.
type between struct {
	engine.Engine
	prefix string
	before func() // once
}

func (b *between) State(ctx context.Context, channel, prefix string, after uint64) (engine.Position, []engine.Value, error) {
	if before := b.before; before != nil && strings.HasPrefix(prefix, b.prefix) {
		b.before = nil
		before()
	}
	return b.Engine.State(ctx, channel, prefix, after)
}

func TestSynced(t *testing.T) {
	t.Run("[R6] what was written while the collections were read is settled once: by synced, or by its change", func(t *testing.T) {
		w := newWorld(t)
		w.setRules("channels: [{match: 'interview:{id}', join: 'true', collections: {notes: {write: 'true'}, tasks: {write: 'true'}, votes: {write: 'true'}}}]")
		b := &between{Engine: w.engine.Engine, prefix: "r/tasks/"}
		w.engine.Engine = b
		old, again := w.connect("ada"), w.connect("ada")
		const config = `{"private":true,"presence":{"enabled":false},"chorale":{"v":1,"client":"a","collections":%s}}`
		old.join(interview, fmt.Sprintf(config, `["notes","tasks","votes"]`))
		old.synced()
		n := 0
		write := func(collection string) {
			n++
			m := mutation("a", n, "put", fmt.Sprintf("r%d", n), `,"fields":{"content":"x"}`)
			old.push("1", interview, "mutate", strings.Replace(m, `"collection":"notes"`, fmt.Sprintf(`"collection":%q`, collection), 1))
			old.want("change")
			old.ok()
		}
		write("notes")
		// The notes are read at 1 and the tasks at 4; votes are not asked for.
		b.before = func() {
			write("tasks")
			write("notes")
			write("votes")
		}
		again.join(interview, fmt.Sprintf(config, `["notes","tasks"]`))
		ids, _, synced := again.synced()
		if fmt.Sprint(ids) != "[r1 r2]" {
			t.Errorf("loaded %v", ids)
		}
		var settled []any
		for _, o := range synced["outcomes"].([]any) {
			settled = append(settled, o.(map[string]any)["n"])
		}
		if fmt.Sprint(synced["last"], settled) != "4 [1 2 4]" {
			t.Errorf("up to %v %v are settled", synced["last"], settled)
		}
		if change := again.want("change"); change["n"] != 3.0 {
			t.Errorf("got %v", change)
		}
		again.quiet()
	})
}
