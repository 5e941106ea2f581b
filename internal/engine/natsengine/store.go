package natsengine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/engine/chanlog"
)

// Headers of the messages in a stream, and of what the servers send.
const (
	headerExpected = "Nats-Expected-Last-Subject-Sequence"
	headerSequence = "Nats-Sequence"
	headerLast     = "Nats-Last-Sequence"
	headerStatus   = "Status"
	headerPieces   = "Chorale-Pieces" // sequences of the messages that are the body
)

const (
	// headroom is what a message may need besides its body.
	headroom = 4 << 10
	// readBatch is how many messages one request reads at most, and readBytes after
	// how much it ends: enough to pay for the way, little enough to be there within
	// tryFor, and for all repairs at a time to hold it.
	readBatch = 512
	readBytes = 1 << 20
)

var (
	// errMoved: the log's end was not where the append expected it. Nothing was stored.
	errMoved = errors.New("the log has moved on")
	// errUnsure comes with errMoved when the request was repeated: it may have been
	// stored itself.
	errUnsure = errors.New("or it was stored before")
	// errGone: a message is not in the stream any more.
	errGone = errors.New("no longer in the stream")
	// errNoStream: the stream itself is not there.
	errNoStream = errors.New("stream is missing")
	// errRefused: the servers will not store it, and have not.
	errRefused = errors.New("refused by the servers")
)

// store is the streams. Its methods may be called concurrently. Errors that are
// none of the above mean that the outcome is unknown.
type store struct {
	nc         *nats.Conn
	js         jetstream.JetStream
	options    *Options
	subjects   subjects
	partitions int
	parts      []part
	making     sync.Mutex // held by who opens the streams
}

// part is what is known of one stream.
type part struct {
	epoch   atomic.Pointer[string] // of logs that begin in it
	trouble atomic.Int64           // Unix ms since when it takes no writes; 0 while it does
	usual   atomic.Int64           // ns that its leader takes to answer, about
}

// stored is a message of a log.
type stored struct {
	seq, last uint64 // its place in the stream, and that of the one before it in this log; last is only known of what is live
	body      []byte
	pieces    []uint64 // where the body is, when it is not here
}

// size is what the message takes of the stream, about.
func (m *stored) size() int { return len(m.body) + 64 }

func newStored(msg *nats.Msg) (stored, error) {
	m := stored{body: msg.Data}
	var err error
	if m.seq, err = strconv.ParseUint(msg.Header.Get(headerSequence), 10, 64); err != nil {
		return stored{}, fmt.Errorf("message without %s: %w", headerSequence, chanlog.ErrCorrupt)
	}
	if last := msg.Header.Get(headerLast); last != "" {
		m.last, err = strconv.ParseUint(last, 10, 64)
	}
	if list := msg.Header.Get(headerPieces); list != "" && err == nil {
		m.pieces, err = parsePieces(list)
	}
	return m, err
}

func parsePieces(list string) ([]uint64, error) {
	var out []uint64
	for s := range strings.SplitSeq(list, ",") {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", headerPieces, list, chanlog.ErrCorrupt)
		}
		out = append(out, n)
	}
	return out, nil
}

// append stores a message at the end of a channel's log, when that is where it
// is expected; else errMoved. What is too large goes ahead in pieces.
func (st *store) append(ctx context.Context, p int, channel string, body []byte, expected uint64) (seq uint64, pieces []uint64, err error) {
	if len(body) > st.pieceSize() {
		if pieces, err = st.appendPieces(ctx, p, channel, body); err != nil {
			return 0, nil, err
		}
	}
	seq, err = st.appendBody(ctx, p, channel, body, pieces, expected)
	return seq, pieces, err
}

// appendBody is append of a body whose pieces, if it has some, are stored.
func (st *store) appendBody(ctx context.Context, p int, channel string, body []byte, pieces []uint64, expected uint64) (uint64, error) {
	msg := nats.NewMsg(st.subjects.log(p, channel))
	msg.Header.Set(headerExpected, strconv.FormatUint(expected, 10))
	if len(pieces) == 0 {
		msg.Data = body
		return st.publish(ctx, p, msg)
	}
	list := make([]string, len(pieces))
	for i, n := range pieces {
		list[i] = strconv.FormatUint(n, 10)
	}
	msg.Header.Set(headerPieces, strings.Join(list, ","))
	return st.publish(ctx, p, msg)
}

