package bench

import (
	"bytes"
	"fmt"
	"strings"
)

// A goal is a figure that Chorale is to reach, and how it is read off the reports.
type goal struct {
	what    string
	want    string
	measure func(e evidence) (measured, bool) // false: nobody measured it
	reached func(v float64) bool
	format  func(v float64) string
}

// measured is a figure, or what it is at least: the generator or the machine may
// have come to their end first.
type measured struct {
	value float64
	least bool
}

// goals are all of them. Their sections have the names that bench/run gives them,
// without the number.
var goals = []goal{
	{
		"Memory per connected, joined user, 10,000 of them, after traffic", "at most 5 KiB",
		own("idle", beating, func(f Figures) float64 { return f.server().BytesPerConn / 1024 }), atMost(5), unit("%.1f KiB"),
	},
	{
		"Connects with authentication and join per second", "at least 2 × Centrifugo",
		driven("connect", "256 at a time", "centrifugo", Figures.perSecond), atLeastOf(2), unit("%.1f ×"),
	},
	{
		"Ping-pong, p50", "at most 1.3 × floor",
		beside("latency", "", floorName, Figures.p50), atMost(1.3), unit("%.2f ×"),
	},
	{
		"Ping-pong, p50", "below Centrifugo and NATS",
		worst(beside("latency", "", "centrifugo", Figures.p50), beside("latency", "", "nats", Figures.p50)), below(1), unit("%.2f × the better one"),
	},
	{
		"Rooms, 500 × 4, 3,000 messages a second, p99", "at most 5 ms",
		own("rooms", "", Figures.p99), atMost(5000), duration,
	},
	{
		"…, CPU per delivery", "at most 1.25 × floor",
		beside("rooms", "", floorName, Figures.cpu), atMost(1.25), unit("%.2f ×"),
	},
	{
		"The same with notes as records, p99", "at most 5 ms",
		own("records", "", Figures.p99), atMost(5000), duration,
	},
	{
		"Fan-out to 1,000, paced, CPU per delivery", "at most 1.25 × floor",
		beside("fanout", "", floorName, Figures.cpu), atMost(1.25), unit("%.2f ×"),
	},
	{
		"Fan-out to 1,000, most deliveries a second with p99 below 30 ms", "at least 5 × Centrifugo",
		driven("fanout-max", "", "centrifugo", Figures.perSecond), atLeastOf(5), unit("%.1f ×"),
	},
	{
		"Rooms, most deliveries a second with p99 below 30 ms", "at least 5 × Centrifugo",
		driven("rooms-max", "", "centrifugo", Figures.perSecond), atLeastOf(5), unit("%.1f ×"),
	},
	{
		"…", "more than bare ws",
		driven("rooms-max", "", "ws", Figures.perSecond), above(1), unit("%.1f ×"),
	},
	{
		"Durable notes (os) instead of memory, CPU in rooms", "less than 15 % more",
		beside("durable", "", memoryName, Figures.cpu), below(1.15), more,
	},
	{
		"1,000 users taking notes, a write of each every 10 s", "below 5 % of one core",
		own("users-taking-notes", "", Figures.cpuPercent), below(5), unit("%.1f %%"),
	},
	{
		"10,000 connections that say nothing", "below 0.5 % of one core",
		own("idle", silent, Figures.cpuPercent), below(0.5), unit("%.2f %%"),
	},
	{
		"… but a heartbeat each every 15 s", "below 0.5 % of one core",
		own("idle", beating, Figures.cpuPercent), below(0.5), unit("%.2f %%"),
	},
	{
		"Restart under 1,000 clients, until the last one has resumed", "below 5 s",
		worst(own("reconnect-1000", terminated, Figures.longest), own("reconnect-1000", killed, Figures.longest)), below(5e6), duration,
	},
	{
		"… under 10,000 clients", "below 5 s",
		worst(own("reconnect-10000", terminated, Figures.longest), own("reconnect-10000", killed, Figures.longest)), below(5e6), duration,
	},
	{
		"CPU per delivery, from 100 subscribers to 10,000", "at most 15 % more",
		growth("subscribers", ""), atMost(1.15), more,
	},
	{
		"… more than the floor grows by", "at most 15 %",
		growth("subscribers", floorName), atMost(1.15), more,
	},
	{
		"CPU per delivery, from 1 channel to 100,000", "at most 15 % more",
		growth("channels", ""), atMost(1.15), more,
	},
	{
		"… more than the floor grows by with as many connections", "at most 15 %",
		growth("channels", floorName), atMost(1.15), more,
	},
	{
		"Latency instead of a database that is polled, p50, the worst of 10, 100 and 1,000 subscribers", "99 % less",
		worst(besideClassic("postgres-10"), besideClassic("postgres-100"), besideClassic("postgres-1000")), atMost(0.01), less,
	},
	{
		"Users at once instead of that, a write of each every 10 s", "100 × as many",
		driven("users-10s", "", "postgres-changes", Figures.highest), atLeastOf(100), unit("%.0f ×"),
	},
}

func (f Figures) perSecond() float64  { return f.PerSecond }
func (f Figures) p50() float64        { return f.P50Us }
func (f Figures) p99() float64        { return f.P99Us }
func (f Figures) longest() float64    { return f.MaxUs }
func (f Figures) highest() float64    { return f.Highest }
func (f Figures) cpu() float64        { return f.server().CPUSecondsPerMillion }
func (f Figures) cpuPercent() float64 { return f.server().CPUPercent }

