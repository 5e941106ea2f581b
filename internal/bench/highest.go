package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Bound is what a rate must meet to count as borne.
type Bound struct {
	P99      time.Duration // of the latency, from the instant at which a push was due
	From     float64       // pushes per second, or users, at which the search begins
	Most     float64       // … and ends, when even that is borne; 0 means 1,000,000, or the users whom the system lets connect
	Near     float64       // how near: the ratio of what is not borne to what is; 0 means 1.1
	Warmup   time.Duration // of each try
	Duration time.Duration // of each try, of what counts
}

// FanoutMax is the highest rate of Fanout that meets a bound.
type FanoutMax struct {
	Bound
	Mode        Mode
	Subscribers int
	Writers     int // as Fanout's
	TextSize    int
}

func (f FanoutMax) name() string { return "fanout-max" }

func (f FanoutMax) unit() string { return "deliveries" }

func (f FanoutMax) describe() string {
	return fmt.Sprintf("%s, %d subscribers, %s, text of %d bytes, %s", writers(f.Writers), f.Subscribers, f.Mode, f.TextSize, f.Bound)
}

func (f FanoutMax) at(rate float64) paced {
	return Fanout{Mode: f.Mode, Subscribers: f.Subscribers, Writers: f.Writers, Rate: rate, Warmup: f.Warmup, Duration: f.Duration, TextSize: f.TextSize}
}

func (f FanoutMax) validate() error { return f.Bound.validate(f.at) }

func (f FanoutMax) run(ctx context.Context, s site) ([]Figures, error) {
	return f.Bound.highest(ctx, s, f.at)
}

// RoomsMax is the highest rate of Rooms that meets a bound.
type RoomsMax struct {
	Bound
	Mode     Mode
	Rooms    int
	Members  int // per room
	TextSize int
	Seed     uint64
}

func (r RoomsMax) name() string { return "rooms-max" }

func (r RoomsMax) unit() string { return "deliveries" }

func (r RoomsMax) describe() string {
	return fmt.Sprintf("%d rooms × %d members, %s, text of %d bytes, at random, %s", r.Rooms, r.Members, r.Mode, r.TextSize, r.Bound)
}

func (r RoomsMax) at(rate float64) paced {
	return Rooms{
		Mode: r.Mode, Rooms: r.Rooms, Members: r.Members, Rate: rate,
		Warmup: r.Warmup, Duration: r.Duration, TextSize: r.TextSize, Seed: r.Seed,
	}
}

func (r RoomsMax) validate() error { return r.Bound.validate(r.at) }

func (r RoomsMax) run(ctx context.Context, s site) ([]Figures, error) {
	return r.Bound.highest(ctx, s, r.at)
}

// UsersMax is how many people can take notes at once: rooms of a few, in which
// everybody writes now and then.
type UsersMax struct {
	Bound
	Mode     Mode
	Members  int           // per room
	Every    time.Duration // between two writes of one of them, on average
	TextSize int
	Seed     uint64
}

func (u UsersMax) name() string { return "users" }

func (u UsersMax) unit() string { return "deliveries" }

func (u UsersMax) describe() string {
	text := fmt.Sprintf("rooms of %d, %s, everybody writes every %s, text of %d bytes, %s, up to %s users",
		u.Members, u.Mode, u.Every, u.TextSize, u.Bound, whole(u.bound().most()))
	if n, ok := descriptorLimit(); ok && u.Most == 0 {
		text += fmt.Sprintf(", as a process of this machine may have %s descriptors", whole(float64(n)))
	}
	return text
}

// spareDescriptors are for everything that is no member's connection: the log's
// files, and what the runtime has.
const spareDescriptors = 200

// bound ends the search where the machine does, unless it is said where: each user
// is a descriptor of the generator's and one of the server's.
func (u UsersMax) bound() Bound {
	b := u.Bound
	if n, ok := descriptorLimit(); ok && b.Most == 0 {
		b.Most = max(float64(n-spareDescriptors), b.From)
	}
	return b
}

