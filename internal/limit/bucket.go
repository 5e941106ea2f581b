package limit

import "time"

// A Rate is how much of something may be done: PerSecond in the long run, Burst
// at once after a rest. What is counted, messages or bytes, is up to the user.
//
// PerSecond below 0 means no limit. The zero Rate means no limit to a Bucket, and
// the default in [Settings].
type Rate struct{ PerSecond, Burst int }

// maxPerSecond keeps the nanoseconds of one unit above zero, and those of the
// largest burst within an int64.
const maxPerSecond = 1_000_000_000

// off says that there is no limit.
func (r Rate) off() bool { return r.PerSecond <= 0 }

// worth is the time in which n are given back, rounded down: with a burst of
// three the third of three passes.
func (r Rate) worth(n int) int64 { return int64(n) * int64(time.Second) / int64(r.PerSecond) }

// A Bucket is what one sender has used of a rate. The zero Bucket has used
// nothing. It is 8 bytes, and refills by the passing of time alone.
//
// It is the token bucket in its other form, the generic cell rate algorithm: the
// instant at which everything that was taken has been given back.
type Bucket struct{ full int64 }

// wait is how long n have to wait, 0 when they may pass now.
func (b *Bucket) wait(now int64, r Rate, n int) time.Duration {
	if r.off() {
		return 0
	}
	// More than the burst passes when the bucket is full, see the package's laws.
	passes := max(b.full, now) + r.worth(min(n, r.Burst)) - r.worth(r.Burst)
	return time.Duration(max(passes-now, 0))
}

func (b *Bucket) use(now int64, r Rate, n int) {
	if !r.off() {
		b.full = max(b.full, now) + r.worth(n)
	}
}

// Take takes n, or says how long to wait and takes nothing. The rate may be
// another than the last time; n must not be negative.
func (b *Bucket) Take(now int64, r Rate, n int) time.Duration {
	wait := b.wait(now, r, n)
	if wait == 0 {
		b.use(now, r, n)
	}
	return wait
}

// atRest says that the bucket is as good as a new one.
func (b *Bucket) atRest(now int64) bool { return b.full <= now }

// A Flow is what a stream of messages is held to: how many, and how many bytes.
type Flow struct{ Messages, Bytes Rate }

// off says that there is nothing to hold it to.
func (f Flow) off() bool { return f.Messages.off() && f.Bytes.off() }

// A Meter is what one stream has used of a Flow. The zero Meter has used nothing.
type Meter struct{ messages, bytes Bucket }

// take takes n messages of size bytes together, or nothing of either.
func (m *Meter) take(now int64, f *Flow, n, size int) (messages, bytes time.Duration) {
	messages, bytes = m.messages.wait(now, f.Messages, n), m.bytes.wait(now, f.Bytes, size)
	if messages == 0 && bytes == 0 {
		m.messages.use(now, f.Messages, n)
		m.bytes.use(now, f.Bytes, size)
	}
	return messages, bytes
}

func (m *Meter) atRest(now int64) bool { return m.messages.atRest(now) && m.bytes.atRest(now) }
