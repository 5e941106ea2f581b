package collection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

// Options of a Store. The zero value works.
type Options struct {
	// Clock is the server's time: it limits stamps, and dates changes. nil means
	// time.Now.
	Clock func() time.Time
	// Log is told of what must not happen: a damaged row, an error that the
	// engine does not declare. nil means silence.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// A Store applies mutations to the records of an engine's channels. It keeps
// nothing that the engine has not, owns no goroutine, and may be used
// concurrently.
type Store struct {
	eng   engine.Engine
	opts  Options
	gate  gate
	cache cache
}

// New makes a Store over an engine, which stays the caller's to close.
func New(eng engine.Engine, opts Options) *Store {
	return &Store{eng: eng, opts: opts.withDefaults(), gate: newGate()}
}

// A Target is where a mutation goes.
type Target struct {
	Channel    string // as the engine names it
	Durability engine.Durability
	Retention  engine.Retention
	Specs      map[string]Spec // the collections that the author may use, by name
}

// An Author is who makes a mutation.
type Author struct {
	Subject string // the token's sub: owner of the client id, createdBy, updatedBy
	Origin  string // the member that the mutation came from, for engine.Entry.Origin; "" for none
}

// maxAttempts bounds how often a mutation is decided anew because its record
// moved. Writers of this node queue after the first attempt, so that more than
// a few means that other nodes are hammering the same record.
const maxAttempts = 32

// maxEchoed bounds the current record that a refusal carries into the log, in
// bytes: a refusal of a hundred bytes must not write a quarter of a megabyte.
// The author's direct answer has it whatever its size.
const maxEchoed = 16 << 10

// Apply decides what becomes of a mutation and appends that to the channel's
// log. When it returns an outcome the mutation's n is consumed, and every
// watcher on this node was handed the change before.
//
// An error consumed nothing. When it is Retryable the same mutation may be
// applied again, and has its effect once even if the first did reach the log.
// Codes: forbidden_client, client_unknown, out_of_order with Expect (M1);
// invalid_mutation for a client id or n that cannot be; overloaded,
// storage_unavailable, realtime_restarting; internal_error.
func (s *Store) Apply(ctx context.Context, target Target, m *protocol.Mutation, author Author) (protocol.Outcome, *protocol.Error) {
	if err := checkAddress(m); err != nil {
		return protocol.Outcome{}, err
	}
	a := &application{store: s, target: target, m: m, author: author, id: entryID(m)}
	a.spec, a.fault = admit(target, m)
	if a.fault == nil {
		a.recordKey = recordPrefix(m.Collection) + m.Record
	}
	outcome, refused, err := a.attempt(ctx)
	if errors.Is(err, errMoved) {
		outcome, refused, err = a.queue(ctx)
	}
	switch {
	case refused != nil:
		return protocol.Outcome{}, refused
	case errors.Is(err, errMoved):
		return protocol.Outcome{}, overloaded("too many write this record at once; send it again")
	case err != nil:
		return protocol.Outcome{}, s.failed("apply", target.Channel, err)
	}
	return outcome, nil
}

// admit judges a mutation without its record.
func admit(target Target, m *protocol.Mutation) (Spec, *fault) {
	if f := checkMutation(m); f != nil {
		return Spec{}, f
	}
	spec, granted := target.Specs[m.Collection]
	if !granted {
		return Spec{}, &fault{code: protocol.CodeUnknownCollection, path: "/collection",
			sentence: m.Collection + ": there is no such collection here"}
	}
	return spec, nil
}

func recordPrefix(collection string) string { return "r/" + collection + "/" }

func rowKey(client string) string { return "c/" + client }

func entryID(m *protocol.Mutation) string {
	return m.Client + ":" + strconv.FormatUint(m.N, 10)
}

// errMoved: the record or the row is not what was read; decide again.
var errMoved = errors.New("record or client row has moved")

// failed makes the wire's error of what an engine, or a damaged row, said.
// Unexpected errors are logged here, because the wire does not carry their cause.
func (s *Store) failed(op, channel string, err error) *protocol.Error {
	switch {
	case errors.Is(err, engine.ErrOverloaded):
		return overloaded("too much is waiting to be written; send it again")
	case errors.Is(err, engine.ErrUnavailable):
		return &protocol.Error{Code: protocol.CodeUnavailable, Retryable: true, RetryAfterMs: 2000,
			Message: "the store cannot be written at the moment; send it again"}
	case errors.Is(err, engine.ErrClosed):
		return &protocol.Error{Code: protocol.CodeShuttingDown, Retryable: true, RetryAfterMs: 1000,
			Message: "the server is restarting; send it again"}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &protocol.Error{Code: protocol.CodeUnavailable, Retryable: true, RetryAfterMs: 500,
			Message: "the store did not answer in time; send it again"}
	}
	s.opts.Log.Error("collection", slog.String("op", op), slog.String("channel", channel), slog.Any("error", err))
	return &protocol.Error{Code: protocol.CodeInternal, Retryable: true, RetryAfterMs: 5000,
		Message: "the server could not do this; send it again"}
}

func overloaded(sentence string) *protocol.Error {
	return &protocol.Error{Code: protocol.CodeOverloaded, Retryable: true, RetryAfterMs: 500, Message: sentence}
}

// loadRow reads a client's row; a client that is not known has last 0.
func (s *Store) loadRow(ctx context.Context, channel, client string) (clientRow, uint64, error) {
	value, err := s.eng.Get(ctx, channel, rowKey(client))
	if err != nil {
		return clientRow{}, 0, fmt.Errorf("get row of client %s: %w", client, err)
	}
	if value.Version == 0 {
		return clientRow{}, 0, nil
	}
	row, err := parseRow(value.Data)
	if err != nil {
		return clientRow{}, 0, fmt.Errorf("parse row of client %s: %w", client, err)
	}
	return row, value.Version, nil
}

// loadRecord reads a record, tombstones included; nil when there is none.
func (s *Store) loadRecord(ctx context.Context, channel, key string) (*protocol.Record, error) {
	value, err := s.eng.Get(ctx, channel, key)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	if value.Version == 0 {
		return nil, nil
	}
	if rec := s.cache.get(channel, key, value.Data); rec != nil {
		return rec, nil
	}
	rec, err := decodeRecord(value.Data, value.Version)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	s.cache.put(channel, key, value.Data, rec)
	return rec, nil
}
