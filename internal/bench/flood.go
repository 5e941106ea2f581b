package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Flood is the load of Rooms twice against one server: alone, and beside one
// client that pushes broadcasts as fast as its socket takes them. What the others'
// latency is then shows what the server's limits are worth. The flood has a
// channel of its own: its messages are not delivered to anybody who is measured.
type Flood struct {
	Rooms // what the others do
}

// The phases of Flood.
const (
	alone   = "alone"
	flooded = "flooded"
)

func (f Flood) name() string { return "flood" }

func (f Flood) describe() string {
	return f.Rooms.describe() + "; then again, beside one client that pushes as fast as it can"
}

func (f Flood) run(ctx context.Context, s site) ([]Figures, error) {
	return inPhases(ctx, s, []string{alone, flooded}, f.phase)
}

// phase measures the others once.
func (f Flood) phase(ctx context.Context, s site, phase string) (Figures, error) {
	c := f.crowd()
	var perSecond float64
	figures, err := crowded(ctx, s, c, func(l *load, m *meter) error {
		drive := func() error {
			return l.drive(ctx, Poisson(f.Seed, f.Rate, c.channels*c.writers), f.Warmup, f.Duration, m)
		}
		if phase == alone {
			return drive()
		}
		flood, err := startFlood(ctx, s, c)
		if err != nil {
			return fmt.Errorf("start the flood: %w", err)
		}
		err = drive()
		var ended error
		perSecond, ended = flood.stop()
		return errors.Join(err, ended)
	})
	if err != nil {
		return Figures{}, err
	}
	figures[0].Phase, figures[0].FloodPerSecond = phase, perSecond
	return figures[0], nil
}

// A flood is one client that pushes until it is stopped. It waits for nothing but
// its socket, and reads what it is told.
type flood struct {
	sock   *socket
	began  time.Time
	loops  sync.WaitGroup
	unhook func() bool // of the context

	pushes   atomic.Int64
	stopping atomic.Bool
	once     sync.Once
	ended    error // why it ended by itself; set once, read after loops
}

// floodBatch is how many pushes go into one write: a flood of single writes would
// measure the generator's system calls.
const floodBatch = 64

// startFlood joins a channel behind those of the crowd and begins.
func startFlood(ctx context.Context, s site, c crowd) (*flood, error) {
	seat := seat{mode: Broadcast, run: s.run, channel: c.channels, writes: true, textSize: c.textSize}
	address, err := s.subject.address(seat)
	if err != nil {
		return nil, err
	}
	sock, push, err := s.subject.join(ctx, address, seat)
	if err != nil {
		return nil, err
	}
	if err := sock.conn.SetDeadline(time.Time{}); err != nil { // joining had one
		sock.close()
		return nil, err
	}
	var batch []byte
	for range floodBatch {
		batch = append(batch, push.next(0, 0, 0)...)
	}
	f := &flood{sock: sock, began: time.Now()}
	f.unhook = context.AfterFunc(ctx, f.sock.hangUp)
	f.loops.Go(func() {
		for !f.stopping.Load() {
			if err := f.sock.write(batch); err != nil {
				f.end(err)
				return
			}
			f.pushes.Add(floodBatch)
		}
	})
	f.loops.Go(func() {
		for {
			if _, err := f.sock.read(); err != nil {
				f.end(err)
				return
			}
		}
	})
	return f, nil
}

// end notes why a loop ended, unless it was asked to.
func (f *flood) end(err error) {
	if !f.stopping.Load() {
		f.once.Do(func() { f.ended = fmt.Errorf("the flood ended by itself: %w", err) })
	}
}

// stop ends the flood and says how much of it the server's socket took. A flood
// that ended before is an error: it has not been one all the time.
func (f *flood) stop() (perSecond float64, err error) {
	f.stopping.Store(true)
	took := time.Since(f.began).Seconds()
	f.unhook()
	f.sock.hangUp()
	f.loops.Wait()
	return float64(f.pushes.Load()) / took, f.ended
}
