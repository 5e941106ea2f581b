package httpapi

import (
	"net/http"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/protocol"
)

type disconnectRequest struct {
	Subject string `json:"sub"`
	Session string `json:"session"`
}

type disconnected struct {
	Disconnected int `json:"disconnected"` // connections of this node
}

// disconnect is POST /admin/disconnect. Clients fetch a new token and come
// back; to keep somebody out takes a revocation.
func (a *API) disconnect(r *request) (answer, *problem) {
	who, refused := decode[disconnectRequest](r, maxSmallBody)
	if refused != nil {
		return answer{}, refused
	}
	n := 0
	switch {
	case (who.Subject == "") == (who.Session == ""):
		return answer{}, unreadable("", "give either sub or session")
	case who.Subject != "":
		n = a.opts.Sessions.DisconnectSubject(who.Subject)
	case a.opts.Sessions.DisconnectSession(who.Session):
		n = 1
	}
	a.opts.Logger.Info("disconnected", "sub", who.Subject, "session", who.Session, "connections", n, "by", r.identity)
	return answer{status: http.StatusOK, body: disconnected{n}}, nil
}

type revocationRequest struct {
	TokenID      string `json:"jti"`
	Subject      string `json:"sub"`
	IssuedBefore int64  `json:"issuedBefore"` // Unix ms
	ExpiresAt    int64  `json:"expiresAt"`    // Unix ms
}

const maxClaimBytes = 1024 // of a jti or a sub; tokens have 16 KiB in all

func (q *revocationRequest) fault() *problem {
	r := q.revocation()
	err := r.Validate()
	switch {
	case err != nil:
		return unreadable("", "%v", err)
	case len(q.TokenID) > maxClaimBytes || len(q.Subject) > maxClaimBytes:
		return unreadable("", "jti and sub have at most %d bytes", maxClaimBytes)
	case q.IssuedBefore < 0 || q.ExpiresAt < 0 || q.IssuedBefore > maxMillis || q.ExpiresAt > maxMillis:
		return unreadable("", "issuedBefore and expiresAt are milliseconds since 1970, up to %d", int64(maxMillis))
	}
	return nil
}

// maxMillis is the end of the year 9999, the last that a token can name.
const maxMillis = 253402300799999

func (q *revocationRequest) revocation() auth.Revocation {
	return auth.Revocation{TokenID: q.TokenID, Subject: q.Subject, IssuedBefore: fromMillis(q.IssuedBefore), ExpiresAt: fromMillis(q.ExpiresAt)}
}

// fromMillis is the instant of Unix ms; 0 is none.
func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// addRevocation is POST /admin/revocations. Tokens are refused from the answer
// on; open sessions end within moments.
func (a *API) addRevocation(r *request) (answer, *problem) {
	q, refused := decode[revocationRequest](r, maxSmallBody)
	if refused == nil {
		refused = q.fault()
	}
	if refused != nil {
		return answer{}, refused
	}
	stored, fault, err := a.opts.Revocations.put(r.Context(), q, r.identity.Subject)
	switch {
	case fault != nil:
		return answer{}, refuse(fault)
	case err != nil:
		return answer{}, a.engineProblem("add revocation", err)
	}
	a.opts.Logger.Info("token revoked", "revocation", stored.ID, "by", r.identity)
	return answer{status: http.StatusCreated, body: stored}, nil
}

type revocationPage struct {
	Revocations []revocation `json:"revocations"`
	Cursor      string       `json:"cursor,omitempty"`
}

// listRevocations is GET /admin/revocations, in the order of their ids.
func (a *API) listRevocations(r *request) (answer, *problem) {
	limit, refused := number(r, "limit", maxList, 1, maxList)
	if refused != nil {
		return answer{}, refused
	}
	list, next := paged(a.opts.Revocations.all(), r.URL.Query().Get("cursor"), int(limit), func(v revocation) string { return v.ID })
	return answer{status: http.StatusOK, body: revocationPage{append([]revocation{}, list...), next}}, nil
}

// deleteRevocation is DELETE /admin/revocations/{id}: the tokens are good again.
func (a *API) deleteRevocation(r *request) (answer, *problem) {
	id := r.PathValue("id")
	found, err := a.opts.Revocations.remove(r.Context(), id)
	switch {
	case err != nil:
		return answer{}, a.engineProblem("delete revocation", err)
	case !found:
		return answer{}, refuse(&protocol.Error{Code: protocol.CodeNotFound, Message: "There is no such revocation"})
	}
	a.opts.Logger.Info("revocation taken back", "revocation", id, "by", r.identity)
	return answer{status: http.StatusNoContent}, nil
}
