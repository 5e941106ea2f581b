package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Reconnect restarts the server under everybody's feet: once in an orderly way
// (SIGTERM), once as a crash would (kill -9). Clients write and read before,
// meanwhile and after; what they are is the Go client, which waits, resumes, and
// sends again what was not acknowledged. What is measured is how long after the new process
// listens each of them is up to date again. Nothing may be lost or be there twice.
type Reconnect struct {
	Clients  int
	Channels int
	Rate     float64       // writes per second, all together
	Before   time.Duration // of traffic before the restart
	After    time.Duration // of traffic when all are back
}

// The phases of Reconnect.
const (
	terminated = "SIGTERM"
	killed     = "kill -9"
)

// comeBackWithin bounds how long a run waits for everybody to be back.
const comeBackWithin = time.Minute

func (r Reconnect) name() string { return "reconnect" }

func (r Reconnect) unit() string { return "clients" }

func (r Reconnect) describe() string {
	return fmt.Sprintf("%d clients in %d durable channels, %g writes/s; the server is ended and started again after %s; time from the new one listening until a client is up to date", r.Clients, r.Channels, r.Rate, r.Before)
}

func (r Reconnect) gathering() gathering {
	return gathering{channels: r.Channels, members: r.Clients / max(r.Channels, 1), writers: 1, durable: true, textSize: 100}
}

func (r Reconnect) validate() error {
	return errors.Join(r.gathering().validate(), hold(
		condition{r.Channels < 1 || r.Clients%r.Channels == 0, "the clients must be a multiple of the channels"},
		condition{r.Rate > 0, "the rate must be above 0"},
		condition{r.Before > 0 && r.After > 0, "there must be traffic before and after"},
	))
}

func (r Reconnect) run(ctx context.Context, s site) ([]Figures, error) {
	if s.own == nil {
		return nil, errors.New("the server is ended and started again, so it must be one of this command's: leave its address out")
	}
	var out []Figures
	for _, phase := range []string{terminated, killed} {
		at := s
		at.run += "-" + phase[:1]
		figures, err := r.phase(ctx, at, phase)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", phase, err)
		}
		out = append(out, figures)
	}
	return out, nil
}

// phase is one restart.
func (r Reconnect) phase(ctx context.Context, s site, phase string) (Figures, error) {
	g, err := gather(ctx, s, r.gathering())
	if g != nil {
		defer g.disperse()
	}
	if err != nil {
		return Figures{}, err
	}
	writing, done := context.WithCancel(ctx)
	var writers sync.WaitGroup
	defer writers.Wait()
	defer done()
	writers.Go(func() { g.write(writing, r.Rate) })
	pause(ctx, r.Before)

	m, err := newMeter(0, len(g.followers))
	if err != nil {
		return Figures{}, err
	}
	if err := m.begin(); err != nil {
		return Figures{}, err
	}
	seen := g.visits()
	signalled := time.Now()
	end := s.own.stop
	if phase == killed {
		end = s.own.kill
	}
	if err := errors.Join(end(), s.own.start(ctx)); err != nil {
		return Figures{}, err
	}
	listening := g.now()
	down := time.Since(signalled)
	if err := until(ctx, comeBackWithin, "everybody to come back", func() bool { return g.backSince(seen) || !g.verdict.clean() }); err != nil {
		return Figures{}, err
	}
	if err := m.end(); err != nil {
		return Figures{}, err
	}
	var took Histogram
	for _, f := range g.followers {
		took.Record(time.Duration(max(f.backAt.Load()-listening, int64(time.Microsecond))))
	}
	pause(ctx, r.After)
	done()
	writers.Wait()
	if err := g.conclude(ctx, s.patience); err != nil {
		return Figures{}, err
	}
	f := Figures{Phase: phase}
	m.report(&f, int64(len(g.followers)))
	f.setLatency(&took)
	g.report(&f)
	f.Followed.DownUs = micros(down)
	if f.Followed.Resyncs > 0 {
		g.verdict.found(failed, "%d clients could not resume: %v", f.Followed.Resyncs, g.whyNot())
		g.verdict.report(&f)
	}
	return f, nil
}

// visits are how often each follower was up to date so far.
func (g *group) visits() []int64 {
	out := make([]int64, len(g.followers))
	for i, f := range g.followers {
		out[i] = f.visits.Load()
	}
	return out
}

// backSince says whether everybody is up to date once more than seen.
func (g *group) backSince(seen []int64) bool {
	for i, f := range g.followers {
		if f.visits.Load() <= seen[i] {
			return false
		}
	}
	return true
}
