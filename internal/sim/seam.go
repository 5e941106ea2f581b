package sim

import (
	"context"

	"github.com/chorale-rt/chorale/internal/engine"
)

// seam stands between a server and its engine. Calls may pause there, so that the
// world decides what happens between a question and its answer; and when the
// process dies nothing passes any more.
//
// What the hub calls while it holds a lock (Watch, Leases) does not pause.
type seam struct {
	engine.Engine
	world *World
	dead  bool
}

// pauses of a hundred calls.
const pauses = 20

// pause is one call that waits for the world.
type pause struct {
	what    string
	release chan struct{}
}

// pass pauses perhaps. The error says that the process has died or that nobody
// waits for the answer any more.
func (s *seam) pass(ctx context.Context, what string) error {
	if !s.dead && !s.world.quiet.Load() && s.world.rng.IntN(100) < pauses {
		p := &pause{what, make(chan struct{})}
		s.world.paused = append(s.world.paused, p)
		<-p.release
	}
	if s.dead {
		return engine.ErrClosed
	}
	return ctx.Err()
}

func (s *seam) Append(ctx context.Context, channel string, w engine.Write) (engine.Receipt, error) {
	if err := s.pass(ctx, "append"); err != nil {
		return engine.Receipt{}, err
	}
	r, err := s.Engine.Append(ctx, channel, w)
	if dead := s.pass(ctx, "appended"); dead != nil {
		return engine.Receipt{}, dead // it may be in the log
	}
	return r, err
}

func (s *seam) Read(ctx context.Context, channel string, after engine.Position, limit int) ([]engine.Entry, error) {
	if err := s.pass(ctx, "read"); err != nil {
		return nil, err
	}
	return s.Engine.Read(ctx, channel, after, limit)
}

func (s *seam) State(ctx context.Context, channel, prefix string, after uint64) (engine.Position, []engine.Value, error) {
	if err := s.pass(ctx, "state"); err != nil {
		return engine.Position{}, nil, err
	}
	return s.Engine.State(ctx, channel, prefix, after)
}

func (s *seam) Get(ctx context.Context, channel, key string) (engine.Value, error) {
	if err := s.pass(ctx, "get"); err != nil {
		return engine.Value{}, err
	}
	return s.Engine.Get(ctx, channel, key)
}

func (s *seam) Head(ctx context.Context, channel string) (engine.Position, error) {
	if err := s.pass(ctx, "head"); err != nil {
		return engine.Position{}, err
	}
	return s.Engine.Head(ctx, channel)
}

func (s *seam) Send(ctx context.Context, channel string, e engine.Entry) error {
	if err := s.pass(ctx, "send"); err != nil {
		return err
	}
	return s.Engine.Send(ctx, channel, e)
}

func (s *seam) PutLease(ctx context.Context, channel, holder string, value []byte) error {
	if err := s.pass(ctx, "put lease"); err != nil {
		return err
	}
	return s.Engine.PutLease(ctx, channel, holder, value)
}

func (s *seam) DropLease(ctx context.Context, channel, holder string) error {
	if err := s.pass(ctx, "drop lease"); err != nil {
		return err
	}
	return s.Engine.DropLease(ctx, channel, holder)
}

func (s *seam) Watch(ctx context.Context, channel string, sink engine.Sink) (engine.Position, func(), error) {
	if s.dead {
		return engine.Position{}, nil, engine.ErrClosed
	}
	return s.Engine.Watch(ctx, channel, sink)
}

func (s *seam) Leases(ctx context.Context, channel string) ([]engine.Lease, error) {
	if s.dead {
		return nil, engine.ErrClosed
	}
	return s.Engine.Leases(ctx, channel)
}

// tap tells the truth of what an engine has appended.
type tap struct {
	engine.Engine
	truth *truth
	lazy  bool // see Faults.LazyDisk
}

func (t tap) Append(ctx context.Context, channel string, w engine.Write) (engine.Receipt, error) {
	asked := w
	if t.lazy {
		asked.Durability = min(w.Durability, engine.OS)
	}
	r, err := t.Engine.Append(ctx, channel, asked)
	if err == nil && !r.Duplicate {
		t.truth.note(channel, r.Position, w)
	}
	return r, err
}
