package embedded

import (
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
)

// pebbleLog is where Pebble reports. Its Fatalf is meant to end the process;
// here it ends writing instead, in a way that depends on what Pebble would do
// if Fatalf returned.
type pebbleLog struct {
	log    *slog.Logger
	health *health
	opened atomic.Bool // Open has returned, so nobody would catch a panic
	parked atomic.Bool // a goroutine of Pebble waits in Fatalf
}

// openError is the panic of a Fatalf while the store is being opened.
type openError struct{ error }

func (l *pebbleLog) Infof(format string, args ...any) {
	l.log.Debug("pebble: " + fmt.Sprintf(format, args...))
}

func (l *pebbleLog) Errorf(format string, args ...any) {
	l.log.Warn("pebble: " + fmt.Sprintf(format, args...))
}

func (l *pebbleLog) Fatalf(format string, args ...any) {
	err := newPebbleError(format, args)
	if !l.opened.Load() {
		panic(openError{err})
	}
	l.health.fail(err)
	switch {
	case strings.HasPrefix(format, "pebble: fatal commit error"):
		// Commit returns, and store.commit sees that writing has ended.
	case format == "%+v":
		// A file is missing. The operation that wanted it fails after this.
	case strings.Contains(err.Error(), "MANIFEST"):
		// Pebble would go on to delete tables that the file on disk may name. It
		// must not: the goroutine stays here until Close, and then ends.
		l.parked.Store(true)
		<-l.health.closing
		runtime.Goexit()
	default:
		panic(err) // Pebble contradicts itself, and means to end the process
	}
}

// pebbleError is a message of Pebble's that keeps the error it tells of.
type pebbleError struct {
	text  string
	cause error
}

func newPebbleError(format string, args []any) *pebbleError {
	e := &pebbleError{text: fmt.Sprintf(format, args...)}
	for _, a := range args {
		if cause, ok := a.(error); ok {
			e.cause = cause
		}
	}
	return e
}

func (e *pebbleError) Error() string { return e.text }
func (e *pebbleError) Unwrap() error { return e.cause }

// quietLog reports nothing. What is fatal is an openError, for catchFatal.
func quietLog() *pebbleLog { return &pebbleLog{log: slog.New(slog.DiscardHandler)} }
