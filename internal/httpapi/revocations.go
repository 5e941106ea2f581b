package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/protocol"
)

// A RevocationLog keeps the revocations in a log of the engine, as durable as
// power, and its set as the log says. Its methods may be called concurrently.
type RevocationLog struct {
	opts  RevocationOptions
	moved chan struct{} // the log has moved; capacity 1

	mu   sync.Mutex      // guards the following; held while the log is written or read, so that neither overtakes
	at   engine.Position // of the log when list was read
	list []revocation    // by id
}

// RevocationOptions are what a RevocationLog works with. All must be given.
type RevocationOptions struct {
	Engine engine.Engine
	Set    *auth.Revocations // what the verifier asks
	// Recheck judges the tokens of open sessions anew, after Set has changed. It
	// is called by Run and may take its time.
	Recheck func()
	Now     func() time.Time
	Logger  *slog.Logger
}

const (
	// revocationLog is the name of the log. Channels have names that begin with
	// o: or p:, so that no client can write here.
	revocationLog    = "s:revocations"
	revocationPrefix = "revocation/"

	// maxRevocations bounds what administrators can make this and every later
	// run of the server hold in memory: some 20 MB.
	maxRevocations = 100_000
	// maxPruned are the ended revocations that one addition clears away.
	maxPruned = 100
)

// revocation is one as it is stored and answered.
type revocation struct {
	ID           string `json:"id"`
	TokenID      string `json:"jti,omitempty"`
	Subject      string `json:"sub,omitempty"`
	IssuedBefore int64  `json:"issuedBefore,omitempty"` // Unix ms
	ExpiresAt    int64  `json:"expiresAt,omitempty"`    // Unix ms
	CreatedAt    int64  `json:"createdAt"`              // Unix ms
	CreatedBy    string `json:"createdBy"`
}

func (v *revocation) request() *revocationRequest {
	return &revocationRequest{TokenID: v.TokenID, Subject: v.Subject, IssuedBefore: v.IssuedBefore, ExpiresAt: v.ExpiresAt}
}

func (v *revocation) endedAt(now int64) bool { return v.ExpiresAt != 0 && v.ExpiresAt <= now }

// NewRevocationLog reads the log into the set. Without it revoked tokens would
// be good, so who cannot call it must not serve.
func NewRevocationLog(ctx context.Context, o RevocationOptions) (*RevocationLog, error) {
	l := &RevocationLog{opts: o, moved: make(chan struct{}, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.loadLocked(ctx); err != nil {
		return nil, fmt.Errorf("revocations: %w", err)
	}
	return l, nil
}

// Run follows the log until ctx ends: whoever wrote to it, the set takes it over,
// and open sessions are judged anew. It may be called once.
func (l *RevocationLog) Run(ctx context.Context) error {
	_, stop, err := l.opts.Engine.Watch(ctx, revocationLog, engine.SinkFunc(func([]engine.Event) {
		select {
		case l.moved <- struct{}{}:
		default: // one look is due already, and will see this as well
		}
	}))
	if err != nil {
		return fmt.Errorf("revocations: watch: %w", err)
	}
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.moved:
			l.follow(ctx)
		}
	}
}

func (l *RevocationLog) follow(ctx context.Context) {
	if err := l.refresh(ctx); err != nil {
		l.opts.Logger.Error("revocations not read; the next change tries again", "error", err)
		return
	}
	l.opts.Recheck()
}

// refresh reads the log unless it is as it was read last.
func (l *RevocationLog) refresh(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	head, err := l.opts.Engine.Head(ctx, revocationLog)
	if err != nil || head == l.at {
		return err
	}
	return l.loadLocked(ctx)
}

// all returns the list, which must not be changed.
func (l *RevocationLog) all() []revocation {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.list
}

// put stores a revocation under an id that its content decides: of each kind
// there is one per jti or sub, and issuedBefore only ever moves ahead, so that
// asking twice, or late, takes nothing back. When it returns, tokens are judged
// by it.
func (l *RevocationLog) put(ctx context.Context, q revocationRequest, by string) (revocation, *protocol.Error, error) {
	now := l.opts.Now().UnixMilli()
	v := revocation{
		ID: q.id(), TokenID: q.TokenID, Subject: q.Subject,
		IssuedBefore: q.IssuedBefore, ExpiresAt: q.ExpiresAt, CreatedAt: now, CreatedBy: by,
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	at, known := l.findLocked(v.ID)
	if known {
		v.IssuedBefore = max(v.IssuedBefore, l.list[at].IssuedBefore)
	}
	puts := l.prunedLocked(now, v.ID)
	if !known && len(l.list)-len(puts) >= maxRevocations {
		return revocation{}, &protocol.Error{Code: protocol.CodeTooManyRevocations,
			Message: fmt.Sprintf("There are %d revocations; give them an expiresAt, or delete some", maxRevocations)}, nil
	}
	data, err := json.Marshal(v)
	if err != nil {
		return revocation{}, nil, err
	}
	return v, nil, l.appendLocked(ctx, append(puts, engine.Put{Key: revocationPrefix + v.ID, Data: data}))
}

func (q *revocationRequest) id() string {
	switch {
	case q.TokenID != "":
		return digest("jti", q.TokenID)
	case q.IssuedBefore != 0:
		return digest("sub, issued before", q.Subject)
	}
	return digest("sub", q.Subject)
}

func (l *RevocationLog) findLocked(id string) (at int, found bool) {
	return slices.BinarySearchFunc(l.list, id, func(v revocation, id string) int { return strings.Compare(v.ID, id) })
}

// prunedLocked are tombstones for revocations that have ended, but not for the
// one that is about to be written.
func (l *RevocationLog) prunedLocked(now int64, keep string) []engine.Put {
	var puts []engine.Put
	for i := range l.list {
		if v := &l.list[i]; v.endedAt(now) && v.ID != keep && len(puts) < maxPruned {
			puts = append(puts, engine.Put{Key: revocationPrefix + v.ID, Tombstone: true})
		}
	}
	return puts
}

// remove takes a revocation back; false when there is none.
func (l *RevocationLog) remove(ctx context.Context, id string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, found := l.findLocked(id); !found {
		return false, nil
	}
	return true, l.appendLocked(ctx, []engine.Put{{Key: revocationPrefix + id, Tombstone: true}})
}

func (l *RevocationLog) appendLocked(ctx context.Context, puts []engine.Put) error {
	_, err := l.opts.Engine.Append(ctx, revocationLog, engine.Write{
		Kind: engine.KindMessage, Data: []byte("{}"), Puts: puts, Durability: engine.Disk,
	})
	if err != nil {
		return err
	}
	return l.loadLocked(ctx)
}

func (l *RevocationLog) loadLocked(ctx context.Context) error {
	at, values, err := l.opts.Engine.State(ctx, revocationLog, revocationPrefix, 0)
	if err != nil {
		return err
	}
	list, set := make([]revocation, len(values)), make([]auth.Revocation, len(values))
	for i, value := range values {
		if err := json.Unmarshal(value.Data, &list[i]); err != nil {
			return fmt.Errorf("read %s: %w", value.Key, err)
		}
		set[i] = list[i].request().revocation()
	}
	l.at, l.list = at, list
	l.opts.Set.Replace(set)
	return nil
}
