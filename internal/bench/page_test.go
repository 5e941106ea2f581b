package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// write keeps a report in a directory as --json does.
func (r *Report) write(t *testing.T, dir, name string) {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".json"), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func testReport(scenario, title, label string) *Report {
	return &Report{
		Scenario: scenario, Title: title, Label: label, Parameters: "one writer & many", Unit: "deliveries", Command: "chorale bench " + scenario,
		Machine: "2 × CPU", Pinning: "none", Time: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC),
	}
}

func TestPage(t *testing.T) {
	dir := t.TempDir()
	reports := filepath.Join(dir, "figures")
	if err := os.Mkdir(reports, 0o700); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(dir, "figures.md")

	latency := testReport("latency", "Latency <one>", "")
	latency.add(floorName, Figures{Operations: 10, PerSecond: 9000, P50Us: 70, P99Us: 200, GeneratorCPUPercent: 90, Server: &ServerFigures{CPUSecondsPerMillion: 30}})
	latency.add(choraleName, Figures{Operations: 10, PerSecond: 8000, P50Us: 90, P99Us: 1200, Server: &ServerFigures{CPUSecondsPerMillion: 40, BytesPerConn: 5120}})
	latency.write(t, reports, "1-latency")
	for _, n := range []string{"10", "100"} {
		r := testReport("fanout", "A database", n+" subscribers")
		r.add("postgres-changes", Figures{Operations: 10, P50Us: 50_000, P99Us: 100_000})
		r.add(choraleName, Figures{Operations: 10, P50Us: 500, P99Us: 2000})
		r.write(t, reports, "2-"+n)
	}
	users := testReport("users", "Users", "a write every 10s")
	users.add("postgres-changes", Figures{Operations: 10, P50Us: 50_000, P99Us: 100_000, Highest: 1000})
	users.add(choraleName, Figures{Operations: 10, P50Us: 500, P99Us: 2000, Highest: 16_000, AtLeast: true})
	users.write(t, reports, "3-users")
	most := testReport("fanout-max", "", "")
	most.add(choraleName, Figures{Operations: 10, PerSecond: 160_000, P50Us: 50_000, P99Us: 100_000, Highest: 160})
	most.write(t, reports, "4-max")

	t.Run("a section has a picture, a table, what a comparison comes to, and the commands", func(t *testing.T) {
		if err := WritePage(page, reports); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "page.md", text)
		for _, name := range []string{"1-latency", "2-10", "3-users", "4-max"} {
			if !strings.Contains(string(text), "](figures/"+name+".svg)") {
				t.Errorf("the page does not show %s", name)
			}
		}
		if _, err := os.Stat(filepath.Join(reports, "2-100.svg")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a picture of a report that shares its section: %v", err)
		}
	})

	t.Run("pictures are XML, and say in words what they show", func(t *testing.T) {
		for name, want := range map[string]string{
			"1-latency": "floor: 70 µs to 200 µs. chorale: 90 µs to 1.20 ms.",
			"2-10":      "chorale · 100 subscribers: 500 µs to 2.00 ms.",
			"3-users":   "chorale · a write every 10s: ≥ 16,000.",
			"4-max":     "deliveries per second. chorale: 160,000.",
		} {
			data, err := os.ReadFile(filepath.Join(reports, name+".svg"))
			if err != nil {
				t.Fatal(err)
			}
			d := xml.NewDecoder(bytes.NewReader(data))
			for {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			if !strings.Contains(string(data), want) {
				t.Errorf("%s does not say %q:\n%s", name, want, data)
			}
		}
	})

	t.Run("what should not be believed is on the page, and an error", func(t *testing.T) {
		bad := testReport("latency", "Lossy", "")
		bad.add(choraleName, Figures{Operations: 1, P50Us: 1, P99Us: 2, Lost: 3})
		bad.write(t, reports, "5-lossy")
		err := WritePage(page, reports)
		text, _ := os.ReadFile(page)
		if err == nil || !strings.Contains(err.Error(), "3 lost") || !strings.Contains(string(text), "Not to be believed") {
			t.Errorf("error %v", err)
		}
	})

	t.Run("a directory without reports, and what is none, are refused", func(t *testing.T) {
		empty := t.TempDir()
		if err := WritePage(page, empty); err == nil || !strings.Contains(err.Error(), "no reports") {
			t.Errorf("error %v", err)
		}
		for _, text := range []string{"{", "{}"} {
			if err := os.WriteFile(filepath.Join(empty, "x.json"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := WritePage(page, empty); err == nil || !strings.Contains(err.Error(), "x.json") {
				t.Errorf("%q: error %v", text, err)
			}
		}
	})
}

func TestAxis(t *testing.T) {
	for _, c := range []struct {
		log       bool
		rows      []plotRow
		low, high float64
		ticks     int
	}{
		{true, []plotRow{{from: 70, to: 1200}}, 10, 10_000, 4},
		{true, []plotRow{{from: 100, to: 1000}}, 100, 10_000, 3},
		{false, []plotRow{{to: 160_000}, {to: 9000}}, 0, 200_000, 5},
		{false, []plotRow{{to: 43}}, 0, 50, 6},
		{false, []plotRow{{to: 0}}, 0, 1, 6},
		{true, []plotRow{{to: 0}}, 0, 1, 6},
	} {
		p := plot{rows: c.rows, log: c.log}
		a := p.axis()
		if a.low != c.low || a.high != c.high || len(a.ticks()) != c.ticks {
			t.Errorf("%+v: from %g to %g, ticks %v; want %g to %g, %d ticks", c.rows, a.low, a.high, a.ticks(), c.low, c.high, c.ticks)
		}
		for _, r := range c.rows {
			if x := a.at(r.to); x < plotLeft-0.1 || x > plotRight+0.1 {
				t.Errorf("%g is drawn at %g, outside the area", r.to, x)
			}
		}
	}
}

func TestTicksAreRound(t *testing.T) {
	for text, want := range map[string]string{"1.00 ms": "1 ms", "100.0 ms": "100 ms", "1.50 s": "1.50 s", "100,000": "100,000", "10.0": "10"} {
		if got := roundTick(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
