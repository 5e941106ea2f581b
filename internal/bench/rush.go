package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Rush is the load of Rooms twice against one server: alone, and while newcomers come,
// all at once, as after a restart or when a talk begins. Each connects, authenticates,
// joins a channel of the newcomers' own, and stays. A server that takes people in before
// it does anything else lets the rooms wait for as long.
//
// The newcomers are in a process of their own, which runs when the generator does not
// want its CPU: thousands who connect where it is measured would make pushes late.
// The window begins with them, and does not end before the last of them is in.
type Rush struct {
	Rooms                   // what is measured
	Newcomers int           // who come
	GiveUp    time.Duration // how long one of them waits to be in; 0 means 10 seconds, which is the most
}

// besideRush is the second phase of Rush.
const besideRush = "beside a rush"

func (r Rush) name() string { return "rush" }

func (r Rush) describe() string {
	return fmt.Sprintf("%s; then again, while %d newcomers connect, authenticate and join, all at once, channels of %d",
		r.Rooms.describe(), r.Newcomers, company)
}

func (r Rush) validate() error {
	return errors.Join(r.Rooms.validate(), hold(
		condition{r.Newcomers >= 1, "at least one newcomer is needed"},
		condition{r.GiveUp >= 0 && r.GiveUp <= dialTimeout, fmt.Sprintf("a newcomer waits for %s at most", dialTimeout)},
	))
}

func (r Rush) run(ctx context.Context, s site) ([]Figures, error) {
	return inPhases(ctx, s, []string{alone, besideRush}, r.phase)
}

// phase measures the rooms once.
func (r Rush) phase(ctx context.Context, s site, phase string) (Figures, error) {
	var seen rushReport
	figures, err := crowded(ctx, s, r.crowd(), func(l *load, m *meter) error {
		drive := func() error { return l.drive(ctx, r.schedule(), r.Warmup, r.Duration, m) }
		if phase == alone {
			return drive()
		}
		rush, err := openRush(ctx, s, r)
		if err != nil {
			return fmt.Errorf("prepare the rush: %w", err)
		}
		l.beside = rush
		err = drive()
		l.settle(ctx, s.patience) // before they leave, all at once as well
		var ended error
		seen, ended = rush.close(ctx)
		return errors.Join(err, ended)
	})
	if err != nil {
		return Figures{}, err
	}
	f := figures[0]
	f.Phase = phase
	if phase == besideRush {
		seen.addTo(&f)
	}
	return f, nil
}

// rushReport is what the newcomers' process says in the end.
type rushReport struct {
	RushFigures
	Faults     int64 // refusals, and connections lost
	FirstFault string
}

func (r rushReport) addTo(f *Figures) {
	f.Rush = &r.RushFigures
	f.Errors += r.Faults
	if f.FirstError == "" {
		f.FirstError = r.FirstFault
	}
	if f.Server != nil {
		f.Server.BytesPerConn = 0 // the newcomers had their part of it
	}
}

// A rush are newcomers as the generator sees them: a process that is told when they
// are to come and when to leave. For one goroutine.
type rush struct {
	*child
	said chan string // its lines; closed when there are no more
	done bool        // nobody is on the way any more
}

// openRush makes everything that is the newcomers' own work beforehand. close must be
// called.
func openRush(ctx context.Context, s site, r Rush) (*rush, error) {
	if s.executable == "" {
		return nil, errors.New("there is no executable to start")
	}
	o, err := r.orders(s)
	if err != nil {
		return nil, err
	}
	k, out, err := launch(command{
		path: s.executable, args: []string{"bench", "newcomers"}, name: "newcomers", told: true,
		idle:   s.pinned, // on CPUs that are everybody's it would be below everybody
		stderr: s.log,
	})
	if err != nil {
		return nil, err
	}
	rush := &rush{child: k, said: make(chan string, rushLines)}
	k.work.Go(func() { rush.listen(out) })
	if err = json.NewEncoder(k.in).Encode(o); err == nil {
		_, err = rush.hear(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, rush.leave(), rush.stop())
	}
	return rush, nil
}

// orders say who is to come. Tokens are somebody else's work, and the newcomers are
// users that the rooms do not have.
func (r Rush) orders(s site) (orders, error) {
	o := orders{
		Subject: speaks(s.subject), Mode: r.Mode, Run: s.run + "-rush", First: r.Rooms.Rooms,
		Addresses: make([]string, r.Newcomers), GiveUp: r.GiveUp,
	}
	if o.GiveUp == 0 {
		o.GiveUp = dialTimeout
	}
	for i := range o.Addresses {
		address, err := s.subject.address(o.seat(i))
		if err != nil {
			return orders{}, err
		}
		o.Addresses[i] = address
	}
	return o, nil
}

// listen takes in the lines of the process, and then lets it print what it likes.
func (r *rush) listen(out *os.File) {
	defer out.Close()
	defer close(r.said)
	lines := bufio.NewScanner(out)
	for range rushLines {
		if !lines.Scan() {
			return
		}
		r.said <- lines.Text()
	}
	_, _ = io.Copy(io.Discard, out)
}

// hear waits for the next line.
func (r *rush) hear(ctx context.Context) (string, error) {
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case line, ok := <-r.said:
		if !ok {
			return "", errors.New("the newcomers' process ended by itself; see its messages above")
		}
		return line, nil
	case <-ctx.Done():
		return "", ctx.Err()
	case <-timeout.C:
		return "", fmt.Errorf("the newcomers' process said nothing for %s", startTimeout)
	}
}

// begin lets the newcomers come. It implements companion, as over does.
func (r *rush) begin() error {
	if _, err := r.in.Write([]byte("come\n")); err != nil {
		return fmt.Errorf("tell the newcomers to come: %w", err)
	}
	return nil
}

// over says whether nobody is on the way any more.
func (r *rush) over() bool {
	if !r.done {
		select {
		case <-r.said:
			r.done = true
		default:
		}
	}
	return r.done
}

// close lets the newcomers leave, and says what came of them.
func (r *rush) close(ctx context.Context) (seen rushReport, err error) {
	if !r.over() {
		return seen, errors.Join(errors.New("the rush was broken off"), r.leave(), r.stop())
	}
	if err = r.leave(); err != nil {
		return seen, errors.Join(err, r.stop())
	}
	line, err := r.hear(ctx)
	if err == nil {
		err = json.Unmarshal([]byte(line), &seen)
	}
	return seen, errors.Join(err, r.end())
}

// leave ends what the process is told, which is when the newcomers leave.
func (r *rush) leave() error {
	if err := r.in.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("tell the newcomers to leave: %w", err)
	}
	return nil
}
