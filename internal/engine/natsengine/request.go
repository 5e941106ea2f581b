package natsengine

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// tryFor is how long one request to the servers may take, with its repeats. A
	// leader that has died does not answer; its successor is there after seconds.
	tryFor = 2 * time.Second
	// repeatAfter is after how long without an answer a request is repeated at the
	// earliest, when answers usually take no time.
	repeatAfter = 150 * time.Millisecond
	// usualTimes is how many times as long as usual an answer may take besides. A
	// server that is slow is not to be asked more often for that.
	usualTimes = 4
)

// request asks the leader of a partition. A leader that steps down does not
// answer what reached it last, so what is not answered for much longer than usual
// is asked again, and after twice as long again. It says whether it was: then the
// request may have been obeyed more than once, or refused because it had been
// obeyed.
func (st *store) request(ctx context.Context, p int, msg *nats.Msg) (reply *nats.Msg, repeated bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	part := &st.parts[p]
	for wait := part.patience(); ; wait *= 2 {
		began := time.Now()
		asking, stop := context.WithTimeout(ctx, wait)
		reply, err = st.nc.RequestMsgWithContext(asking, msg)
		stop()
		if err == nil {
			part.answered(time.Since(began))
			return reply, repeated, nil
		}
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return nil, repeated, err
		}
		repeated = true
	}
}

// patience is how long an answer is waited for before it is asked for again.
func (p *part) patience() time.Duration {
	return repeatAfter + usualTimes*time.Duration(p.usual.Load())
}

// answered notes how long an answer has taken. Two at a time may overwrite each
// other, which an average can bear.
func (p *part) answered(took time.Duration) {
	usual := p.usual.Load()
	p.usual.Store(usual + (int64(took)-usual)/8)
}
