package main

import (
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"chorale": func() { os.Exit(run(os.Args[1:])) }})
}

// TestCommandLine runs the scripts in testdata/script against the real command.
func TestCommandLine(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Deadline: time.Now().Add(time.Minute)})
}
