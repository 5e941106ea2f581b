package bench

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/protocol"
)

// small are all scenarios, short enough for a test.
func small(mode Mode) []Scenario {
	return []Scenario{
		Latency{Mode: mode, Count: 50, Warmup: 5, TextSize: 200},
		Rooms{Mode: mode, Rooms: 5, Members: 4, Rate: 500, Warmup: 50 * time.Millisecond, Duration: 250 * time.Millisecond, TextSize: 200, Seed: 1},
		Fanout{Mode: mode, Subscribers: 20, Rate: 100, Warmup: 50 * time.Millisecond, Duration: 250 * time.Millisecond, TextSize: 200},
		Connect{Mode: mode, Single: 5, Conns: 20, Parallel: 4, Members: 4},
		Fanout{Mode: mode, Subscribers: 20, Writers: 5, Rate: 100, Warmup: 50 * time.Millisecond, Duration: 250 * time.Millisecond, TextSize: 200},
	}
}

// How long a run waits for what is missing: enough when everything must come, in
// vain when something never does.
const (
	enough = 30 * time.Second
	inVain = 500 * time.Millisecond
)

// measure runs a scenario once and fails the test when it cannot.
func measure(t *testing.T, s Scenario, on subject, patience time.Duration) []Figures {
	t.Helper()
	if err := s.validate(); err != nil {
		t.Fatal(err)
	}
	figures, err := s.run(t.Context(), site{subject: on, run: "t", patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	return figures
}

func assertClean(t *testing.T, figures []Figures) {
	t.Helper()
	for _, f := range figures {
		if f.Errors+f.Lost+f.OutOfOrder != 0 {
			t.Errorf("%s: %d errors (%s), %d lost, %d out of order", f.Phase, f.Errors, f.FirstError, f.Lost, f.OutOfOrder)
		}
		if f.Operations == 0 || f.P50Us <= 0 || f.P50Us > f.P90Us || f.P90Us > f.P99Us || f.P99Us > f.MaxUs {
			t.Errorf("%s: figures %+v", f.Phase, f)
		}
	}
}

func TestScenarios(t *testing.T) {
	t.Run("against a server that keeps its promises nothing is lost or out of order", func(t *testing.T) {
		for _, mode := range []Mode{Broadcast, Notes} {
			f := startFake(t, &fake{})
			for _, s := range small(mode) {
				t.Run(string(mode)+" "+s.name(), func(t *testing.T) { assertClean(t, measure(t, s, f.subject(t), enough)) })
			}
		}
	})

	t.Run("each member comes with a token of its own", func(t *testing.T) {
		f := startFake(t, &fake{})
		measure(t, Connect{Mode: Broadcast, Single: 5, Conns: 10, Parallel: 2, Members: 4}, f.subject(t), enough)
		if len(f.tokens) != 35 { // 20 to warm up
			t.Errorf("%d tokens for 35 members", len(f.tokens))
		}
	})

	t.Run("without a server's process its CPU time and memory are unknown", func(t *testing.T) {
		f := startFake(t, &fake{})
		for _, got := range measure(t, small(Broadcast)[0], f.subject(t), enough) {
			if got.Server != nil {
				t.Errorf("server figures %+v", got.Server)
			}
		}
	})
}

func TestBrokenPromises(t *testing.T) {
	rooms := Rooms{Mode: Broadcast, Rooms: 1, Members: 3, Rate: 500, Duration: 300 * time.Millisecond, TextSize: 100, Seed: 1}
	spoiled := func(t *testing.T, spoil func(n int, frame []byte) [][]byte) Figures {
		f := startFake(t, &fake{spoil: spoil})
		return measure(t, rooms, f.subject(t), inVain)[0]
	}

	t.Run("[R2] a delivery that never comes is lost, at each member that misses it", func(t *testing.T) {
		got := spoiled(t, func(n int, frame []byte) [][]byte {
			if n == 5 {
				return nil
			}
			return [][]byte{frame}
		})
		if got.Lost != 3 || got.OutOfOrder != 0 {
			t.Errorf("%d lost, %d out of order, want 3 and 0", got.Lost, got.OutOfOrder)
		}
	})

	t.Run("[R1] a delivery that comes twice is out of order", func(t *testing.T) {
		got := spoiled(t, func(n int, frame []byte) [][]byte {
			if n == 5 {
				return [][]byte{frame, frame}
			}
			return [][]byte{frame}
		})
		if got.OutOfOrder < 3 {
			t.Errorf("%d out of order, want one at each of 3 members", got.OutOfOrder)
		}
	})

	t.Run("[R1] deliveries that change places are out of order", func(t *testing.T) {
		if got := spoiled(t, swapping()); got.OutOfOrder == 0 {
			t.Error("nothing out of order")
		}
	})

	t.Run("a refused push is an error, and its deliveries are lost", func(t *testing.T) {
		f := startFake(t, &fake{refuse: protocol.CodeOverloaded})
		got := measure(t, rooms, f.subject(t), inVain)[0]
		if got.Errors == 0 || !strings.Contains(got.FirstError, protocol.CodeOverloaded) || got.Lost == 0 {
			t.Errorf("%d errors (%s), %d lost", got.Errors, got.FirstError, got.Lost)
		}
	})

	t.Run("a connection that ends early is an error", func(t *testing.T) {
		f := startFake(t, &fake{hangUpAt: 10})
		got := measure(t, rooms, f.subject(t), inVain)[0]
		if got.Errors == 0 || got.Lost == 0 {
			t.Errorf("%d errors (%s), %d lost", got.Errors, got.FirstError, got.Lost)
		}
	})

	t.Run("ping-pong without an answer ends with what the server said", func(t *testing.T) {
		f := startFake(t, &fake{refuse: protocol.CodeOverloaded})
		short := Latency{Mode: Broadcast, Count: 1, TextSize: 100}
		_, err := short.run(t.Context(), site{subject: f.subject(t), run: "t", patience: inVain})
		if err == nil || !strings.Contains(err.Error(), protocol.CodeOverloaded) {
			t.Errorf("error %v", err)
		}
	})
}

// swapping keeps each fifth delivery back and sends it, to the same or another
// member, behind the sixth.
func swapping() func(n int, frame []byte) [][]byte {
	var held [][]byte
	return func(n int, frame []byte) [][]byte {
		switch {
		case n%6 == 4:
			held = append(held, frame)
			return nil
		case n%6 == 5 && len(held) > 0:
			late := held[0]
			held = held[1:]
			return [][]byte{frame, late}
		}
		return [][]byte{frame}
	}
}

func TestNoLoad(t *testing.T) {
	t.Run("a refused token ends the run with the server's words", func(t *testing.T) {
		s, err := newChorale([]string{plainServer(t, 401, `{"error":"Token has expired"}`)}, func(string) (string, error) { return "x", nil })
		if err != nil {
			t.Fatal(err)
		}
		for _, scenario := range small(Broadcast)[:3] {
			_, err = scenario.run(t.Context(), site{subject: s, run: "t", patience: inVain})
			if err == nil || !strings.Contains(err.Error(), "Token has expired") {
				t.Errorf("%s: %v", scenario.name(), err)
			}
		}
	})

	t.Run("a refused join ends the run with its code", func(t *testing.T) {
		f := startFake(t, &fake{refuseIn: protocol.CodeUnauthorized})
		_, err := small(Notes)[1].run(t.Context(), site{subject: f.subject(t), run: "t", patience: inVain})
		if err == nil || !strings.Contains(err.Error(), protocol.CodeUnauthorized) {
			t.Errorf("error %v", err)
		}
	})

	t.Run("[connect] refusals are counted, and the others go on", func(t *testing.T) {
		f := startFake(t, &fake{refuseIn: protocol.CodeUnauthorized})
		for _, got := range measure(t, small(Broadcast)[3], f.subject(t), inVain) {
			if got.Errors == 0 || got.Operations != 0 {
				t.Errorf("%+v", got)
			}
		}
	})

	t.Run("a token that cannot be made ends the run", func(t *testing.T) {
		s, err := newChorale([]string{"ws://127.0.0.1:1"}, func(string) (string, error) { return "", errTest })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := small(Broadcast)[0].run(t.Context(), site{subject: s, run: "t", patience: inVain}); !errors.Is(err, errTest) {
			t.Errorf("error %v", err)
		}
	})

	t.Run("when the context ends, so does the run", func(t *testing.T) {
		f := startFake(t, &fake{})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		long := Rooms{Mode: Broadcast, Rooms: 1, Members: 2, Rate: 0.01, Duration: time.Hour, TextSize: 100, Seed: 1}
		if _, err := long.run(ctx, site{subject: f.subject(t), run: "t", patience: inVain}); err == nil {
			t.Error("an hour went by")
		}
	})

	t.Run("parameters that make no load are refused by name", func(t *testing.T) {
		for want, s := range map[string]Scenario{
			"mode":              Latency{Mode: "chat", Count: 1, TextSize: 100},
			"too short":         Latency{Mode: Notes, Count: 1, TextSize: 10},
			"too long":          Latency{Mode: Notes, Count: 1, TextSize: 1 << 20},
			"count":             Latency{Mode: Notes, TextSize: 100},
			"rate":              Rooms{Mode: Notes, Rooms: 1, Members: 2, Duration: 1, TextSize: 100},
			"duration":          Rooms{Mode: Notes, Rooms: 1, Members: 2, Rate: 1, TextSize: 100},
			"too many pushes":   Rooms{Mode: Notes, Rooms: 1, Members: 2, Rate: 1e9, Duration: time.Hour, TextSize: 100},
			"at least two":      Fanout{Mode: Notes, Rate: 1, Duration: 1, TextSize: 100},
			"at a time":         Connect{Mode: Notes, Single: 1, Conns: 1, Members: 1},
			"one channel":       Rooms{Mode: Notes, Members: 2, Rate: 1, Duration: 1, TextSize: 100},
			"one connection":    Connect{Mode: Notes, Parallel: 1, Members: 1},
			"member per":        Connect{Mode: Notes, Single: 1, Conns: 1, Parallel: 1},
			"more than 99999 w": Rooms{Mode: Notes, Rooms: 1, Members: 100_000, Rate: 1, Duration: 1, TextSize: 100},
		} {
			if err := s.validate(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v, want %q", s, err, want)
			}
		}
	})
}

func TestServerAddress(t *testing.T) {
	for address, want := range map[string]string{
		"http://127.0.0.1:4000":                  "ws://127.0.0.1:4000/socket/websocket",
		"https://example.org/":                   "wss://example.org/socket/websocket",
		"ws://h:1":                               "ws://h:1/socket/websocket",
		"wss://h/realtime/v1/websocket?apikey=x": "wss://h/realtime/v1/websocket",
		"h:1":                                    "",
		"ftp://h":                                "",
	} {
		got, err := endpointOf(address)
		switch {
		case want == "" && err == nil:
			t.Errorf("%s is taken as %s", address, got)
		case want != "" && (err != nil || got != want):
			t.Errorf("%s is taken as %s, %v, want %s", address, got, err, want)
		}
	}
}

func TestFloor(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the floor needs Linux")
	}
	ctx, stop := context.WithCancel(t.Context())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- ServeFloor(ctx, "127.0.0.1:0", func(addr string) { ready <- addr }) }()
	floor := &floorSubject{url: "http://" + <-ready}
	for _, s := range small(Notes) {
		t.Run(s.name()+" loses nothing on the floor", func(t *testing.T) { assertClean(t, measure(t, s, floor, enough)) })
	}
	t.Run("frames that a socket does not take at once are kept", func(t *testing.T) {
		assertClean(t, measure(t, Fanout{Mode: Broadcast, Subscribers: 3, Rate: 3000, Duration: 300 * time.Millisecond, TextSize: textMax}, floor, enough))
	})
	t.Run("it ends with its context", func(t *testing.T) {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
