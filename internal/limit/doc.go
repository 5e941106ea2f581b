// Package limit says how much one sender may ask for, and keeps what is needed to
// know when it asks for more.
//
// # What it is
//
// A [Rate] is a sustained amount per second and a burst. A [Bucket] is what one
// sender has used of one rate: a single instant, so that ten thousand sessions
// hold their buckets by value and nothing has to run to fill them. [Settings] are
// the limits of a server, and a [Limiter] holds them together with what senders
// share: channels, callers of the HTTP API, sockets.
//
// Limits act on the one who sends. They answer with an [Excess], which says what
// was too much and after which time the same request may pass; what becomes of
// it is decided by whoever asked. Nothing here closes, delays or delivers.
//
// # Laws
//
//   - In any span of t seconds no more than Burst + PerSecond × t passes, and one
//     request that is larger than the burst: it passes when the bucket is full and
//     is paid off afterwards, because otherwise it could never pass.
//   - Who waits for as long as an Excess says, and has no competitor, passes.
//   - What is refused costs nothing.
//   - A bucket at rest is like a new one, so it need not be kept.
//
// # Time
//
// Instants are nanoseconds on the clock that a Limiter was given, counted from
// its making. They do not go back when the wall clock does.
//
// # Concurrency
//
// A Bucket, a [Meter] and a [Sender] belong to one goroutine at a time. A Limiter
// may be used from any. No call blocks, starts a goroutine or sets a timer.
package limit
