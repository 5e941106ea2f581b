package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// WritePage makes a page in Markdown, and an SVG for each of its sections, of the
// reports in a directory of JSON files, in the order of their names. The SVGs go
// into the directory. Reports with the same title share a section. It is an error
// when one of them should not be believed; the page is written all the same, and
// says so.
func WritePage(page, dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("bench report: there are no reports in %s", dir)
	}
	slices.Sort(files)
	var sections []*section
	known := evidence{}
	var unbelievable error
	for _, file := range files {
		r, err := readReport(file)
		if err != nil {
			return fmt.Errorf("bench report: %w", err)
		}
		if err := r.Err(); err != nil {
			unbelievable = err
		}
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		known[strings.TrimLeft(name, "0123456789-")] = r
		i := slices.IndexFunc(sections, func(s *section) bool { return s.title() == r.heading() })
		if i < 0 {
			i = len(sections)
			sections = append(sections, &section{name: name})
		}
		sections[i].reports = append(sections[i].reports, r)
	}
	for _, s := range sections {
		if err := os.WriteFile(filepath.Join(dir, s.name+".svg"), s.plot().svg(), 0o644); err != nil {
			return fmt.Errorf("bench report: %w", err)
		}
	}
	if err := os.WriteFile(page, pageOf(sections, known, filepath.Base(dir)), 0o644); err != nil {
		return fmt.Errorf("bench report: %w", err)
	}
	return unbelievable
}

func readReport(file string) (*Report, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := new(Report)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(r.Columns) == 0 {
		return nil, fmt.Errorf("%s: not a report of chorale bench", file)
	}
	return r, nil
}

// heading is what a report is about.
func (r *Report) heading() string {
	if r.Title != "" {
		return r.Title
	}
	return r.Scenario
}

// A section are the reports with one title.
type section struct {
	name    string // of its picture, without ending
	reports []*Report
}

func (s *section) title() string { return s.reports[0].heading() }

// scenario decides what is shown; reports of one section have the same.
func (s *section) scenario() string { return s.reports[0].Scenario }

// An entry is one row of a section: a subject in a phase, or under a label.
type entry struct {
	subject, of string
	report      *Report
	median      Figures
	busy        bool // the generator was
}

func (e entry) label() string { return strings.TrimSpace(e.subject + " " + e.of) }

func (s *section) entries() []entry {
	var out []entry
	for _, r := range s.reports {
		for _, c := range r.Columns {
			of := strings.TrimSpace(r.Label + " " + c.Phase)
			if of != "" {
				of = "· " + of
			}
			out = append(out, entry{c.Subject, of, r, c.Median, c.Median.generatorPercent() > busyPercent})
		}
	}
	return out
}

// plot shows the figure that the scenario is about.
func (s *section) plot() plot {
	p := plot{title: s.title(), format: duration, log: true, key: "● p50  ▮ p99 of the latency, on a logarithmic axis"}
	from := func(f Figures) float64 { return f.P50Us }
	to := func(f Figures) float64 { return f.P99Us }
	switch s.scenario() {
	case "fanout-max", "rooms-max", "connect":
		unit := s.reports[0].Unit
		p.format, p.log, p.key = whole, false, unit+" per second"
		from, to = func(Figures) float64 { return 0 }, func(f Figures) float64 { return f.PerSecond }
	case "users":
		p.format, p.log, p.key = whole, false, "users at once"
		from, to = func(Figures) float64 { return 0 }, func(f Figures) float64 { return f.Highest }
	case "subscribers", "channels":
		p.format, p.log, p.key = tenth, false, "CPU seconds of the server per million deliveries"
		from, to = func(Figures) float64 { return 0 }, Figures.cpu
	case "idle":
		p.format, p.log, p.key = tenth, false, "KiB of the server's memory per connection"
		from, to = func(Figures) float64 { return 0 }, func(f Figures) float64 { return max(f.server().BytesPerConn, 0) / 1024 }
	case "reconnect":
		p.key = "● p50  ▮ p99 of the time until a client is up to date again, on a logarithmic axis"
	case "append", "order":
		p.key = "● p50  ▮ p99 of the time until a write is acknowledged, on a logarithmic axis"
	case "catchup":
		p.key = "● p50  ▮ p99 of the time from the join until all is there, on a logarithmic axis"
	}
	for _, e := range s.entries() {
		p.rows = append(p.rows, plotRow{label: e.label(), from: from(e.median), to: to(e.median), own: e.subject == choraleName, least: e.median.AtLeast})
	}
	return p
}

// cpuShare is what a server used while the load lasted, most of it not for
// deliveries where these are few.
const cpuShare = "server CPU, % of one core"

// columns are the figures of a section's table, by the labels of the report's
// lines.
func (s *section) columns() []string {
	unit := s.reports[0].Unit
	perSecond, cpu := unit+" per second", "server CPU s per million "+unit
	switch s.scenario() {
	case "fanout-max", "rooms-max":
		return []string{"highest rate, pushes per second", perSecond, "p50", "p99", cpu}
	case "users":
		return []string{"users", perSecond, "p50", "p99", cpuShare}
	case "connect":
		return []string{perSecond, "p50", "p99", cpu}
	case "subscribers", "channels":
		return []string{cpu, perSecond, "p50", "p99", "server MiB resident"}
	case "idle":
		return []string{cpuShare, "… after the traffic", "server MiB resident"}
	case "reconnect":
		return []string{"server away", "p50", "p99", "max", "reconnects", "… resumed", "writes acknowledged"}
	case "append":
		return []string{"p50", "p99", "max", perSecond}
	case "order":
		return []string{"p50", "p99", "writes acknowledged", "reconnects", "… resumed", "lost", "duplicated", "out of order"}
	case "flood":
		return []string{"p50", "p99", "max", perSecond, cpu, "the flood's pushes per second"}
	case "hall":
		return []string{"p50", "p99", "max", perSecond, "the hall's deliveries per second", cpuShare}
	case "rush":
		return []string{"p50", "p99", "max", "pushes late, p99", "until the last newcomer was in", "until a newcomer was in, p50", "until a newcomer was in, p99", "newcomers who gave up", cpuShare}
	case "rooms":
		return []string{"p50", "p99", perSecond, cpu, cpuShare, "… after the traffic"}
	}
	return []string{"p50", "p99", perSecond, cpu, "… after the traffic"}
}

