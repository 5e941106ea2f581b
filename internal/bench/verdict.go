package bench

import (
	"bytes"
	"fmt"
	"sync"
)

// A breach is one way in which a server can break its promises.
type breach int

const (
	lost       breach = iota // acknowledged or delivered to others, and missing (R2, R3)
	duplicated               // there twice (R2, R4)
	disordered               // not where others have it (R1)
	failed                   // anything else that must not be
	breaches
)

// A verdict counts broken promises and remembers the first in words. Safe for
// concurrent use.
type verdict struct {
	mu     sync.Mutex // guards the following
	counts [breaches]int64
	first  string
}

// found counts one breach.
func (v *verdict) found(b breach, format string, args ...any) { v.count(b, 1, format, args...) }

// count counts so many breaches.
func (v *verdict) count(b breach, n int64, format string, args ...any) {
	const enough = 600 // bytes of explanation
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.first == "" {
		text := fmt.Sprintf(format, args...)
		v.first = text[:min(len(text), enough)]
	}
	v.counts[b] += n
}

// Write makes a breach of a line of a log: a client complains of what it was not
// promised, and of nothing else.
func (v *verdict) Write(line []byte) (int, error) {
	v.found(failed, "%s", bytes.TrimSpace(line))
	return len(line), nil
}

// clean says whether nothing was found so far.
func (v *verdict) clean() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.counts == [breaches]int64{}
}

// report writes what was found into f.
func (v *verdict) report(f *Figures) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f.Lost, f.Duplicated, f.OutOfOrder, f.Errors = v.counts[lost], v.counts[duplicated], v.counts[disordered], v.counts[failed]
	f.FirstError = v.first
}
