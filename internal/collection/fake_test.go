package collection

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/chorale-rt/chorale/internal/engine"
)

// fakeEngine is an engine.Engine of one channel that can be told to fail.
// Methods that a Store does not call are those of the nil Engine.
type fakeEngine struct {
	engine.Engine

	mu      sync.Mutex // guards the following
	entries []engine.Entry
	values  map[string]engine.Value
	// before runs at the start of each append, without the lock.
	before func(w engine.Write) error
}

func newFake() *fakeEngine { return &fakeEngine{values: map[string]engine.Value{}} }

func (f *fakeEngine) Append(_ context.Context, _ string, w engine.Write) (engine.Receipt, error) {
	if f.before != nil {
		if err := f.before(w); err != nil {
			return engine.Receipt{}, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.entries[max(0, len(f.entries)-256):] {
		if w.ID != "" && e.ID == w.ID {
			return engine.Receipt{Position: engine.Position{Epoch: "e", Offset: e.Offset}, Duplicate: true}, nil
		}
	}
	for _, c := range w.If {
		if f.values[c.Key].Version != c.Version {
			current := f.values[c.Key]
			current.Key = c.Key
			return engine.Receipt{}, &engine.ConflictError{Current: current}
		}
	}
	offset := uint64(len(f.entries) + 1)
	f.entries = append(f.entries, engine.Entry{Offset: offset, Prev: offset - 1, Kind: w.Kind, ID: w.ID, Origin: w.Origin, Data: w.Data})
	for _, p := range w.Puts {
		f.values[p.Key] = engine.Value{Key: p.Key, Version: offset, Tombstone: p.Tombstone, Data: p.Data}
	}
	return engine.Receipt{Position: engine.Position{Epoch: "e", Offset: offset}}, nil
}

func (f *fakeEngine) Get(ctx context.Context, _ string, key string) (engine.Value, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.values[key], ctx.Err()
}

func (f *fakeEngine) Head(ctx context.Context, _ string) (engine.Position, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return engine.Position{Epoch: "e", Offset: uint64(len(f.entries))}, ctx.Err()
}

func (f *fakeEngine) State(_ context.Context, _ string, prefix string, after uint64) (engine.Position, []engine.Value, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []engine.Value
	for key, v := range f.values {
		if strings.HasPrefix(key, prefix) && v.Version > after && (after > 0 || !v.Tombstone) {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, func(a, b engine.Value) int { return cmp.Compare(a.Key, b.Key) })
	return engine.Position{Epoch: "e", Offset: uint64(len(f.entries))}, list, nil
}

func (f *fakeEngine) Read(context.Context, string, engine.Position, int) ([]engine.Entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.entries), nil
}

func (f *fakeEngine) Close() error { return nil }