// pieceSize is the largest body of one message.
func (st *store) pieceSize() int { return max(int(st.nc.MaxPayload())-headroom, headroom) }

func (st *store) appendPieces(ctx context.Context, p int, channel string, body []byte) ([]uint64, error) {
	var pieces []uint64
	for len(body) > 0 {
		n := min(len(body), st.pieceSize())
		msg := nats.NewMsg(st.subjects.part(p, channel))
		msg.Data = body[:n]
		seq, err := st.publish(ctx, p, msg) // a piece that is stored twice goes with the others
		if err != nil {
			return nil, err
		}
		pieces, body = append(pieces, seq), body[n:]
	}
	return pieces, nil
}

// answer is what the servers answer to a publish or a read.
type answer struct {
	Error   *jetstream.APIError `json:"error"`
	Seq     uint64              `json:"seq"`
	Message *struct {
		Seq     uint64 `json:"seq"`
		Headers []byte `json:"hdrs"`
		Data    []byte `json:"data"`
	} `json:"message"`
}

func (st *store) publish(ctx context.Context, p int, msg *nats.Msg) (uint64, error) {
	reply, repeated, err := st.request(ctx, p, msg)
	if errors.Is(err, nats.ErrMaxPayload) {
		return 0, fmt.Errorf("%w: %w", errRefused, err)
	}
	if err != nil {
		return 0, err
	}
	var a answer
	if err := json.Unmarshal(reply.Data, &a); err != nil {
		return 0, fmt.Errorf("answer to a publish: %w", err)
	}
	if a.Error != nil {
		err := publishError(a.Error)
		if repeated && errors.Is(err, errMoved) {
			err = fmt.Errorf("%w, %w", err, errUnsure)
		}
		return 0, err
	}
	if a.Seq == 0 {
		return 0, errors.New("answer to a publish without a sequence")
	}
	return a.Seq, nil
}

const (
	codeWrongLast     jetstream.ErrorCode = 10071
	codeWrongLastOpen jetstream.ErrorCode = 10164 // another append is under way
	codeNoMessage     jetstream.ErrorCode = 10037
)

// publishError says what an answer means. What a server answers while it is
// short of something or without a leader passes.
func publishError(e *jetstream.APIError) error {
	switch {
	case e.ErrorCode == codeWrongLast || e.ErrorCode == codeWrongLastOpen:
		return errMoved
	case e.ErrorCode == codeStreamMissing:
		return errNoStream
	case e.Code >= 500:
		return e
	}
	return fmt.Errorf("%w: %w", errRefused, e)
}

// ask sends a request to the JetStream API, which the stream's leader answers.
func (st *store) ask(ctx context.Context, what string, p int, request any) (*answer, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	msg := nats.NewMsg("$JS.API." + what + "." + st.subjects.stream(p))
	msg.Data = body
	reply, _, err := st.request(ctx, p, msg) // reads and purges do no more when they are done twice
	if err != nil {
		return nil, err
	}
	a := new(answer)
	if err := json.Unmarshal(reply.Data, a); err != nil {
		return nil, fmt.Errorf("answer to %s: %w", what, err)
	}
	if a.Error == nil {
		return a, nil
	}
	switch a.Error.ErrorCode {
	case codeNoMessage:
		return nil, errGone
	case codeStreamMissing:
		return nil, errNoStream
	}
	return nil, a.Error
}

// getRequest is a request for messages. Exactly one of Last and Next is set, or
// Seq alone.
type getRequest struct {
	Last     string `json:"last_by_subj,omitempty"`
	Next     string `json:"next_by_subj,omitempty"`
	Seq      uint64 `json:"seq,omitempty"`
	Batch    int    `json:"batch,omitempty"`
	MaxBytes int    `json:"max_bytes,omitempty"`
}

// leaderGet reads one message from the leader, which misses nothing that was
// acknowledged.
func (st *store) leaderGet(ctx context.Context, p int, r getRequest) (stored, error) {
	a, err := st.ask(ctx, "STREAM.MSG.GET", p, r)
	if err != nil {
		return stored{}, err
	}
	if a.Message == nil {
		return stored{}, errors.New("answer to a read without a message")
	}
	m := stored{seq: a.Message.Seq, body: a.Message.Data}
	if len(a.Message.Headers) > 0 {
		h, err := nats.DecodeHeadersMsg(a.Message.Headers)
		if err != nil {
			return stored{}, err
		}
		if list := h.Get(headerPieces); list != "" {
			m.pieces, err = parsePieces(list)
		}
		return m, err
	}
	return m, nil
}

