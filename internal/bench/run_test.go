package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// self is this test binary, which TestMain turns into a server.
func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRun(t *testing.T) {
	rooms := Rooms{Mode: Notes, Rooms: 30, Members: 4, Rate: 500, Duration: 200 * time.Millisecond, TextSize: 200, Seed: 1}

	t.Run("servers are started, measured and stopped, run by run, and leave nothing behind", func(t *testing.T) {
		dir := t.TempDir()
		var log bytes.Buffer
		report, err := Run(t.Context(), Options{Executable: self(t), Dir: dir, Floor: true, Runs: 2, Command: "chorale bench rooms", Log: &log}, rooms)
		if err != nil {
			t.Fatalf("%v\n%s", err, &log)
		}
		if err := report.Err(); err != nil {
			t.Error(err)
		}
		want := []string{"chorale"}
		if runtime.GOOS == "linux" {
			want = []string{"floor", "chorale"}
		}
		if len(report.Columns) != len(want) {
			t.Fatalf("%d columns, want %v", len(report.Columns), want)
		}
		for i, c := range report.Columns {
			if c.Subject != want[i] || len(c.Runs) != 2 || c.Median.Operations == 0 {
				t.Errorf("column %+v", c)
			}
			if s := c.Median.Server; runtime.GOOS == "linux" && (s == nil || s.CPUPercent <= 0 || s.ResidentBytes < 1<<20) {
				t.Errorf("%s: server figures %+v", c.Subject, s)
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})

	t.Run("what durability costs is measured beside a server that keeps nothing", func(t *testing.T) {
		durable := Rooms{Mode: Durable, Rooms: 5, Members: 2, Rate: 200, Duration: 100 * time.Millisecond, TextSize: 100, Seed: 1}
		report, err := Run(t.Context(), Options{Executable: self(t), Dir: t.TempDir(), Memory: true, Runs: 1}, durable)
		if err != nil || report.Err() != nil {
			t.Fatal(err, report.Err())
		}
		if len(report.Columns) != 2 || report.column(memoryName, "") == nil || report.column(choraleName, "") == nil {
			t.Errorf("%+v", report.Columns)
		}
	})

	t.Run("a server that is already there is measured with its process's figures", func(t *testing.T) {
		f := startFake(t, &fake{})
		for name, o := range map[string]Options{
			"one token": {URLs: []string{f.listening}, Token: "x.y.z", PID: os.Getpid(), Runs: 1},
			"a secret":  {URLs: []string{f.listening}, Secret: bytes.Repeat([]byte("k"), 32), Runs: 1},
		} {
			report, err := Run(t.Context(), o, rooms)
			if err != nil || report.Err() != nil {
				t.Errorf("%s: %v, %v", name, err, report.Err())
			}
		}
		if !f.tokens["x.y.z"] || len(f.tokens) != 1+120 {
			t.Errorf("%d tokens, want the one given and one for each of 120 members", len(f.tokens))
		}
	})

	t.Run("a report is not to be believed when something was lost", func(t *testing.T) {
		f := startFake(t, &fake{spoil: func(int, []byte) [][]byte { return nil }})
		report, err := Run(t.Context(), Options{URLs: []string{f.listening}, Token: "x", Runs: 1, Patience: inVain}, rooms)
		if err != nil {
			t.Fatal(err)
		}
		if err := report.Err(); err == nil || !strings.Contains(err.Error(), "lost") {
			t.Errorf("error %v", err)
		}
	})

	t.Run("a server that does not start is an error with its command", func(t *testing.T) {
		_, err := Run(t.Context(), Options{Executable: self(t), ServerArgs: []string{"--rules", "/nowhere"}, Runs: 1}, rooms)
		if err == nil || !strings.Contains(err.Error(), "serve --addr") {
			t.Errorf("error %v", err)
		}
		_, err = Run(t.Context(), Options{Executable: filepath.Join(t.TempDir(), "none"), Runs: 1}, rooms)
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("error %v", err)
		}
	})

	t.Run("options that contradict each other are refused", func(t *testing.T) {
		for want, o := range map[string]Options{
			"token":      {URLs: []string{"ws://h"}},
			"executable": {},
			"run":        {Runs: -1, Executable: "x"},
			"CPU":        {ServerCPUs: -1, Executable: "x"},
			"own rules":  {URLs: []string{"ws://h"}, Token: "x", Memory: true},
			"patience":   {Patience: -1, Executable: "x"},
		} {
			if _, err := Run(t.Context(), o, rooms); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v, want %q", o, err, want)
			}
		}
	})
}

