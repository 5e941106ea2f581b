package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// Names of subjects in reports.
const (
	choraleName = "chorale"
	floorName   = "floor"
	memoryName  = "chorale in memory"
)

// A Report is what Run found.
type Report struct {
	Title      string    `json:"title,omitempty"` // of the section of a page that it belongs to
	Label      string    `json:"label,omitempty"` // what it is there, beside others of the same title
	Scenario   string    `json:"scenario"`
	Parameters string    `json:"parameters"`
	Unit       string    `json:"unit"` // what an operation is, in the plural
	Command    string    `json:"command,omitempty"`
	Machine    string    `json:"machine"`
	Pinning    string    `json:"pinning"`
	Time       time.Time `json:"time"`
	Columns    []*Column `json:"columns"`
}

// A Column is one subject in one phase of the scenario.
type Column struct {
	Subject string    `json:"subject"` // "chorale", "floor" or a peer
	Phase   string    `json:"phase,omitempty"`
	Runs    []Figures `json:"runs"`
	Median  Figures   `json:"median"` // faults are summed
}

func newReport(o Options, s Scenario) *Report {
	return &Report{
		Title: o.Title, Label: o.Label, Scenario: s.name(), Parameters: s.describe(), Unit: s.unit(),
		Command: o.Command, Machine: machineName(), Pinning: "none", Time: time.Now().UTC().Truncate(time.Second),
	}
}

// add adds one run of one subject.
func (r *Report) add(subject string, f Figures) {
	c := r.column(subject, f.Phase)
	if c == nil {
		c = &Column{Subject: subject, Phase: f.Phase}
		r.Columns = append(r.Columns, c)
	}
	c.Runs = append(c.Runs, f)
	c.Median = median(c.Runs)
}

func (r *Report) column(subject, phase string) *Column {
	for _, c := range r.Columns {
		if c.Subject == subject && c.Phase == phase {
			return c
		}
	}
	return nil
}

// Err says what must not be: pushes that were refused, lost or delivered out of
// order. Figures of such a run are not worth reading.
func (r *Report) Err() error {
	for _, c := range r.Columns {
		if m := c.Median; m.Errors+m.Lost+m.Duplicated+m.OutOfOrder > 0 {
			err := fmt.Errorf("bench %s: %s: %d errors, %d lost, %d duplicated, %d out of order", r.Scenario, c.title(), m.Errors, m.Lost, m.Duplicated, m.OutOfOrder)
			if m.FirstError != "" {
				err = fmt.Errorf("%w; the first error: %s", err, m.FirstError)
			}
			return err
		}
	}
	return nil
}

