package httpapi

import (
	"encoding/json"
	"net/http"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/presence"
)

type presencePage struct {
	Entries  int             `json:"entries"`
	Presence json.RawMessage `json:"presence"` // as presence_state has it
	Cursor   string          `json:"cursor,omitempty"`
}

const maxPresence = 500 // entries of a page, of up to 16 KiB each

// getPresence is GET …/presence.
func (a *API) getPresence(r *request) (answer, *problem) {
	name, _, refused := a.enter(r, auth.Join, auth.Presence)
	if refused != nil {
		return answer{}, refused
	}
	limit, refused := number(r, "limit", maxPresence, 1, maxPresence)
	if refused != nil {
		return answer{}, refused
	}
	leases, err := a.opts.Engine.Leases(r.Context(), name.Log())
	if err != nil {
		return answer{}, a.engineProblem("presence", err)
	}
	cursor := r.URL.Query().Get("cursor")
	for len(leases) > 0 && leases[0].Holder <= cursor { // ordered by holder
		leases = leases[1:]
	}
	var page presencePage
	if len(leases) > int(limit) {
		leases = leases[:limit]
		page.Cursor = leases[len(leases)-1].Holder
	}
	var state presence.State
	state.Load(leases)
	page.Entries, page.Presence = state.Len(), state.Payload()
	return answer{status: http.StatusOK, body: page}, nil
}