func TestChild(t *testing.T) {
	t.Run("a child that says nothing is stopped when the context ends", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("there is no sleep to run")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := startChild(ctx, command{path: "/bin/sleep", args: []string{"60"}})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})

	t.Run("it runs on the CPUs that it was given", func(t *testing.T) {
		cpus, err := allowedCPUs()
		if err != nil || len(cpus) == 0 {
			t.Skipf("CPUs cannot be chosen here: %v", err)
		}
		k, err := startChild(t.Context(), command{path: "/bin/sh", cpus: cpus[:1], args: []string{"-c",
			`echo "listening on cpus $(grep Cpus_allowed_list /proc/self/status | cut -f 2)"; read wait; exit 0`}})
		if err != nil {
			t.Fatal(err)
		}
		if want := "cpus " + list(cpus[:1]); k.url != want {
			t.Errorf("it said %q, want %q", k.url, want)
		}
		<-k.ended
		if err := k.stop(); err != nil {
			t.Error(err)
		}
	})

	t.Run("one that is to be idle runs when nobody else wants its CPU", func(t *testing.T) {
		if runtime.GOOS != "linux" {
			t.Skip("priorities are lowered on Linux")
		}
		k, err := startChild(t.Context(), command{path: "/bin/sh", idle: true, args: []string{"-c",
			`echo "listening on policy $(cut -d ' ' -f 41 /proc/self/stat)"`}})
		if err != nil {
			t.Fatal(err)
		}
		if want := "policy 5"; k.url != want { // SCHED_IDLE
			t.Errorf("it said %q, want %q", k.url, want)
		}
		<-k.ended
		if err := k.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestReport(t *testing.T) {
	r := &Report{
		Scenario: "rooms", Parameters: "500 rooms", Unit: "deliveries", Machine: "2 × CPU", Pinning: "none",
		Time: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC),
	}
	for _, p50 := range []float64{95, 110, 100} {
		r.add(floorName, Figures{Operations: 1000, PerSecond: 9100, P50Us: p50, P90Us: 400, P99Us: 3900, MaxUs: 12_345, LateP99Us: 60, GeneratorCPUPercent: 40,
			Server: &ServerFigures{CPUSecondsPerMillion: 20, CPUPercent: 18.2, IdleBytesPerConn: 800, BytesPerConn: 1300, ResidentBytes: 12 << 20}})
		r.add(choraleName, Figures{Operations: 1000, PerSecond: 9100, P50Us: p50 * 1.25, P90Us: 500, P99Us: 1_200_000, MaxUs: 2_000_000, LateP99Us: 70, GeneratorCPUPercent: 91,
			Server: &ServerFigures{CPUSecondsPerMillion: 25, CPUPercent: 22.75, WaitPercent: 3, IdleBytesPerConn: 4096, BytesPerConn: 5120, ResidentBytes: 48 << 20}})
	}

	t.Run("the table shows medians, the ratio to the floor, and a busy generator", func(t *testing.T) {
		var got bytes.Buffer
		if err := r.WriteTable(&got); err != nil {
			t.Fatal(err)
		}
		golden(t, "report.txt", got.Bytes())
	})

	t.Run("JSON holds every run and can be read back", func(t *testing.T) {
		var out bytes.Buffer
		if err := r.WriteJSON(&out); err != nil {
			t.Fatal(err)
		}
		var back Report
		if err := json.Unmarshal(out.Bytes(), &back); err != nil {
			t.Fatal(err)
		}
		if len(back.Columns) != 2 || len(back.Columns[0].Runs) != 3 || back.Columns[0].Median.P50Us != 100 || back.Columns[1].Median.Server.BytesPerConn != 5120 {
			t.Errorf("%+v", back)
		}
	})

	t.Run("faults are summed over the runs, not their median", func(t *testing.T) {
		m := median([]Figures{{}, {Lost: 1, FirstError: "first"}, {OutOfOrder: 2, Errors: 3, FirstError: "second"}})
		if m.Lost != 1 || m.OutOfOrder != 2 || m.Errors != 3 || m.FirstError != "first" {
			t.Errorf("%+v", m)
		}
		bad := &Report{Scenario: "rooms"}
		bad.add(choraleName, m)
		if err := bad.Err(); err == nil || !strings.Contains(err.Error(), "3 errors, 1 lost, 0 duplicated, 2 out of order") {
			t.Errorf("error %v", err)
		}
	})

	t.Run("without faults there is no error", func(t *testing.T) {
		if err := r.Err(); err != nil {
			t.Error(err)
		}
	})
}

// golden compares with a file of testdata, and writes it when UPDATE_GOLDEN is set.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("differs from %s:\n%s", path, got)
	}
}