// end returns the newest message of a log as the leader has it; errGone when
// there is none.
func (st *store) end(ctx context.Context, p int, channel string) (stored, error) {
	return st.leaderGet(ctx, p, getRequest{Last: st.subjects.log(p, channel)})
}

// between returns the messages of a log from one place on up to that of its
// newest, end, in order. Those that were purged are missing from the front.
func (st *store) between(ctx context.Context, p int, channel string, from uint64, end stored) ([]stored, error) {
	var out []stored
	for from <= end.seq {
		got, err := st.step(ctx, p, channel, from, end)
		if err != nil {
			return nil, err
		}
		out = append(out, got...)
		from = got[len(got)-1].seq + 1
	}
	return out, nil
}

// step returns the first of the messages that between does: one at least, and no
// more than one request reads.
func (st *store) step(ctx context.Context, p int, channel string, from uint64, end stored) ([]stored, error) {
	if from >= end.seq {
		return []stored{end}, nil
	}
	got, err := st.readSome(ctx, p, channel, from)
	if err != nil {
		return nil, err
	}
	if len(got) == 0 {
		// A replica that lags may have answered; the leader does not.
		m, err := st.leaderGet(ctx, p, getRequest{Seq: from, Next: st.subjects.log(p, channel)})
		if err != nil {
			return nil, err
		}
		got = append(got, m)
	}
	if i := slices.IndexFunc(got, func(m stored) bool { return m.seq >= end.seq }); i >= 0 {
		got = append(got[:i], end)
	}
	return got, nil
}

// readSome reads messages from any replica.
func (st *store) readSome(ctx context.Context, p int, channel string, from uint64) ([]stored, error) {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	inbox := st.nc.NewInbox()
	sub, err := st.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only with the connection
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, err
	}
	request := getRequest{Seq: max(from, 1), Next: st.subjects.log(p, channel), Batch: readBatch, MaxBytes: readBytes}
	body, err := json.Marshal(&request)
	if err != nil {
		return nil, err
	}
	if err := st.nc.PublishRequest("$JS.API.DIRECT.GET."+st.subjects.stream(p), inbox, body); err != nil {
		return nil, err
	}
	var out []stored
	for {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		switch status := msg.Header.Get(headerStatus); status {
		case "":
			m, err := newStored(msg)
			if err != nil {
				return nil, err
			}
			m.last = 0 // here it is that of the batch
			out = append(out, m)
		case "204", "404":
			return out, nil
		default:
			return nil, fmt.Errorf("read of a log: status %s %s", status, msg.Header.Get("Description"))
		}
	}
}

// body returns a message's body, reading its pieces where it has some.
func (st *store) body(ctx context.Context, p int, m *stored) ([]byte, error) {
	if len(m.pieces) == 0 {
		return m.body, nil
	}
	var out []byte
	for _, seq := range m.pieces {
		piece, err := st.leaderGet(ctx, p, getRequest{Seq: seq})
		if err != nil {
			return nil, err
		}
		out = append(out, piece.body...)
	}
	return out, nil
}

// purge deletes what a subject holds below a place in the stream.
func (st *store) purge(ctx context.Context, p int, subject string, below uint64) error {
	_, err := st.ask(ctx, "STREAM.PURGE", p, struct {
		Filter string `json:"filter"`
		Below  uint64 `json:"seq"`
	}{subject, below})
	return err
}

// epoch is that of logs that begin in a partition.
func (st *store) epoch(p int) string { return *st.parts[p].epoch.Load() }

// worked and failed note whether a partition takes writes.
func (st *store) worked(p int) {
	if st.parts[p].trouble.Load() != 0 {
		st.parts[p].trouble.Store(0)
	}
}

func (st *store) failed(p int, now int64) { st.parts[p].trouble.CompareAndSwap(0, now) }

// unavailable wraps a cause for callers of the engine.
func unavailable(cause error) error {
	if errors.Is(cause, engine.ErrUnavailable) || errors.Is(cause, engine.ErrClosed) || errors.Is(cause, errBehind) {
		return cause
	}
	return fmt.Errorf("%w: %w", engine.ErrUnavailable, cause)
}
