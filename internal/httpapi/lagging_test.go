package httpapi

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/chorale-rt/chorale/internal/collection"
	"github.com/chorale-rt/chorale/internal/engine"
)

// laggard is a node of which an append has got into the log without its answer
// coming back. It has not heard of that itself until somebody asks for the head,
// or writes.
type laggard struct {
	engine.Engine

	mu     sync.Mutex // guards the following
	lose   bool       // the next answer
	before map[string]engine.Value
}

func (l *laggard) Append(ctx context.Context, channel string, w engine.Write) (engine.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before = nil
	if l.lose {
		l.before = make(map[string]engine.Value)
		for _, p := range w.Puts {
			l.before[p.Key], _ = l.Engine.Get(ctx, channel, p.Key)
		}
	}
	r, err := l.Engine.Append(ctx, channel, w)
	if l.lose {
		l.lose = false
		return engine.Receipt{}, context.DeadlineExceeded
	}
	return r, err
}

func (l *laggard) Get(ctx context.Context, channel, key string) (engine.Value, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v, old := l.before[key]; old {
		return v, nil
	}
	return l.Engine.Get(ctx, channel, key)
}

func (l *laggard) Head(ctx context.Context, channel string) (engine.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before = nil
	return l.Engine.Head(ctx, channel)
}

func TestLaggingNode(t *testing.T) {
	t.Run("[A1] [E9] a write is not taken for the repeat of one whose answer was lost", func(t *testing.T) {
		r := newRig(t)
		behind := &laggard{Engine: r.engine}
		r.api.opts.Engine, r.api.opts.Collections = behind, collection.New(behind, collection.Options{})
		ada := r.token("ada", "member")
		r.do("PUT", notes+"/r1", ada, `{"content":"one"}`).want(201)
		behind.lose = true
		r.do("PATCH", notes+"/r1", ada, `{"content":"two"}`).problem(503, "storage_unavailable")
		r.do("PATCH", notes+"/r1", ada, `{"content":"three"}`).want(200)
		if got := r.do("GET", notes+"/r1", ada, "").want(200); !strings.Contains(got.body, `"three"`) {
			t.Errorf("the record is %s", got.body)
		}
	})
}