// WriteJSON writes everything, runs included.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// WriteTable writes the medians for people: a line per figure, a column per
// subject and phase, and a ratio where there are two columns to compare.
func (r *Report) WriteTable(w io.Writer) error {
	fmt.Fprintf(w, "%s: %s\n%s; pinning: %s\n%s\n\n", r.Scenario, r.Parameters, r.Machine, r.Pinning, r.basis())
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	lines := r.lines()
	width := 0
	for _, l := range lines {
		width = max(width, utf8.RuneCountInString(l.label))
	}
	titles := []string{""}
	for _, c := range r.Columns {
		titles = append(titles, c.title())
	}
	pairs := r.pairs()
	for _, p := range pairs {
		titles = append(titles, strings.TrimSpace("ratio "+p.of.Phase))
	}
	writeRow(t, titles)
	for _, l := range lines {
		if !slices.ContainsFunc(r.Columns, func(c *Column) bool { _, ok := l.value(c.Median); return ok }) {
			continue
		}
		row := []string{l.label + strings.Repeat(" ", width-utf8.RuneCountInString(l.label))} // the only column aligned left
		for _, c := range r.Columns {
			row = append(row, l.cell(c.Median))
		}
		for _, p := range pairs {
			row = append(row, l.ratio(p.of.Median, p.to.Median))
		}
		writeRow(t, row)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	for _, c := range r.Columns {
		if busy := c.Median.generatorPercent(); busy > busyPercent {
			fmt.Fprintf(w, "\n%s: the generator was busy for %.0f %% of the time; its own limit is part of these figures\n", c.title(), busy)
		}
	}
	return nil
}

// busyPercent of one core is where a generator begins to measure itself.
const busyPercent = 85

func (r *Report) basis() string {
	if n := len(r.Columns[0].Runs); n > 1 {
		return fmt.Sprintf("medians of %d runs", n)
	}
	return "one run"
}

func (c *Column) title() string { return strings.TrimSpace(c.Subject + " " + c.Phase) }

// A pair are two columns whose ratio says something: the server to the floor, and
// what it is beside a flood, a hall or a rush to what it is alone.
type pair struct{ of, to *Column }

func (r *Report) pairs() []pair {
	var out []pair
	for _, c := range r.Columns {
		if c.Subject != choraleName {
			continue
		}
		if f := r.column(floorName, c.Phase); f != nil {
			out = append(out, pair{c, f})
		}
		if quiet := r.column(choraleName, alone); quiet != nil && c.Phase != alone {
			out = append(out, pair{c, quiet})
		}
	}
	return out
}

// writeRow writes one line of the table; a tabwriter keeps errors for Flush.
func writeRow(w io.Writer, cells []string) {
	fmt.Fprintln(w, strings.Join(cells, "\t")+"\t")
}

// A line is one figure of the table.
type line struct {
	label   string
	value   func(Figures) (float64, bool) // false: not known
	format  func(float64) string
	compare bool // its ratio says something
}

func (l line) cell(f Figures) string {
	v, ok := l.value(f)
	if !ok {
		return "–"
	}
	return l.format(v)
}

func (l line) ratio(of, to Figures) string {
	a, ok1 := l.value(of)
	b, ok2 := l.value(to)
	if !l.compare || !ok1 || !ok2 || b == 0 {
		return ""
	}
	return strconv.FormatFloat(a/b, 'f', 2, 64)
}

// searched names what Figures.Highest is.
func (r *Report) searched() string {
	if r.Scenario == (UsersMax{}).name() {
		return "users"
	}
	return "highest rate, pushes per second"
}

func (r *Report) lines() []line {
	known := func(get func(Figures) float64) func(Figures) (float64, bool) {
		return func(f Figures) (float64, bool) { return get(f), true }
	}
	// Where a figure has no meaning it is 0.
	measured := func(get func(Figures) float64) func(Figures) (float64, bool) {
		return func(f Figures) (float64, bool) { return get(f), get(f) != 0 }
	}
	server := func(get func(ServerFigures) float64) func(Figures) (float64, bool) {
		return func(f Figures) (float64, bool) {
			if f.Server == nil {
				return 0, false
			}
			return get(*f.Server), get(*f.Server) != 0
		}
	}
	followed := func(get func(FollowedFigures) float64) func(Figures) (float64, bool) {
		return func(f Figures) (float64, bool) {
			if f.Followed == nil {
				return 0, false
			}
			return get(*f.Followed), true
		}
	}
	rush := func(get func(RushFigures) float64) func(Figures) (float64, bool) {
		return func(f Figures) (float64, bool) {
			if f.Rush == nil {
				return 0, false
			}
			return get(*f.Rush), true
		}
	}
	return []line{
		{"p50", known(func(f Figures) float64 { return f.P50Us }), duration, true},
		{"p90", known(func(f Figures) float64 { return f.P90Us }), duration, true},
		{"p99", known(func(f Figures) float64 { return f.P99Us }), duration, true},
		{"max", known(func(f Figures) float64 { return f.MaxUs }), duration, false},
		{r.Unit, known(func(f Figures) float64 { return float64(f.Operations) }), whole, false},
		{r.Unit + " per second", known(func(f Figures) float64 { return f.PerSecond }), whole, r.Scenario == "fanout-max" || r.Scenario == "rooms-max"},
		{r.searched(), measured(func(f Figures) float64 { return f.Highest }), whole, true},
		{"server CPU s per million " + r.Unit, server(func(s ServerFigures) float64 { return s.CPUSecondsPerMillion }), tenth, true},
		{cpuShare, server(func(s ServerFigures) float64 { return s.CPUPercent }), tenth, false},
		{"… ready and waiting for a CPU, %", server(func(s ServerFigures) float64 { return s.WaitPercent }), tenth, false},
		{"server KiB per connection, idle", server(func(s ServerFigures) float64 { return max(s.IdleBytesPerConn, 0) / 1024 }), tenth, false},
		{"… after the traffic", server(func(s ServerFigures) float64 { return max(s.BytesPerConn, 0) / 1024 }), tenth, false},
		{"server MiB resident", server(func(s ServerFigures) float64 { return s.ResidentBytes / (1 << 20) }), tenth, false},
		{"generator CPU, % of one core", known(func(f Figures) float64 { return f.GeneratorCPUPercent }), tenth, false},
		{"… ready and waiting for a CPU, %", known(func(f Figures) float64 { return f.GeneratorWaitPercent }), tenth, false},
		{"pushes late, p99", measured(func(f Figures) float64 { return f.LateP99Us }), duration, false},
		{"the flood's pushes per second", measured(func(f Figures) float64 { return f.FloodPerSecond }), whole, false},
		{"the hall's deliveries per second", measured(func(f Figures) float64 { return f.HallPerSecond }), whole, false},
		{"newcomers", rush(func(r RushFigures) float64 { return float64(r.Newcomers) }), whole, false},
		{"until the last newcomer was in", rush(func(r RushFigures) float64 { return r.LastUs }), duration, true},
		{"until a newcomer was in, p50", rush(func(r RushFigures) float64 { return r.P50Us }), duration, true},
		{"until a newcomer was in, p99", rush(func(r RushFigures) float64 { return r.P99Us }), duration, true},
		{"until the last connect had begun", rush(func(r RushFigures) float64 { return r.BegunUs }), duration, false},
		{"newcomers refused", rush(func(r RushFigures) float64 { return float64(r.Refused) }), whole, false},
		{"newcomers who gave up", rush(func(r RushFigures) float64 { return float64(r.GaveUp) }), whole, false},
		{"newcomers' CPU, % of one core", rush(func(r RushFigures) float64 { return r.CPUPercent }), tenth, false},
		{"… ready and waiting for a CPU, %", rush(func(r RushFigures) float64 { return r.WaitPercent }), tenth, false},
		{"server away", measured(func(f Figures) float64 {
			if f.Followed == nil {
				return 0
			}
			return f.Followed.DownUs
		}), duration, false},
		{"writes acknowledged", followed(func(f FollowedFigures) float64 { return float64(f.Acknowledged) }), whole, false},
		{"… longest pause", followed(func(f FollowedFigures) float64 { return f.PauseUs }), duration, false},
		{"… refused for the moment", followed(func(f FollowedFigures) float64 { return float64(f.Retried) }), whole, false},
		{"deliveries", followed(func(f FollowedFigures) float64 { return float64(f.Deliveries) }), whole, false},
		{"reconnects", followed(func(f FollowedFigures) float64 { return float64(f.Reconnects) }), whole, false},
		{"… resumed", followed(func(f FollowedFigures) float64 { return float64(f.Resumed) }), whole, false},
		{"… resynced", followed(func(f FollowedFigures) float64 { return float64(f.Resyncs) }), whole, false},
		{"errors", known(func(f Figures) float64 { return float64(f.Errors) }), whole, false},
		{"lost", known(func(f Figures) float64 { return float64(f.Lost) }), whole, false},
		{"duplicated", func(f Figures) (float64, bool) { return float64(f.Duplicated), f.Followed != nil }, whole, false},
		{"out of order", known(func(f Figures) float64 { return float64(f.OutOfOrder) }), whole, false},
	}
}

// duration formats microseconds in the unit that people would say them in.
func duration(us float64) string {
	switch {
	case us >= 1e6:
		return fmt.Sprintf("%.2f s", us/1e6)
	case us >= 1e4:
		return fmt.Sprintf("%.1f ms", us/1e3)
	case us >= 1e3:
		return fmt.Sprintf("%.2f ms", us/1e3)
	}
	return fmt.Sprintf("%.0f µs", us)
}

func tenth(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

// whole formats a count with its thousands apart.
func whole(v float64) string {
	s := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
