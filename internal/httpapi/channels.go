package httpapi

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/hub"
	"github.com/chorale-rt/chorale/protocol"
)

type channelInfo struct {
	Name    string `json:"name"`
	Private bool   `json:"private"`
	Members int    `json:"members"` // on this node
	Epoch   string `json:"epoch"`
	Offset  uint64 `json:"offset"`
}

type channelPage struct {
	Channels []channelInfo `json:"channels"`
	Cursor   string        `json:"cursor,omitempty"`
}

const maxList = 500 // of what administrators list

// listChannels is GET /channels: those with members on this node.
func (a *API) listChannels(r *request) (answer, *problem) {
	limit, refused := number(r, "limit", maxList, 1, maxList)
	if refused != nil {
		return answer{}, refused
	}
	list := a.opts.Hub.List()
	slices.SortFunc(list, func(a, b hub.Info) int { return strings.Compare(a.Name.Log(), b.Name.Log()) })
	list, next := paged(list, r.URL.Query().Get("cursor"), int(limit), func(i hub.Info) string { return i.Name.Log() })
	page := channelPage{Channels: make([]channelInfo, len(list)), Cursor: next}
	for i, ch := range list {
		at, err := a.opts.Engine.Head(r.Context(), ch.Name.Log())
		if err != nil {
			return answer{}, a.engineProblem("list channels", err)
		}
		page.Channels[i] = channelInfo{Name: ch.Name.Name, Private: ch.Name.Private, Members: ch.Members, Epoch: at.Epoch, Offset: at.Offset}
	}
	return answer{status: http.StatusOK, body: page}, nil
}

// paged cuts a page out of a list that is ordered by key: what comes behind
// after, and the key behind which the next page begins, "" for none.
func paged[T any](list []T, after string, limit int, key func(T) string) (page []T, next string) {
	start, _ := slices.BinarySearchFunc(list, after, func(t T, after string) int {
		if key(t) <= after {
			return -1
		}
		return 1
	})
	list = list[start:]
	if len(list) <= limit {
		return list, ""
	}
	return list[:limit], key(list[limit-1])
}

type channelDetail struct {
	Name        string   `json:"name"`
	Private     bool     `json:"private"`
	Epoch       string   `json:"epoch"`
	Offset      uint64   `json:"offset"`
	Durability  string   `json:"durability"`
	Collections []string `json:"collections"` // that the caller may read

	// Members are those on this node, for administrators only; not more than
	// maxList of them.
	Members  *int         `json:"members,omitempty"`
	Sessions []memberInfo `json:"sessions,omitempty"`
}

type memberInfo struct {
	Session string `json:"session"`
	Subject string `json:"sub"`
}

// getChannel is GET /channels/{name}, for those who may join, and administrators.
func (a *API) getChannel(r *request) (answer, *problem) {
	name, refused := channel(r)
	if refused != nil {
		return answer{}, refused
	}
	p := a.opts.Policy().Channel(name)
	if fault := p.May(auth.Join, r.identity); fault != nil && !a.isAdmin(r.identity) {
		return answer{}, refuse(fault)
	}
	at, err := a.opts.Engine.Head(r.Context(), name.Log())
	if err != nil {
		return answer{}, a.engineProblem("get channel", err)
	}
	detail := channelDetail{Name: name.Name, Private: name.Private, Epoch: at.Epoch, Offset: at.Offset, Durability: p.Durability.String(), Collections: []string{}}
	for _, c := range slices.Sorted(maps.Keys(p.Target(r.identity).Specs)) {
		if p.Collections([]string{c}, r.identity) == nil {
			detail.Collections = append(detail.Collections, c)
		}
	}
	if a.isAdmin(r.identity) {
		detail.Members, detail.Sessions = a.members(name)
	}
	return answer{status: http.StatusOK, body: detail}, nil
}

func (a *API) members(name protocol.Channel) (*int, []memberInfo) {
	origins := a.opts.Hub.Origins(name)
	n := len(origins)
	var out []memberInfo
	for _, origin := range origins[:min(n, maxList)] {
		if session, sub, ok := a.opts.Sessions.Member(origin); ok {
			out = append(out, memberInfo{session, sub})
		}
	}
	return &n, out
}
