package httpapi

import (
	"net/http"
	"strconv"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/policy"
	"github.com/chorale-rt/chorale/protocol"
)

// Metrics is what the API counts.
type Metrics interface{ Limited(limit string) }

type uncounted struct{}

func (uncounted) Limited(string) {}

// calls takes n messages from what one caller may do: a sub, or an address when
// the token names nobody. Who is neither, such as a backend on this machine with
// a key of its own, is held to the limits of channels alone.
func (a *API) calls(r *http.Request, id *auth.Identity, n int) limit.Excess {
	caller := "sub:" + id.Subject
	if id.Subject == "" {
		address := a.opts.Proxies.Client(r.RemoteAddr, r.Header.Values("X-Forwarded-For"))
		if !address.IsValid() {
			return limit.Excess{}
		}
		caller = "from:" + address.String()
	}
	return a.counted(a.opts.Limits.Call(caller, n))
}

// charge takes n writes of size bytes together from what all senders of a channel
// may do. It comes after the question whether this one may write there.
func (a *API) charge(p policy.Channel, name protocol.Channel, n, size int) limit.Excess {
	return a.counted(a.opts.Limits.Publish(a.opts.Limits.Channel(p.Limits()), name.Log(), n, size))
}

// tooLarge says whether a broadcast is larger than its channel takes.
func (a *API) tooLarge(p policy.Channel, size int) limit.Excess {
	return a.counted(a.opts.Limits.Channel(p.Limits()).Payload(size))
}

func (a *API) counted(excess limit.Excess) limit.Excess {
	if excess.Over() {
		a.opts.Metrics.Limited(string(excess.Limit))
	}
	return excess
}

// send is tooLarge and charge for one broadcast.
func (a *API) send(p policy.Channel, name protocol.Channel, size int) limit.Excess {
	if excess := a.tooLarge(p, size); excess.Over() {
		return excess
	}
	return a.charge(p, name, 1, size)
}

// writes charges n mutations of size bytes together to the caller and the channel,
// and says why not. Nothing of them is written then.
func (a *API) writes(r *request, p policy.Channel, name protocol.Channel, n, size int) *problem {
	excess := a.calls(r.Request, r.identity, n)
	if !excess.Over() {
		excess = a.charge(p, name, n, size)
	}
	return tooMuch(excess)
}

// tooMuch is the problem of an excess; nil when there is none.
func tooMuch(excess limit.Excess) *problem {
	if !excess.Over() {
		return nil
	}
	e := &protocol.Error{Code: protocol.CodeRateLimited, Message: excess.Sentence(), Retryable: true, RetryAfterMs: excess.RetryAfterMs()}
	if excess.Limit == limit.Payload {
		e.Code, e.Path, e.Retryable = protocol.CodePayloadTooLarge, "/payload", false
	}
	return refuse(e)
}

// answerExcess answers as clients of upstream read it. field is where the message
// stands that was too large.
func answerExcess(w http.ResponseWriter, excess limit.Excess, field, where string) {
	if excess.Limit == limit.Payload {
		tooLarge(w, field, where)
		return
	}
	ms := excess.RetryAfterMs()
	w.Header().Set("Retry-After", strconv.FormatInt((ms+999)/1000, 10))
	writeJSON(w, http.StatusTooManyRequests, upstreamError{Message: excess.Sentence(), Code: protocol.CodeRateLimited, Retryable: true, RetryAfterMs: ms})
}
