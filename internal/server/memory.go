package server

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Ten thousand people who come at once leave as much garbage as they then hold,
// and when they only listen nothing makes the collector look for it, nor the
// runtime give back what is free. A quiet server does both, once.

// lookEvery is how often it is asked whether the server is quiet.
const lookEvery = 5 * time.Second

// memoryLook is what the runtime says of its heap, in bytes.
type memoryLook struct {
	allocated uint64 // ever
	live      uint64 // what the newest collection found in use
	objects   uint64 // in use, or garbage since then
	free      uint64 // of the operating system's, in no use
}

const (
	// minGain is what collecting must promise to give back, in bytes.
	minGain = 4 << 20
	// mostQuiet is what a quiet server allocates between two looks at most, in bytes.
	// One that works must not be stopped: with 400,000 memberships a collection
	// takes more than a second of a CPU. Where the heartbeats of a hundred thousand
	// people are more than that, the runtime gives back what it has too much of.
	mostQuiet = 5 << 20
)

// quietSince says that since the look before hardly anything was allocated.
func (m memoryLook) quietSince(before memoryLook) bool {
	return m.allocated-before.allocated < mostQuiet
}

// worth is what collecting must gain, in bytes: what it costs grows with what lives.
func (m memoryLook) worth() uint64 { return max(minGain, m.live/8) }

// gain is what a collection may give back.
func (m memoryLook) gain() uint64 {
	garbage := m.objects - min(m.live, m.objects)
	return garbage + m.free
}

// tidy decides for a look and the one before. done is what had been allocated
// when it was last tidied: what was not given back then will not be now.
func tidy(before, now memoryLook, done uint64) bool {
	return now.quietSince(before) && now.gain() >= now.worth() && now.allocated-done >= now.worth()
}

// keepTidy gives memory back whenever the server has become quiet, until ctx ends.
func keepTidy(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	before, done := look(), uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := look()
		if tidy(before, now, done) {
			debug.FreeOSMemory()
			done = now.allocated
		}
		before = now
	}
}

func look() memoryLook {
	samples := [...]metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples[:])
	return memoryLook{
		allocated: samples[0].Value.Uint64(), live: samples[1].Value.Uint64(),
		objects: samples[2].Value.Uint64(), free: samples[3].Value.Uint64(),
	}
}
