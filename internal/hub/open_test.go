package hub_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/embedded"
	"github.com/chorale-rt/chorale/internal/hub"
	"github.com/chorale-rt/chorale/internal/metrics"
	"github.com/chorale-rt/chorale/protocol"
)

// away is an engine whose servers are away until it is told otherwise: to start a watch
// takes patience then, and fails.
type away struct {
	engine.Engine
	mu      sync.Mutex
	isBack  bool
	watches int
}

const patience = 12 * time.Second

func (e *away) Watch(ctx context.Context, channel string, sink engine.Sink) (engine.Position, func(), error) {
	e.mu.Lock()
	e.watches++
	isBack := e.isBack
	e.mu.Unlock()
	if isBack {
		return e.Engine.Watch(ctx, channel, sink)
	}
	select {
	case <-time.After(patience):
		return engine.Position{}, nil, engine.ErrUnavailable
	case <-ctx.Done():
		return engine.Position{}, nil, ctx.Err()
	}
}

func (e *away) comeBack() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.isBack = true
}

func TestOpening(t *testing.T) {
	// with plays with a hub over an engine that is away.
	with := func(t *testing.T, play func(t *testing.T, eng *away, joinAs func(ctx context.Context) error)) {
		synctest.Test(t, func(t *testing.T) {
			inner, err := embedded.Open(embedded.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = inner.Close() }()
			eng := &away{Engine: inner}
			h := hub.New(eng, metrics.New())
			play(t, eng, func(ctx context.Context) error {
				m, err := h.Join(ctx, room, &discard{}, hub.Options{Version: protocol.V2})
				if err == nil {
					m.Leave()
				}
				return err
			})
			if n := h.Channels(); n != 0 {
				t.Errorf("%d channels are left", n)
			}
		})
	}
	t.Run("all who join one channel share one attempt to watch it, and the next tries again", func(t *testing.T) {
		with(t, func(t *testing.T, eng *away, joinAs func(context.Context) error) {
			begin := time.Now()
			var joins sync.WaitGroup
			for range 5 {
				joins.Go(func() {
					if err := joinAs(t.Context()); !errors.Is(err, engine.ErrUnavailable) {
						t.Errorf("joined with %v", err)
					}
				})
			}
			joins.Wait()
			if took := time.Since(begin); took != patience || eng.watches != 1 {
				t.Errorf("told after %s and %d attempts", took, eng.watches)
			}
			eng.comeBack()
			if err := joinAs(t.Context()); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("who gives up does not wait for another's attempt", func(t *testing.T) {
		with(t, func(t *testing.T, _ *away, joinAs func(context.Context) error) {
			var joins sync.WaitGroup
			defer joins.Wait()
			joins.Go(func() { _ = joinAs(t.Context()) })
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			begin := time.Now()
			if err := joinAs(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
				t.Errorf("%v after %s", err, time.Since(begin))
			}
		})
	})
	t.Run("who made the attempt gives up alone", func(t *testing.T) {
		with(t, func(t *testing.T, eng *away, joinAs func(context.Context) error) {
			var joins sync.WaitGroup
			ctx, cancel := context.WithCancel(t.Context())
			joins.Go(func() {
				if err := joinAs(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("joined with %v", err)
				}
			})
			synctest.Wait()
			joins.Go(func() {
				if err := joinAs(t.Context()); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
			eng.comeBack()
			cancel()
			joins.Wait()
		})
	})
}
