package main

import (
	"log/slog"
	"os"
	"strings"
	"sync"
)

// reloader is a server whose rules can be read anew.
type reloader interface{ Reload() error }

// reloadOn reads the rules anew whenever one of these signals comes. What it
// returns ends that and waits for it.
func reloadOn(signals <-chan os.Signal, s reloader, log *slog.Logger) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-signals:
				reload(s, log)
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

// reload says what came of it, with a line of the log for each faulty line of the
// rules.
func reload(s reloader, log *slog.Logger) {
	err := s.Reload()
	if err == nil {
		log.Info("rules reloaded")
		return
	}
	for fault := range strings.Lines(err.Error()) {
		log.Error("rules not reloaded, the old ones stand", "fault", strings.TrimSuffix(fault, "\n"))
	}
}
