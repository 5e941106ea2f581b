package bench

import (
	"bytes"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

const testNewcomers = 10

func testRush() Rush {
	return Rush{
		Rooms:     Rooms{Mode: Broadcast, Rooms: 3, Members: 3, Rate: 200, Warmup: 20 * time.Millisecond, Duration: 100 * time.Millisecond, TextSize: 100, Seed: 1},
		Newcomers: testNewcomers,
	}
}

// rushTo measures a rush to a fake, and fails the test when it cannot.
func rushTo(t *testing.T, f *fake, r Rush) []Figures {
	t.Helper()
	figures, err := r.run(t.Context(), site{subject: f.subject(t), run: "t", patience: enough, executable: self(t), log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if len(figures) != 2 || figures[0].Phase != alone || figures[1].Phase != besideRush || figures[0].Rush != nil || figures[1].Rush == nil {
		t.Fatalf("phases %+v", figures)
	}
	return figures
}

// toNewcomers is a fake that does something else with newcomers than to let them in.
func toNewcomers(do func(conn net.Conn, frame protocol.Frame)) *fake {
	return &fake{turnAway: func(conn net.Conn, frame protocol.Frame) bool {
		newcomer := strings.Contains(frame.Topic, "-rush")
		if newcomer {
			do(conn, frame)
		}
		return newcomer
	}}
}

func TestRush(t *testing.T) {
	t.Run("the rooms are measured alone and beside the rush, of which nothing counts as theirs", func(t *testing.T) {
		f := startFake(t, &fake{})
		got := rushTo(t, f, testRush())
		assertClean(t, got)
		if got[1].Operations < got[0].Operations {
			t.Errorf("%d deliveries alone and %d beside the rush, by the same schedule", got[0].Operations, got[1].Operations)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		newcomers := 0
		for topic, c := range f.channels {
			if strings.Contains(topic, "-rush") {
				newcomers += len(c.members)
			} else if len(c.members) != 3 {
				t.Errorf("%d members in %s", len(c.members), topic)
			}
			if strings.Contains(topic, "-rush") && c.pushes > 0 {
				t.Errorf("%d pushes in %s", c.pushes, topic)
			}
		}
		if newcomers != testNewcomers {
			t.Errorf("%d newcomers have joined", newcomers)
		}
	})

	t.Run("newcomers are counted from their connect until they are in", func(t *testing.T) {
		got := rushTo(t, startFake(t, &fake{}), testRush())[1].Rush
		if got.Newcomers != testNewcomers || got.Refused+got.GaveUp != 0 {
			t.Errorf("counted %+v", got)
		}
		if got.P50Us <= 0 || got.P50Us > got.P99Us || got.P99Us > got.LastUs*1.01 || got.BegunUs <= 0 || got.BegunUs > got.LastUs {
			t.Errorf("took %+v", got)
		}
	})

	t.Run("who is refused is counted, and an error", func(t *testing.T) {
		f := startFake(t, toNewcomers(func(conn net.Conn, frame protocol.Frame) {
			write(conn, protocol.EncodeReply(protocol.V2, "1", frame.Ref, frame.Topic, false, protocol.AppendError(nil, &protocol.Error{Code: protocol.CodeOverloaded})))
		}))
		got := rushTo(t, f, testRush())[1]
		if got.Rush.Refused != testNewcomers || got.Errors != testNewcomers || got.Rush.LastUs != 0 || got.Lost != 0 {
			t.Errorf("%+v, %+v", got, got.Rush)
		}
		if !strings.Contains(got.FirstError, protocol.CodeOverloaded) {
			t.Errorf("the first error is %q", got.FirstError)
		}
	})

	t.Run("who is not answered gives up, which is no error, and the window lasts until then", func(t *testing.T) {
		r := testRush()
		r.GiveUp = 4 * r.Duration
		got := rushTo(t, startFake(t, toNewcomers(func(net.Conn, protocol.Frame) {})), r)
		assertClean(t, got)
		if rush := got[1].Rush; rush.GaveUp != testNewcomers || rush.P50Us != micros(r.GiveUp) || rush.LastUs != 0 || rush.BegunUs <= 0 {
			t.Errorf("%+v", rush)
		}
		if got[1].Operations < 2*got[0].Operations {
			t.Errorf("%d deliveries in the window alone, %d in one four times as long", got[0].Operations, got[1].Operations)
		}
	})

	t.Run("who is in and does not stay is an error", func(t *testing.T) {
		f := startFake(t, toNewcomers(func(conn net.Conn, frame protocol.Frame) {
			write(conn, protocol.EncodeReply(protocol.V2, "1", frame.Ref, frame.Topic, true, []byte("{}")))
			conn.Close()
		}))
		got := rushTo(t, f, testRush())[1]
		if got.Rush.Refused != 0 || got.Errors != testNewcomers || !strings.Contains(got.FirstError, "connection was lost") {
			t.Errorf("%d errors, the first is %q; %+v", got.Errors, got.FirstError, got.Rush)
		}
	})

	t.Run("newcomers whose process ends by itself are an error", func(t *testing.T) {
		_, err := testRush().run(t.Context(), site{subject: startFake(t, &fake{}).subject(t), run: "t", patience: enough, executable: "/bin/false"})
		if err == nil || !strings.Contains(err.Error(), "prepare the rush") {
			t.Errorf("got %v", err)
		}
	})

	t.Run("a rush of nobody, and one that waits longer than a join can, are refused", func(t *testing.T) {
		nobody, patient := testRush(), testRush()
		nobody.Newcomers, patient.GiveUp = 0, time.Minute
		if nobody.validate() == nil || patient.validate() == nil {
			t.Error("they were let in")
		}
	})

	t.Run("floor and peers are rushed to as well", func(t *testing.T) {
		report, err := Run(t.Context(), Options{
			Executable: self(t), Dir: t.TempDir(), Floor: true, Runs: 1, Log: t.Output(), Peers: []Peer{{Name: "mine", Kind: "ws", Path: self(t)}},
		}, testRush())
		if err != nil {
			t.Fatal(err)
		}
		if err := report.Err(); err != nil {
			t.Error(err)
		}
		want := 2 * 2 // columns
		if runtime.GOOS == "linux" {
			want = 3 * 2
		}
		if len(report.Columns) != want {
			t.Errorf("%d columns, want %d", len(report.Columns), want)
		}
		for _, c := range report.Columns {
			if r := c.Median.Rush; c.Phase == besideRush && (r == nil || r.Newcomers != testNewcomers || r.LastUs == 0) {
				t.Errorf("%s: %+v", c.Subject, r)
			}
		}
	})

	t.Run("newcomers know how to speak to every peer", func(t *testing.T) {
		for kind, plan := range peerKinds {
			_, speak, err := plan(peerPlan{path: "x", dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := joiner(speaks(speak("http://127.0.0.1:1"))); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
	})

	t.Run("the table shows what the rush did to the rooms, and what became of the newcomers", func(t *testing.T) {
		r := &Report{Scenario: "rush"}
		r.add(choraleName, Figures{Phase: alone, P99Us: 1000})
		for _, gaveUp := range []int64{2, 3} {
			r.add(choraleName, Figures{Phase: besideRush, P99Us: 1500, GeneratorCPUPercent: 5, Rush: &RushFigures{Newcomers: 5000, GaveUp: gaveUp, LastUs: 800_000, CPUPercent: 90}})
		}
		var out bytes.Buffer
		if err := r.WriteTable(&out); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"ratio beside a rush", "1.50", "5,000", "until the last newcomer was in", "800.0 ms", "newcomers who gave up", " 5 ", "was busy for 95 %"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in\n%s", want, out.String())
			}
		}
	})
}
