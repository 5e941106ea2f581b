package natsengine

import (
	"log/slog"
	"time"
)

// Options say how an Engine is opened. Servers must be given.
type Options struct {
	// Servers are the URLs of the NATS servers, nats://host:port or tls://…; one
	// that answers is enough.
	Servers []string

	// Credentials is the path of a file with the user's JWT and seed. Or Token, or
	// User and Password, or none of them when the URLs say it or nobody asks.
	Credentials    string
	Token          string
	User, Password string

	// CA is the path of a PEM file with the roots that the servers' certificates
	// are checked against; Certificate and Key are those of the client's own.
	CA, Certificate, Key string

	// Prefix begins all subjects and stream names, so that several clusters of
	// Chorale can share one of NATS: letters, digits, - and _. "" means chorale.
	Prefix string

	// Partitions is the number of streams that channels are spread over. It holds
	// when the streams are made; later the number that was made holds. 0 means 8.
	Partitions int

	// Replicas is how many servers keep each stream. 0 means 3 in a cluster and 1
	// on a single server; another number than the streams have changes them.
	Replicas int

	// OpenTimeout is how long Open waits for the servers. 0 means 30 seconds.
	OpenTimeout time.Duration

	// Patience is how long an append waits for the servers while they cannot take
	// it; then it fails with engine.ErrUnavailable. It waits as long for watchers on
	// this node that do not keep up; then it fails with engine.ErrOverloaded. 0 means
	// 12 seconds: the servers elect a new leader within 4 to 9 after one has died.
	Patience time.Duration

	// NodeTimeout is after how long without a sign of life a node counts as dead,
	// and its leases are gone. 0 means 5 seconds; signs come five times as often.
	NodeTimeout time.Duration

	// QuietAfter is how long after the last traffic of a channel it is checked
	// that nothing was missed. 0 means a second.
	QuietAfter time.Duration

	// Clock tells the time of entries, and how old they are. nil means time.Now.
	// All nodes should agree on the time within seconds.
	Clock func() time.Time

	// TombstoneAge is how long the engine remembers what is gone: deleted keys,
	// and the position of a channel that holds nothing any more. 0 means 90 days.
	TombstoneAge time.Duration

	// IdleAfter is how long a channel stays in memory after its last use. 0
	// means a minute.
	IdleAfter time.Duration

	// SweepEvery is how often each channel in memory is looked at for entries
	// that are too old, and for being idle. 0 means 10 seconds.
	SweepEvery time.Duration

	// MaxWaiting bounds the bytes that wait to be written, of all channels
	// together. Above it appends fail with engine.ErrOverloaded. 0 means 128 MiB.
	MaxWaiting int64

	// MaxMemory bounds the bytes that all channels together hold in memory, with
	// what waits. Near it channels that nobody watches leave memory, and above it
	// appends fail with engine.ErrOverloaded. 0 means 1 GiB.
	MaxMemory int64

	// Logger gets what an operator should know. nil means slog.Default().
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	durations := []struct {
		value *time.Duration
		def   time.Duration
	}{
		{&o.OpenTimeout, 30 * time.Second},
		{&o.Patience, 12 * time.Second},
		{&o.NodeTimeout, 5 * time.Second},
		{&o.QuietAfter, time.Second},
		{&o.TombstoneAge, 90 * 24 * time.Hour},
		{&o.IdleAfter, time.Minute},
		{&o.SweepEvery, 10 * time.Second},
	}
	for _, d := range durations {
		if *d.value <= 0 {
			*d.value = d.def
		}
	}
	if o.Prefix == "" {
		o.Prefix = "chorale"
	}
	if o.Partitions <= 0 {
		o.Partitions = 8
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.MaxWaiting <= 0 {
		o.MaxWaiting = 128 << 20
	}
	if o.MaxMemory <= 0 {
		o.MaxMemory = 1 << 30
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}