// write writes a section.
func (s *section) write(b *bytes.Buffer, dir string) {
	first := s.reports[0]
	fmt.Fprintf(b, "## %s\n\n", s.title())
	for _, r := range s.reports {
		fmt.Fprintf(b, "%s; %s.\n\n", upperFirst(r.Parameters), r.basis())
	}
	fmt.Fprintf(b, "![%s](%s/%s.svg)\n\n", s.title(), dir, s.name)
	lines := map[string]line{}
	for _, l := range first.lines() {
		if _, twice := lines[l.label]; !twice {
			lines[l.label] = l
		}
	}
	head, rule := "| |", "|---|"
	var columns []line
	for _, name := range s.columns() {
		l := lines[name]
		if !slices.ContainsFunc(s.entries(), func(e entry) bool { _, ok := l.value(e.median); return ok }) {
			continue
		}
		columns = append(columns, l)
		if name == "… after the traffic" {
			name = "server KiB per connection"
		}
		head, rule = head+" "+name+" |", rule+"---|"
	}
	fmt.Fprintf(b, "%s\n%s\n", head, rule)
	busy := false
	for _, e := range s.entries() {
		label := e.label()
		if e.subject == choraleName {
			label = "**" + label + "**"
		}
		if e.busy {
			busy, label = true, label+" †"
		}
		fmt.Fprintf(b, "| %s |", label)
		for _, l := range columns {
			fmt.Fprintf(b, " %s |", atLeast(e.median.AtLeast && l.label == first.searched())+l.cell(e.median))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	if busy {
		fmt.Fprintf(b, "† The generator was busy for more than %d %% of the time: its own limit is part of the figures.\n\n", busyPercent)
	}
	for _, sentence := range s.claims() {
		fmt.Fprintf(b, "%s\n\n", sentence)
	}
	for _, r := range s.reports {
		if err := r.Err(); err != nil {
			fmt.Fprintf(b, "**Not to be believed:** %v.\n\n", err)
		}
	}
	b.WriteString("```sh\n")
	for _, r := range s.reports {
		fmt.Fprintf(b, "%s\n", r.Command)
	}
	b.WriteString("```\n\n")
}

// claims are the sentences that a comparison with the classic design is made for.
func (s *section) claims() []string {
	var out []string
	entries := s.entries()
	for _, classic := range entries {
		if classic.subject != "postgres-changes" {
			continue
		}
		i := slices.IndexFunc(entries, func(e entry) bool { return e.subject == choraleName && e.of == classic.of })
		if i < 0 {
			continue
		}
		ours := entries[i].median
		if s.scenario() == "users" {
			out = append(out, fmt.Sprintf("%s: %s%.0f times as many users with Chorale.", upperFirst(strings.TrimPrefix(classic.of, "· ")),
				atLeast(ours.AtLeast), ours.Highest/classic.median.Highest))
			continue
		}
		less := func(a, b float64) float64 { return 100 * (1 - a/b) }
		out = append(out, fmt.Sprintf("%s: p50 is %.1f %% less with Chorale, p99 %.1f %%.",
			upperFirst(strings.TrimPrefix(classic.of, "· ")), less(ours.P50Us, classic.median.P50Us), less(ours.P99Us, classic.median.P99Us)))
	}
	return out
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// pageOf is the page of all sections, and of what they say of the goals.
func pageOf(sections []*section, known evidence, dir string) []byte {
	first := sections[0].reports[0]
	var b bytes.Buffer
	b.WriteString("# Benchmarks\n\n<!-- Written by chorale bench report from " + dir + "/*.json; its words are in internal/bench/page.go. -->\n\n")
	fmt.Fprintf(&b, pageIntro, first.Machine, first.Time.Format("2006-01-02"), first.Pinning)
	writeGoals(&b, known)
	for _, s := range sections {
		s.write(&b, dir)
	}
	return append(bytes.TrimRight(b.Bytes(), "\n"), '\n')
}

const pageIntro = `Measured on %s, %s. Pinning: %s. Everything goes over the loopback interface. One command measures and writes all of this anew, on your machine:

    make compare

*floor* is a program of ours that copies ready-made frames between sockets, one write for each delivery, and does nothing else. The others are in [bench/compare](../bench/compare/README.md), with
what is alike between them and what is not, and [bench/postgres-changes](../bench/postgres-changes/README.md). All subjects of a section were measured in turn by the same generator in the same run, each freshly
started; figures are medians of the runs, every run is in the JSON beside the pictures. Only ratios within a section say something: another machine, or the same one on another day, has other figures.

A latency is from the instant at which a push was due to the instant at which another client has read it; the generator keeps its schedule whatever the server does. A subject that lost, doubled or disordered
anything would be named.

`