func (u UsersMax) at(users float64) paced {
	return Rooms{
		Mode: u.Mode, Rooms: max(1, int(users)/max(1, u.Members)), Members: u.Members, Rate: users / u.Every.Seconds(),
		Warmup: u.Warmup, Duration: u.Duration, TextSize: u.TextSize, Seed: u.Seed,
	}
}

func (u UsersMax) validate() error {
	if err := hold(condition{u.Every > 0, "the time between two writes must be above 0"}); err != nil {
		return err
	}
	return u.bound().validate(u.at)
}

func (u UsersMax) run(ctx context.Context, s site) ([]Figures, error) {
	return u.bound().highest(ctx, s, u.at)
}

// A paced scenario makes pushes on a schedule.
type paced interface {
	Scenario
	crowd() crowd
	schedule() *Schedule
	window() (warmup, duration time.Duration)
}

// String says what a rate must meet.
func (b Bound) String() string {
	return fmt.Sprintf("the most with p99 below %s over %s", b.P99, b.Duration)
}

func (b Bound) most() float64 {
	if b.Most == 0 {
		return 1e6
	}
	return b.Most
}

func (b Bound) near() float64 {
	if b.Near == 0 {
		return 1.1
	}
	return b.Near
}

func (b Bound) validate(at func(rate float64) paced) error {
	if err := at(b.From).validate(); err != nil {
		return err
	}
	return hold(
		condition{b.P99 > 0, "the bound of p99 must be above 0"},
		condition{b.near() > 1, "the search cannot end: it must be near by more than 1"},
		condition{b.most() >= b.From, "the search begins beyond its end"},
	)
}

// tries is how often a rate that was not borne is tried: one pause of the machine
// is not the server's limit.
const tries = 2

// errTooLate is a try that was given up: pushes could not be made any more when
// they were due.
var errTooLate = errors.New("the server does not take pushes as they are due")

// highest finds the highest rate that meets the bound. Its figures are those of
// that rate; what happened beyond it is not held against the subject.
func (b Bound) highest(ctx context.Context, s site, at func(rate float64) paced) ([]Figures, error) {
	var best *Figures
	run := s.run
	c := climb{rate: b.From, most: b.most(), step: 2, near: b.near()}
	if s.hint > 0 {
		c.rate, c.step = s.hint, 1.2
	}
	for n := 0; !c.done(); {
		rate := c.rate
		borne := false
		for i := 0; i < tries && !borne; i++ {
			n++
			s.run = fmt.Sprintf("%s-%d", run, n)
			f, err := b.try(ctx, s, at(rate))
			if err != nil {
				return nil, fmt.Errorf("at %.0f: %w", rate, err)
			}
			if borne = f != nil; borne && (best == nil || best.Highest < rate) {
				best, f.Highest = f, rate
			}
		}
		c.tell(borne)
	}
	if best == nil {
		return nil, fmt.Errorf("no rate met the bound, %s", b)
	}
	best.AtLeast = c.broke == 0
	return []Figures{*best}, nil
}

// try measures one rate; nil figures: it was not borne.
func (b Bound) try(ctx context.Context, s site, p paced) (*Figures, error) {
	s.patience = min(s.patience, 2*time.Second) // who is overloaded will not make up for it
	figures, err := crowded(ctx, s, p.crowd(), func(l *load, m *meter) error {
		l.giveUp = 10 * b.P99
		warmup, duration := p.window()
		return l.drive(ctx, p.schedule(), warmup, duration, m)
	})
	if errors.Is(err, errTooLate) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f := figures[0]
	if f.Server != nil { // what one try adds to the memory after others says nothing
		f.Server.IdleBytesPerConn, f.Server.BytesPerConn = 0, 0
	}
	if f.P99Us >= micros(b.P99) || f.Errors+f.Lost+f.OutOfOrder > 0 || f.Operations == 0 {
		return nil, nil
	}
	return &f, nil
}
