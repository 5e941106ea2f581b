package bench

import (
	"cmp"
	"slices"
	"time"
)

// Figures are what one run measured of one subject. An operation is a delivery,
// or for Connect a connection that was opened, authenticated and joined.
type Figures struct {
	Phase string `json:"phase,omitempty"` // which part of a scenario that has several

	Operations int64   `json:"operations"` // within the measured window
	PerSecond  float64 `json:"perSecond"`

	P50Us float64 `json:"p50Us"`
	P90Us float64 `json:"p90Us"`
	P99Us float64 `json:"p99Us"`
	MaxUs float64 `json:"maxUs"`

	// Server is nil where the system does not tell, or the server is elsewhere.
	Server *ServerFigures `json:"server,omitempty"`

	// GeneratorCPUPercent is the generator's share of one core. Near 100 it has
	// measured itself.
	GeneratorCPUPercent float64 `json:"generatorCpuPercent"`
	// GeneratorWaitPercent is for how long its threads were ready and had to wait for
	// a CPU. A large figure here means that others were at work on the machine: the
	// generator has little to do at a time.
	GeneratorWaitPercent float64 `json:"generatorWaitPercent"`
	// LateP99Us is how long after they were due pushes were made: the part of the
	// latency that is the generator's own.
	LateP99Us float64 `json:"lateP99Us"`

	// Highest is what a search found: the pushes per second, or the users, up to which
	// its bound was met. 0 where nothing was searched for.
	Highest float64 `json:"highest,omitempty"`

	// AtLeast says that the search ended there: more was not tried.
	AtLeast bool `json:"atLeast,omitempty"`

	// FloodPerSecond is how many pushes of a flood the server's socket took; 0
	// where there was none.
	FloodPerSecond float64 `json:"floodPerSecond,omitempty"`
	// HallPerSecond is how many deliveries there were beside those that are
	// measured; 0 without a hall.
	HallPerSecond float64 `json:"hallPerSecond,omitempty"`

	// Rush is what came of newcomers beside those who are measured; nil where nobody came.
	Rush *RushFigures `json:"rush,omitempty"`

	// Followed is what clients who come back counted; nil where there are none.
	Followed *FollowedFigures `json:"followed,omitempty"`

	Errors     int64  `json:"errors"`
	FirstError string `json:"firstError,omitempty"`
	Lost       int64  `json:"lost"`
	Duplicated int64  `json:"duplicated"`
	OutOfOrder int64  `json:"outOfOrder"`
}

// FollowedFigures are what clients counted who lose their connections, come back
// and resume.
type FollowedFigures struct {
	Acknowledged int64 `json:"acknowledged"` // writes
	Deliveries   int64 `json:"deliveries"`   // of messages and changes, authors included
	Retried      int64 `json:"retried"`      // joins and writes that were refused for the moment
	Reconnects   int64 `json:"reconnects"`
	Resumed      int64 `json:"resumed"` // joins that went on from a position
	Resyncs      int64 `json:"resyncs"` // joins that were told that this is not possible

	PauseUs float64 `json:"pauseUs"`          // the longest in which no write to some channel was acknowledged
	DownUs  float64 `json:"downUs,omitempty"` // from the signal to a server until the next one listens
}

// RushFigures are what newcomers counted who came all at once.
type RushFigures struct {
	Newcomers int64 `json:"newcomers"` // who came
	Refused   int64 `json:"refused"`   // errors, too
	GaveUp    int64 `json:"gaveUp"`    // were not in when their patience was over

	// From the begin of a newcomer's connect to the answer to its join. Who gave up counts
	// with the time that all had from the begin of the rush; who was refused does not count.
	P50Us float64 `json:"p50Us"`
	P99Us float64 `json:"p99Us"`

	LastUs  float64 `json:"lastUs"`  // from the begin of the rush until the last one was in, but for those who gave up; 0: nobody was
	BegunUs float64 `json:"begunUs"` // … until the last connect was begun: what all at once means

	// Of the process in which they are, while the rush lasted. With the generator's
	// share near 100, it is how fast they can come that was measured.
	CPUPercent  float64 `json:"cpuPercent"`
	WaitPercent float64 `json:"waitPercent"`
}

// ServerFigures are what a server used.
type ServerFigures struct {
	CPUSecondsPerMillion float64 `json:"cpuSecondsPerMillion"` // operations
	CPUPercent           float64 `json:"cpuPercent"`           // of one core
	WaitPercent          float64 `json:"waitPercent"`          // threads that were ready and had to wait for a CPU
	// Resident bytes more than before anybody connected, idle and after the traffic.
	// 0 with fewer than 100 connections, between whom noise is divided.
	IdleBytesPerConn float64 `json:"idleBytesPerConn"`
	BytesPerConn     float64 `json:"bytesPerConn"`
	ResidentBytes    float64 `json:"residentBytes"` // all of it, after the traffic
}

// server are the figures of the server, all 0 when they are not known.
func (f Figures) server() ServerFigures {
	if f.Server == nil {
		return ServerFigures{}
	}
	return *f.Server
}

// generatorPercent is the share of one core that the generator had, newcomers included,
// who have the same core: theirs is of the time in which they came.
func (f Figures) generatorPercent() float64 {
	if f.Rush == nil {
		return f.GeneratorCPUPercent
	}
	return f.GeneratorCPUPercent + f.Rush.CPUPercent
}

