package bench

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

// reports makes evidence of one report, whose subjects have those figures.
func reports(section string, of map[string]Figures) evidence {
	r := testReport(section, "", "")
	for _, subject := range []string{floorName, "centrifugo", memoryName, choraleName} {
		if f, ok := of[subject]; ok {
			r.add(subject, f)
		}
	}
	return evidence{section: r}
}

func TestGoals(t *testing.T) {
	perSecond := func(v float64) Figures { return Figures{PerSecond: v} }
	cpu := func(v float64) Figures { return Figures{Server: &ServerFigures{CPUSecondsPerMillion: v}} }

	t.Run("a row says what was to be reached, what was measured, and what came of it", func(t *testing.T) {
		busy := perSecond(400)
		busy.GeneratorCPUPercent = 99
		for want, e := range map[string]evidence{
			"p99 | at most 5 ms | 4.90 ms | reached |":                        reports("rooms", map[string]Figures{choraleName: {P99Us: 4900}}),
			"p99 | at most 5 ms | 5.10 ms | **missed** |":                     reports("rooms", map[string]Figures{choraleName: {P99Us: 5100}}),
			"CPU per delivery | at most 1.25 × floor | 1.50 × | **missed** |": reports("rooms", map[string]Figures{floorName: cpu(10), choraleName: cpu(15)}),
			"in rooms | less than 15 % more | +10 % | reached |":              reports("durable", map[string]Figures{memoryName: cpu(10), choraleName: cpu(11)}),
			"at least 5 × Centrifugo | 4.0 × | **missed** |":                  reports("rooms-max", map[string]Figures{"centrifugo": perSecond(100), choraleName: perSecond(400)}),
			"at least 5 × Centrifugo | ≥ 4.0 × | open |":                      reports("rooms-max", map[string]Figures{"centrifugo": perSecond(100), choraleName: busy}),
			"every 10 s | below 5 % of one core | 4.0 % | reached |":          reports("users-taking-notes", map[string]Figures{choraleName: {Server: &ServerFigures{CPUPercent: 4}}}),
		} {
			var b bytes.Buffer
			writeGoals(&b, e)
			if !strings.Contains(b.String(), want) {
				t.Errorf("want %q:\n%s", want, &b)
			}
		}
	})

	t.Run("the worst of several decides, and all of them must be there", func(t *testing.T) {
		g := worst(own("a", "", Figures.p50), own("b", "", Figures.p50))
		e := reports("a", map[string]Figures{choraleName: {P50Us: 3}})
		if _, ok := g(e); ok {
			t.Error("one of two is enough")
		}
		e["b"] = reports("b", map[string]Figures{choraleName: {P50Us: 7}})["b"]
		if m, ok := g(e); !ok || m.value != 7 {
			t.Errorf("%+v, %t", m, ok)
		}
	})

	t.Run("growth is what a later phase costs more than the first, of Chorale or beside the floor", func(t *testing.T) {
		r := testReport("subscribers", "", "")
		for i, phase := range []string{"100 subscribers", "10,000 subscribers"} {
			for subject, f := range map[string]Figures{floorName: cpu([]float64{10, 14}[i]), choraleName: cpu([]float64{12, 18}[i])} {
				f.Phase = phase
				r.add(subject, f)
			}
		}
		var b bytes.Buffer
		writeGoals(&b, evidence{"subscribers": r})
		for _, want := range []string{"at most 15 % more | +50 % | **missed** |", "at most 15 % | +7 % | reached |"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("want %q:\n%s", want, &b)
			}
		}
	})

	t.Run("what was not measured, or should not be believed, is named and not judged", func(t *testing.T) {
		var b bytes.Buffer
		e := reports("rooms", map[string]Figures{choraleName: {P99Us: 10, Lost: 1}})
		e["records"] = reports("records", map[string]Figures{choraleName: {P99Us: 10}})["records"]
		writeGoals(&b, e)
		if !strings.Contains(b.String(), "| Rooms, 500 × 4, 3,000 messages a second, p99 | at most 5 ms | – | not measured |") {
			t.Error(&b)
		}
	})

	t.Run("a page of something else has no goals", func(t *testing.T) {
		var b bytes.Buffer
		if writeGoals(&b, reports("mine", map[string]Figures{choraleName: {P99Us: 10}})); b.Len() > 0 {
			t.Error(&b)
		}
	})

	t.Run("every section that a goal asks is one that bench/run measures", func(t *testing.T) {
		script, err := os.ReadFile("../../bench/run")
		if err != nil {
			t.Fatal(err)
		}
		source, err := os.ReadFile("goals.go")
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`(?:own|beside|besideClassic|growth)\("([a-z-]+)`).FindAllStringSubmatch(string(source), -1)
		if len(names) < len(goals) {
			t.Fatalf("%d sections of %d goals", len(names), len(goals))
		}
		for _, name := range names {
			if !regexp.MustCompile(`section "?\d\d-` + name[1]).Match(script) {
				t.Errorf("bench/run has no section %s", name[1])
			}
		}
	})
}