func atMost(limit float64) func(float64) bool    { return func(v float64) bool { return v <= limit } }
func below(limit float64) func(float64) bool     { return func(v float64) bool { return v < limit } }
func atLeastOf(limit float64) func(float64) bool { return func(v float64) bool { return v >= limit } }
func above(limit float64) func(float64) bool     { return func(v float64) bool { return v > limit } }

func unit(format string) func(float64) string {
	return func(v float64) string { return fmt.Sprintf(format, v) }
}

// more and less say a ratio as a difference.
func more(v float64) string { return fmt.Sprintf("%+.0f %%", 100*(v-1)) }
func less(v float64) string { return fmt.Sprintf("%.1f %% less", 100*(1-v)) }

// evidence are the reports, by the name of their section without its number.
type evidence map[string]*Report

// find returns what a subject has reached. Of reports that should not be believed,
// and of figures that are 0 because nobody could tell, there is nothing.
func (e evidence) find(section, subject, phase string, get func(Figures) float64) (measured, bool) {
	r := e[section]
	if r == nil || r.Err() != nil {
		return measured{}, false
	}
	c := r.column(subject, phase)
	if c == nil || get(c.Median) <= 0 {
		return measured{}, false
	}
	return measured{get(c.Median), c.Median.AtLeast}, true
}

// own is a figure of Chorale's.
func own(section, phase string, get func(Figures) float64) func(evidence) (measured, bool) {
	return func(e evidence) (measured, bool) { return e.find(section, choraleName, phase, get) }
}

// beside is the ratio of Chorale's figure to another subject's.
func beside(section, phase, other string, get func(Figures) float64) func(evidence) (measured, bool) {
	return func(e evidence) (measured, bool) {
		ours, ok1 := e.find(section, choraleName, phase, get)
		theirs, ok2 := e.find(section, other, phase, get)
		if !ok1 || !ok2 {
			return measured{}, false
		}
		return measured{ours.value / theirs.value, ours.least}, true
	}
}

// driven is beside for how much a subject can do. Where the generator was at its own
// limit with Chorale, that is at least what was measured.
func driven(section, phase, other string, get func(Figures) float64) func(evidence) (measured, bool) {
	return func(e evidence) (measured, bool) {
		m, ok := beside(section, phase, other, get)(e)
		if ok && e[section].column(choraleName, phase).Median.GeneratorCPUPercent > busyPercent {
			m.least = true
		}
		return m, ok
	}
}

func besideClassic(section string) func(evidence) (measured, bool) {
	return beside(section, "", "postgres-changes", Figures.p50)
}

// growth is the most that a delivery of Chorale's costs in later phases of a section,
// as a ratio to the first; where there is a floor, of the ratios to it.
func growth(section, floor string) func(evidence) (measured, bool) {
	return func(e evidence) (high measured, ok bool) {
		first := 0.0
		for _, phase := range e[section].phases() {
			cost := own(section, phase, Figures.cpu)
			if floor != "" {
				cost = beside(section, phase, floor, Figures.cpu)
			}
			m, ok := cost(e)
			if !ok {
				return measured{}, false
			}
			if first == 0 {
				first = m.value
				continue
			}
			high.value = max(high.value, m.value/first)
		}
		return high, first > 0
	}
}

// phases are those in which Chorale was measured; nil has none.
func (r *Report) phases() (out []string) {
	if r == nil {
		return nil
	}
	for _, c := range r.Columns {
		if c.Subject == choraleName {
			out = append(out, c.Phase)
		}
	}
	return out
}

// worst is the highest of several, of which all must be there.
func worst(of ...func(evidence) (measured, bool)) func(evidence) (measured, bool) {
	return func(e evidence) (high measured, ok bool) {
		for _, one := range of {
			m, ok := one(e)
			if !ok {
				return measured{}, false
			}
			if m.value > high.value {
				high = m
			}
		}
		return high, true
	}
}

// outcome says what came of a figure.
func (g goal) outcome(m measured) string {
	switch {
	case g.reached(m.value):
		return "reached"
	case m.least:
		return "open"
	}
	return "**missed**"
}

// writeGoals writes the table of what was to be reached, and what was not measured
// with it, unless that is all of it.
func writeGoals(b *bytes.Buffer, e evidence) {
	var rows strings.Builder
	known, reached := 0, 0
	for _, g := range goals {
		m, ok := g.measure(e)
		if !ok {
			fmt.Fprintf(&rows, "| %s | %s | – | not measured |\n", g.what, g.want)
			continue
		}
		known++
		if g.reached(m.value) {
			reached++
		}
		fmt.Fprintf(&rows, "| %s | %s | %s | %s |\n", g.what, g.want, atLeast(m.least)+g.format(m.value), g.outcome(m))
	}
	if known == 0 {
		return
	}
	fmt.Fprintf(b, "## Goals\n\nSet before there was anything to measure. Reached: %d of %d. *Open*: the generator or the machine could not drive it further. The sections below say how each was measured, [performance.md](performance.md) what keeps the others from it.\n\n", reached, len(goals))
	fmt.Fprintf(b, "| | goal | measured | |\n|---|---|---|---|\n%s\n", rows.String())
}
