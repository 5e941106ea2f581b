package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Hall is the load of Rooms twice against one server: alone, and beside a hall, one
// channel in which few talk to thousands. A server that writes a message to all of them
// before it does anything else lets the rooms wait for as long. The hall's listeners are
// counted and not measured.
type Hall struct {
	Rooms             // what is measured
	Listeners int     // in the hall, who receive each push
	Speakers  int     // of the hall, who push in turn
	Talk      float64 // pushes per second in the hall, evenly spaced, all speakers together
}

// besideHall is the second phase of Hall.
const besideHall = "beside a hall"

func (h Hall) name() string { return "hall" }

func (h Hall) describe() string {
	return fmt.Sprintf("%s; then again, beside a channel of %d to whom %g messages/s are said (%s)",
		h.Rooms.describe(), h.Listeners, h.Talk, writers(h.Speakers))
}

func (h Hall) crowd() crowd { return h.Rooms.crowd() }

func (h Hall) hall() crowd {
	return crowd{mode: Broadcast, channels: 1, members: h.Listeners + 1, writers: max(1, h.Speakers), textSize: h.TextSize}
}

func (h Hall) validate() error {
	return errors.Join(h.Rooms.validate(), validatePaced(h.hall(), h.Talk, h.Warmup, h.Duration))
}

func (h Hall) run(ctx context.Context, s site) ([]Figures, error) {
	return inPhases(ctx, s, []string{alone, besideHall}, h.phase)
}

// phase measures the rooms once.
func (h Hall) phase(ctx context.Context, s site, phase string) (Figures, error) {
	var perSecond float64
	figures, err := crowded(ctx, s, h.crowd(), func(l *load, m *meter) error {
		drive := func() error { return l.drive(ctx, h.schedule(), h.Warmup, h.Duration, m) }
		if phase == alone {
			return drive()
		}
		hall, err := openHall(ctx, s, h)
		if err != nil {
			return fmt.Errorf("open the hall: %w", err)
		}
		err = drive()
		var ended error
		perSecond, ended = hall.close(ctx, s.patience)
		return errors.Join(err, ended)
	})
	if err != nil {
		return Figures{}, err
	}
	figures[0].Phase, figures[0].HallPerSecond = phase, perSecond
	return figures[0], nil
}

// A hall is a load in which somebody talks until it is closed.
type hall struct {
	*load
	began time.Time
	leave context.CancelFunc
	ended chan error // holds the one of who talks
}

func openHall(ctx context.Context, s site, h Hall) (*hall, error) {
	l, err := openLoad(ctx, s.subject, h.hall(), s.run+"-hall")
	if err != nil {
		l.close()
		return nil, err
	}
	ctx, leave := context.WithCancel(ctx)
	hall := &hall{load: l, began: time.Now(), leave: leave, ended: make(chan error, 1)}
	go func() { hall.ended <- l.talk(ctx, Steady(h.Talk, max(1, h.Speakers))) }()
	return hall, nil
}

// talk makes the pushes of a schedule when they are due, until ctx ends.
func (l *load) talk(ctx context.Context, s *Schedule) error {
	begin := l.now()
	for {
		a := s.Next()
		due := begin + int64(a.At)
		if l.loop.pacer.sleep(ctx, time.Duration(due-l.now())) != nil || ctx.Err() != nil {
			return nil
		}
		if err := l.pushNow(l.writer(a.Writer), due, unixMillis()); err != nil {
			return err
		}
	}
}

// close ends the hall and says how many messages a second its listeners were handed,
// all together. What one of them was not handed in time is an error.
func (h *hall) close(ctx context.Context, patience time.Duration) (perSecond float64, err error) {
	h.leave()
	err = <-h.ended
	took := time.Since(h.began).Seconds()
	h.settle(ctx, patience)
	h.load.close()
	if faults, first := h.faults.get(); faults > 0 {
		err = errors.Join(err, fmt.Errorf("%d faults in the hall: %s", faults, first))
	}
	if lost, disordered := h.lost(), h.disordered.Load(); lost+disordered > 0 {
		err = errors.Join(err, fmt.Errorf("%d deliveries of the hall were lost, %d out of order", lost, disordered))
	}
	return float64(h.received.Load()) / took, err
}
