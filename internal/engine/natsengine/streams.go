package natsengine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// streamFormat is the version of the layout that subject.go and wire.go describe.
const streamFormat = 1

// What the streams' metadata say.
const (
	metaFormat     = "chorale-format"
	metaPartitions = "chorale-partitions"
	metaEpoch      = "chorale-epoch" // of logs that begin in the stream
)

// The server's answers that tell what to do next.
const (
	codeNoPeers       jetstream.ErrorCode = 10005
	codeNotClustered  jetstream.ErrorCode = 10074
	codeStreamExists  jetstream.ErrorCode = 10058
	codeStreamMissing jetstream.ErrorCode = 10059
	retryStreamsEvery                     = 250 * time.Millisecond
)

// openStreams makes the streams that are missing and brings the others to this
// program's layout. It tries until ctx ends, because a cluster that starts needs
// a moment.
func (st *store) openStreams(ctx context.Context) error {
	for {
		err := st.tryStreams(ctx)
		if err == nil || errors.Is(err, errLayout) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("open the streams: %w", err)
		case <-time.After(retryStreamsEvery):
		}
	}
}

// errLayout is a stream that this program cannot use.
var errLayout = errors.New("cannot be used")

func (st *store) tryStreams(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	st.making.Lock()
	defer st.making.Unlock()
	if st.partitions == 0 {
		n, err := st.countPartitions(ctx)
		if err != nil {
			return err
		}
		st.partitions = n
		st.parts = make([]part, n)
	}
	for p := range st.partitions {
		if err := st.openStream(ctx, p); err != nil {
			return fmt.Errorf("stream %s: %w", st.subjects.stream(p), err)
		}
	}
	return nil
}

// countPartitions asks the first stream how many were made.
func (st *store) countPartitions(ctx context.Context) (int, error) {
	s, err := st.js.Stream(ctx, st.subjects.stream(0))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return st.options.Partitions, nil
	}
	if err != nil {
		return 0, err
	}
	said := s.CachedInfo().Config.Metadata[metaPartitions]
	n, err := strconv.Atoi(said)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("stream %s: its metadata has %s %q, so it is not Chorale's: %w", st.subjects.stream(0), metaPartitions, said, errLayout)
	}
	if n != st.options.Partitions {
		st.options.Logger.Info("channels stay spread over as many streams as were made", "streams", n)
	}
	return n, nil
}

// openStream makes one stream or brings it up to date.
func (st *store) openStream(ctx context.Context, p int) error {
	s, err := st.js.Stream(ctx, st.subjects.stream(p))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = st.makeStream(ctx, p)
	}
	if err != nil {
		return err
	}
	cfg := s.CachedInfo().Config
	format, err := strconv.Atoi(cfg.Metadata[metaFormat])
	if err != nil || format > streamFormat {
		return fmt.Errorf("it has format %q and this program knows formats up to %d: use a newer Chorale: %w", cfg.Metadata[metaFormat], streamFormat, errLayout)
	}
	epoch := cfg.Metadata[metaEpoch]
	st.parts[p].epoch.Store(&epoch)
	want := st.config(p, epoch, cfg.Replicas)
	if st.options.Replicas > 0 {
		want.Replicas = st.options.Replicas
	}
	if sameLayout(&cfg, &want) {
		return nil
	}
	st.options.Logger.Info("stream is brought up to date", "stream", want.Name, "replicas", want.Replicas)
	_, err = st.js.UpdateStream(ctx, want)
	return err
}

// makeStream makes a stream with three replicas where there are three servers,
// unless the options say how many. When another node was quicker, its one counts.
func (st *store) makeStream(ctx context.Context, p int) (jetstream.Stream, error) {
	replicas := st.options.Replicas
	if replicas == 0 {
		replicas = 3
	}
	s, err := st.js.CreateStream(ctx, st.config(p, strings.ToLower(rand.Text()[:12]), replicas))
	if st.options.Replicas == 0 && errorCode(err) == codeNotClustered {
		s, err = st.js.CreateStream(ctx, st.config(p, strings.ToLower(rand.Text()[:12]), 1))
	}
	switch errorCode(err) {
	case codeStreamExists:
		return st.js.Stream(ctx, st.subjects.stream(p))
	case codeNoPeers:
		return nil, fmt.Errorf("fewer than %d servers can keep it; start them, or ask for fewer replicas: %w", replicas, err)
	}
	return s, err
}

// config is the stream of a partition as this program wants it.
func (st *store) config(p int, epoch string, replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        st.subjects.stream(p),
		Description: "Chorale: logs of channels",
		Subjects:    []string{st.subjects.log(p, ">"), st.subjects.part(p, ">")},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardNew,
		Replicas:    replicas,
		AllowDirect: true,
		// What a repeat is, entries say; the stream need not remember.
		Duplicates: time.Second,
		RePublish: &jetstream.RePublish{
			Source:      st.subjects.log(p, ">"),
			Destination: st.subjects.live(p, "log", ">"),
		},
		Metadata: map[string]string{
			metaFormat:     strconv.Itoa(streamFormat),
			metaPartitions: strconv.Itoa(st.partitions),
			metaEpoch:      epoch,
		},
	}
}

// sameLayout says whether a stream is as it should be, in what we set.
func sameLayout(a, b *jetstream.StreamConfig) bool {
	own := func(c *jetstream.StreamConfig) map[string]string {
		return map[string]string{
			metaFormat: c.Metadata[metaFormat], metaPartitions: c.Metadata[metaPartitions], metaEpoch: c.Metadata[metaEpoch],
			"subjects": strings.Join(c.Subjects, " "), "replicas": strconv.Itoa(c.Replicas),
			"direct": strconv.FormatBool(c.AllowDirect), "discard": c.Discard.String(),
			"republish": fmt.Sprint(c.RePublish != nil && *c.RePublish == *b.RePublish),
		}
	}
	return maps.Equal(own(a), own(b))
}

// errorCode is what the server answered; 0 for other errors.
func errorCode(err error) jetstream.ErrorCode {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return api.ErrorCode
	}
	return 0
}