// setLatency takes the quantiles of a histogram.
func (f *Figures) setLatency(h *Histogram) {
	f.P50Us = micros(h.Quantile(0.50))
	f.P90Us = micros(h.Quantile(0.90))
	f.P99Us = micros(h.Quantile(0.99))
	f.MaxUs = micros(h.Max())
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// median joins runs of one subject and phase: each figure by its own median,
// faults by their sum. runs must not be empty.
func median(runs []Figures) Figures {
	m := Figures{
		Phase:                runs[0].Phase,
		Operations:           medianOf(runs, func(f Figures) int64 { return f.Operations }),
		PerSecond:            medianOf(runs, func(f Figures) float64 { return f.PerSecond }),
		P50Us:                medianOf(runs, func(f Figures) float64 { return f.P50Us }),
		P90Us:                medianOf(runs, func(f Figures) float64 { return f.P90Us }),
		P99Us:                medianOf(runs, func(f Figures) float64 { return f.P99Us }),
		MaxUs:                medianOf(runs, func(f Figures) float64 { return f.MaxUs }),
		GeneratorCPUPercent:  medianOf(runs, func(f Figures) float64 { return f.GeneratorCPUPercent }),
		GeneratorWaitPercent: medianOf(runs, func(f Figures) float64 { return f.GeneratorWaitPercent }),
		LateP99Us:            medianOf(runs, func(f Figures) float64 { return f.LateP99Us }),
		Highest:              medianOf(runs, func(f Figures) float64 { return f.Highest }),
		FloodPerSecond:       medianOf(runs, func(f Figures) float64 { return f.FloodPerSecond }),
		HallPerSecond:        medianOf(runs, func(f Figures) float64 { return f.HallPerSecond }),
	}
	var servers []ServerFigures
	var followed []FollowedFigures
	var rushes []RushFigures
	for _, f := range runs {
		m.AtLeast = m.AtLeast || f.AtLeast
		m.Errors += f.Errors
		m.Lost += f.Lost
		m.Duplicated += f.Duplicated
		m.OutOfOrder += f.OutOfOrder
		if m.FirstError == "" {
			m.FirstError = f.FirstError
		}
		if f.Server != nil {
			servers = append(servers, *f.Server)
		}
		if f.Followed != nil {
			followed = append(followed, *f.Followed)
		}
		if f.Rush != nil {
			rushes = append(rushes, *f.Rush)
		}
	}
	if len(servers) > 0 {
		m.Server = &ServerFigures{
			CPUSecondsPerMillion: medianOf(servers, func(s ServerFigures) float64 { return s.CPUSecondsPerMillion }),
			CPUPercent:           medianOf(servers, func(s ServerFigures) float64 { return s.CPUPercent }),
			WaitPercent:          medianOf(servers, func(s ServerFigures) float64 { return s.WaitPercent }),
			IdleBytesPerConn:     medianOf(servers, func(s ServerFigures) float64 { return s.IdleBytesPerConn }),
			BytesPerConn:         medianOf(servers, func(s ServerFigures) float64 { return s.BytesPerConn }),
			ResidentBytes:        medianOf(servers, func(s ServerFigures) float64 { return s.ResidentBytes }),
		}
	}
	if len(followed) > 0 {
		m.Followed = &FollowedFigures{
			Acknowledged: medianOf(followed, func(f FollowedFigures) int64 { return f.Acknowledged }),
			Deliveries:   medianOf(followed, func(f FollowedFigures) int64 { return f.Deliveries }),
			Retried:      medianOf(followed, func(f FollowedFigures) int64 { return f.Retried }),
			Reconnects:   medianOf(followed, func(f FollowedFigures) int64 { return f.Reconnects }),
			Resumed:      medianOf(followed, func(f FollowedFigures) int64 { return f.Resumed }),
			Resyncs:      medianOf(followed, func(f FollowedFigures) int64 { return f.Resyncs }),
			PauseUs:      medianOf(followed, func(f FollowedFigures) float64 { return f.PauseUs }),
			DownUs:       medianOf(followed, func(f FollowedFigures) float64 { return f.DownUs }),
		}
	}
	if len(rushes) > 0 {
		m.Rush = &RushFigures{
			Newcomers:   medianOf(rushes, func(r RushFigures) int64 { return r.Newcomers }),
			P50Us:       medianOf(rushes, func(r RushFigures) float64 { return r.P50Us }),
			P99Us:       medianOf(rushes, func(r RushFigures) float64 { return r.P99Us }),
			LastUs:      medianOf(rushes, func(r RushFigures) float64 { return r.LastUs }),
			BegunUs:     medianOf(rushes, func(r RushFigures) float64 { return r.BegunUs }),
			CPUPercent:  medianOf(rushes, func(r RushFigures) float64 { return r.CPUPercent }),
			WaitPercent: medianOf(rushes, func(r RushFigures) float64 { return r.WaitPercent }),
		}
		for _, r := range rushes { // as faults are
			m.Rush.Refused += r.Refused
			m.Rush.GaveUp += r.GaveUp
		}
	}
	return m
}

// medianOf is the middle value; of an even number, the lower of the two: a figure
// that was measured, not one between.
func medianOf[R any, T cmp.Ordered](runs []R, of func(R) T) T {
	values := make([]T, len(runs))
	for i, r := range runs {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}
