package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"chorale": func() { os.Exit(run(os.Args[1:])) }})
}

// TestCommandLine runs the scripts in testdata/script against the real command.
// $PORT is a port that was free a moment ago.
func TestCommandLine(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", Deadline: time.Now().Add(5 * time.Minute),
		Setup: func(env *testscript.Env) error {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Setenv("PORT", fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
			return l.Close()
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"until": until, "hangup": hangup, "request": request, "envfile": envfile, "nats": nats,
		},
	})
}

// until URL TEXT asks again and again until the answer contains the text.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: until URL TEXT")
	}
	body := ""
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		res, err := http.Get(args[0])
		if err != nil {
			body = err.Error()
			continue
		}
		data, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		ts.Check(err)
		if body = string(data); strings.Contains(body, args[1]) {
			return
		}
	}
	ts.Fatalf("%s never said %q; in the end:\n%s", args[0], args[1], body)
}

// hangup sends SIGHUP to the commands that run in the background.
func hangup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: hangup")
	}
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(syscall.SIGHUP))
	}
}

// request METHOD URL TOKENFILE BODY TEXT sends a request with a token, and demands
// that the answer contains the text.
func request(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 5 {
		ts.Fatalf("usage: request METHOD URL TOKENFILE BODY TEXT")
	}
	req, err := http.NewRequest(args[0], args[1], strings.NewReader(args[3]))
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(ts.ReadFile(args[2])))
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	data, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	ts.Check(err)
	if !strings.Contains(string(data), args[4]) {
		ts.Fatalf("%s %s: %s %s", args[0], args[1], res.Status, data)
	}
}

// envfile NAME FILE sets a variable to what is in a file.
func envfile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: envfile NAME FILE")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// nats starts a NATS server until the script ends, which must leave no stream on
// it. $NATS is its address, $NATS_PASSWORD that of the user that it wants.
func nats(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: nats")
	}
	s, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: ts.MkAbs("nats"), Username: "bench", Password: "a-password-of-the-test",
	})
	ts.Check(err)
	s.Start()
	ts.Defer(func() {
		report, err := s.Jsz(nil)
		s.Shutdown()
		s.WaitForShutdown()
		ts.Check(err)
		if report.Streams > 0 {
			ts.Fatalf("%d streams were left", report.Streams)
		}
	})
	if !s.ReadyForConnections(20 * time.Second) {
		ts.Fatalf("NATS server does not start")
	}
	ts.Setenv("NATS", s.Addr().String())
	ts.Setenv("NATS_PASSWORD", "a-password-of-the-test")
}
