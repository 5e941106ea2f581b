package httpapi

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzBodies sends any body to every route that takes one. Whatever it is, the
// answer is JSON, and not a fault of the server.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{
		`{"event":"e","payload":{"a":1},"id":"m1","private":false}`,
		`{"client":"c","n":1,"id":"i","at":"0192f0c12b3c0001","op":"put","collection":"notes","record":"r1","fields":{"content":"x"},"sets":{"tags":{"a":true}},"counters":{"votes":1}}`,
		`[{"client":"c","n":1},{"client":"c","n":18446744073709551615,"at":"ffffffffffffffff","op":"restore"}]`,
		`{"content":"x","tags":["a"],"votes":{"increment":1e308}}`, `{"tags":{"add":["a"],"remove":["a"]}}`,
		`{"sub":"x","issuedBefore":1764000000000}`, `{"jti":"x"}`, `{"session":"x"}`, `null`, `[]`, `{`, `{"":{}}`, "\xff",
	} {
		f.Add(seed)
	}
	r := newRig(f)
	token := r.token("backend", "service_role")
	f.Fuzz(func(t *testing.T, body string) {
		for _, route := range []struct{ method, path string }{
			{"POST", interview + "/messages"}, {"POST", interview + "/mutations"}, {"PUT", notes + "/r1"}, {"PATCH", notes + "/r2"},
			{"PATCH", interview + "/collections/diary/records/d"}, {"POST", "/api/v1/admin/disconnect"}, {"POST", revocations},
		} {
			if route.path == revocations && strings.Contains(body, "backend") {
				continue // its own token
			}
			req := httptest.NewRequest(route.method, route.path, strings.NewReader(body))
			req.Header.Set("Authorization", "Bearer "+token)
			got := httptest.NewRecorder()
			r.handler.ServeHTTP(got, req)
			if got.Code < 200 || got.Code >= 500 || !json.Valid(got.Body.Bytes()) {
				t.Fatalf("%s %s: %d %s", route.method, route.path, got.Code, got.Body)
			}
		}
	})
}

// FuzzBroadcasts is the same for the routes of upstream's clients, whose bodies may
// be of any type: they are taken, which has no body, or refused as JSON.
func FuzzBroadcasts(f *testing.F) {
	for _, body := range []string{
		`{"messages":[{"topic":"room:1","event":"e","payload":{"a":1},"private":true,"id":"m1"}]}`,
		`{"messages":[{"topic":"x","event":"e","payload":{},"private":"TRUE","id":null}]}`,
		`{"messages":[]}`, `{"messages":{}}`, `{"messages":[null]}`, `{"messages":[{"topic":"\u0000","event":"","payload":[]}]}`, `[1]`, `null`, `{`, ``, "\xff\x00",
	} {
		for _, kind := range []string{"application/json", "application/octet-stream", "", "text/plain", "application/json; charset=x", ";;"} {
			f.Add(body, kind, "private=true&persist%5Bttl%5D=60")
		}
	}
	f.Add(`{}`, "", "persist=perhaps")
	r := newRig(f)
	token := r.token("backend", "service_role")
	f.Fuzz(func(t *testing.T, body, kind, query string) {
		for _, path := range []string{"/api/broadcast", "/realtime/v1/api/broadcast/room:1/events/e"} {
			req := httptest.NewRequest("POST", path, strings.NewReader(body))
			req.URL.RawQuery = query
			req.Header.Set("Apikey", token)
			req.Header.Set("Content-Type", kind)
			got := httptest.NewRecorder()
			r.handler.ServeHTTP(got, req)
			taken := got.Code == 202 && got.Body.Len() == 0
			refused := (got.Code == 415 || got.Code == 422 || got.Code == 429) && json.Valid(got.Body.Bytes())
			if !taken && !refused {
				t.Fatalf("%s?%s of %q: %d %s", path, query, kind, got.Code, got.Body)
			}
		}
	})
}

// FuzzQueries is the same for what stands behind the question mark.
func FuzzQueries(f *testing.F) {
	for _, seed := range []string{
		"after=1&epoch=x", "since=18446744073709551616", "limit=2&cursor=" + cursor{Epoch: "e", Offset: 1, After: "r1"}.String(), "private=false", "limit=%zz", ";", "cursor=e30",
	} {
		f.Add(seed)
	}
	r := newRig(f)
	token := r.token("backend", "service_role")
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range []string{interview + "/messages", interview + "/presence", notes, "/api/v1/channels", revocations} {
			req := httptest.NewRequest("GET", path, nil)
			req.URL.RawQuery = query
			req.Header.Set("Authorization", "Bearer "+token)
			got := httptest.NewRecorder()
			r.handler.ServeHTTP(got, req)
			if got.Code != 200 && got.Code != 400 && got.Code != 404 && got.Code != 410 || !json.Valid(got.Body.Bytes()) {
				t.Fatalf("%s?%s: %d %s", path, query, got.Code, got.Body)
			}
		}
	})
}
