package httpapi

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
)

// TestAuthorization is every operation by every kind of caller. In the rules a
// member may do all, a reader may join and read, and a stranger may do nothing;
// the service role may also read the diary, and administers.
func TestAuthorization(t *testing.T) {
	const (
		ok     = "" // the operation's own status, below 300
		denied = "403 unauthorized"
		rule   = "403 forbidden" // the collection's write condition
	)
	diary := interview + "/collections/diary/records"
	mutation := `{"client":"CLIENT","n":1,"id":"i","at":"0192f0c12b3c0001","op":"put","collection":"notes","record":"m","fields":{"content":"x"}}`
	type call struct{ method, path, body string }
	type row struct {
		call
		member, reader, stranger, service string
	}
	table := map[string]row{
		"get a channel":           {call{"GET", interview, ""}, ok, ok, denied, ok},
		"get a public channel":    {call{"GET", interview + "?private=false", ""}, ok, ok, ok, ok},
		"get a ruleless channel":  {call{"GET", "/api/v1/channels/lost", ""}, denied, denied, denied, ok},
		"history":                 {call{"GET", interview + "/messages", ""}, ok, ok, denied, ok},
		"history of a vault":      {call{"GET", "/api/v1/channels/vault:1/messages", ""}, ok, denied, denied, denied},
		"history of a public one": {call{"GET", interview + "/messages?private=false", ""}, ok, ok, ok, ok},
		"publish":                 {call{"POST", interview + "/messages", `{"event":"e"}`}, ok, denied, denied, ok},
		"publish in a public one": {call{"POST", interview + "/messages", `{"event":"e","private":false}`}, ok, ok, ok, ok},
		"publish without a rule":  {call{"POST", "/api/v1/channels/lost/messages", `{"event":"e"}`}, denied, denied, denied, denied},
		"presence":                {call{"GET", interview + "/presence", ""}, ok, denied, denied, ok},
		"mutate":                  {call{"POST", interview + "/mutations", mutation}, ok, ok, denied, ok}, // each result says for itself
		"list records":            {call{"GET", notes, ""}, ok, ok, denied, ok},
		"get a record":            {call{"GET", notes + "/r0", ""}, ok, ok, denied, ok},
		"history of a record":     {call{"GET", notes + "/r0/history", ""}, ok, ok, denied, ok},
		"of a vault's record":     {call{"GET", "/api/v1/channels/vault:1/collections/papers/records/p0/history", ""}, ok, denied, denied, denied},
		"a record of a vault":     {call{"GET", "/api/v1/channels/vault:1/collections/papers/records/p0", ""}, ok, ok, denied, denied},
		"of an unreadable one":    {call{"GET", diary + "/d0/history", ""}, denied, denied, denied, ok},
		"put a record":            {call{"PUT", notes + "/r1", `{"content":"x"}`}, ok, rule, denied, ok},
		"patch a record":          {call{"PATCH", notes + "/r0", `{"content":"x"}`}, ok, rule, denied, ok},
		"delete another's record": {call{"DELETE", notes + "/r0", ""}, rule, rule, denied, rule},
		"list unreadable records": {call{"GET", diary, ""}, denied, denied, denied, ok},
		"get an unreadable one":   {call{"GET", diary + "/d0", ""}, denied, denied, denied, ok},
		"put an unreadable one":   {call{"PUT", diary + "/d1", `{"a":1}`}, ok, rule, denied, ok},
		"list channels":           {call{"GET", "/api/v1/channels", ""}, denied, denied, denied, ok},
		"take a backup":           {call{"GET", "/api/v1/admin/backup", ""}, denied, denied, denied, ok},
		"disconnect":              {call{"POST", "/api/v1/admin/disconnect", `{"sub":"x"}`}, denied, denied, denied, ok},
		"revoke":                  {call{"POST", "/api/v1/admin/revocations", `{"sub":"x"}`}, denied, denied, denied, ok},
		"list revocations":        {call{"GET", "/api/v1/admin/revocations", ""}, denied, denied, denied, ok},
		"take a revocation back":  {call{"DELETE", "/api/v1/admin/revocations/x", ""}, denied, denied, denied, "404 not_found"},
	}
	known := http.NewServeMux() // tells which route a row is of
	left := map[string]bool{}
	for _, route := range newRig(t).api.routes() {
		pattern := route.method + " " + route.path
		known.Handle(pattern, http.NotFoundHandler())
		left[pattern] = true
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		row := table[name]
		_, pattern := known.Handler(httptest.NewRequest(row.method, row.path, nil))
		delete(left, pattern)
		r := newRig(t)
		author := r.token("author", "member")
		r.do("PUT", notes+"/r0", author, `{"content":"x"}`).want(201)
		r.do("PUT", diary+"/d0", author, `{"a":1}`).want(201)
		r.do("PUT", "/api/v1/channels/vault:1/collections/papers/records/p0", author, `{"a":1}`).want(201)
		expired, err := auth.Mint(testSecret, auth.MintOptions{Subject: "ada", Role: "service_role", TTL: time.Second, Now: func() time.Time { return time.Now().Add(-time.Hour) }})
		if err != nil {
			t.Fatal(err)
		}
		r.do("POST", "/api/v1/admin/revocations", r.token("root", "service_role"), `{"sub":"revoked"}`).want(201)
		for _, tt := range []struct{ who, token, want string }{
			{"nobody", "", "401 api_key_missing"},
			{"an expired token", expired, "401 token_expired"},
			{"a revoked token", r.token("revoked", "service_role"), "401 token_revoked"},
			{"a stranger", r.token("eve", "guest"), row.stranger},
			{"a reader", r.token("ben", "reader"), row.reader},
			{"a member", r.token("ada", "member"), row.member},
			{"the service role", r.token("backend", "service_role"), row.service},
		} {
			t.Run("[R7] [A1] "+name+" as "+tt.who, func(t *testing.T) {
				got := r.do(row.method, row.path, tt.token, row.body)
				said := ""
				if got.status >= 300 {
					said = got.header.Get("Content-Type")
					if said == "application/problem+json" {
						p := into[problem](got)
						said = strconv.Itoa(got.status) + " " + p.Code
					}
				}
				if said != tt.want {
					t.Errorf("%q, want %q: %s", said, tt.want, got.body)
				}
			})
		}
	}
	for pattern := range left {
		t.Errorf("no row is of %s", pattern)
	}
}

func TestARuleDecidesAboutEachMutation(t *testing.T) {
	r := newRig(t)
	push := `{"client":"c","n":1,"id":"i","at":"0192f0c12b3c0001","op":"put","collection":"notes","record":"m","fields":{"content":"x"}}`
	t.Run("[M5] in its result", func(t *testing.T) {
		got := into[mutatedList](r.do("POST", interview+"/mutations", r.token("ben", "reader"), push).want(200))
		if o := got.Results[0].Outcome; o.Status != "rejected" || o.Error.Code != "forbidden" {
			t.Errorf("%+v", o)
		}
	})
}
