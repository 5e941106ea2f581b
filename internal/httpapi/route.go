package httpapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/protocol"
)

// A request is one of an identity that was verified.
type request struct {
	*http.Request
	identity *auth.Identity
}

// An answer is what a request came to. The body is JSON; nil means none.
type answer struct {
	status   int
	body     any
	etag     string // version of the record that the body is, or that was written
	replayed bool   // the outcome of an earlier request with the same key
	// stream writes the body instead, bytes of no other kind. nil means none.
	stream func(http.ResponseWriter)
}

type handler func(r *request) (answer, *problem)

type route struct {
	method, path string
	admin        bool
	handle       handler
}

// routes are those under /api/v1; openapi.yaml describes each.
func (a *API) routes() []route {
	const (
		channel = "/api/v1/channels/{name}"
		records = channel + "/collections/{collection}/records"
		admin   = "/api/v1/admin"
	)
	return []route{
		{"GET", "/api/v1/channels", true, a.listChannels},
		{"GET", channel, false, a.getChannel},
		{"GET", channel + "/messages", false, a.history},
		{"POST", channel + "/messages", false, a.publishMessage},
		{"GET", channel + "/presence", false, a.getPresence},
		{"POST", channel + "/mutations", false, a.mutate},
		{"GET", records, false, a.listRecords},
		{"GET", records + "/{id}", false, a.getRecord},
		{"GET", records + "/{id}/history", false, a.getHistory},
		{"PUT", records + "/{id}", false, a.putRecord},
		{"PATCH", records + "/{id}", false, a.patchRecord},
		{"DELETE", records + "/{id}", false, a.deleteRecord},
		{"GET", admin + "/backup", true, a.takeBackup},
		{"POST", admin + "/disconnect", true, a.disconnect},
		{"GET", admin + "/revocations", true, a.listRevocations},
		{"POST", admin + "/revocations", true, a.addRevocation},
		{"DELETE", admin + "/revocations/{id}", true, a.deleteRevocation},
	}
}

// registerV1 adds the routes, and below them an answer for every other path and
// method that begins like them.
func (a *API) registerV1(mux Router) {
	allowed := map[string][]string{}
	for _, r := range a.routes() {
		mux.HandleFunc(r.method+" "+r.path, a.cors(a.serve(r)))
		allowed[r.path] = append(allowed[r.path], r.method)
	}
	paths := pathsOf(allowed)
	other := a.cors(func(w http.ResponseWriter, r *http.Request) {
		_, path := paths.Handler(r)
		otherwise(r, allowed[path]).write(w)
	})
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		mux.HandleFunc(method+" /api/v1/", other)
	}
	mux.HandleFunc("OPTIONS /api/v1/", a.cors(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
}

func otherwise(r *http.Request, allowed []string) *problem {
	if len(allowed) == 0 {
		return refuse(&protocol.Error{Code: protocol.CodeNotFound, Message: "There is no such route; /openapi.json lists them"})
	}
	slices.Sort(allowed)
	list := strings.Join(allowed, ", ")
	p := refuse(&protocol.Error{Code: protocol.CodeMethodNotAllowed, Message: r.Method + " is not for this route; it knows " + list})
	p.allow = list
	return p
}

// serve is the one place that knows who calls, and that writes answers.
func (a *API) serve(route route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		identity, err := a.opts.Verifier.Verify(bearer(r))
		if err != nil {
			tokenProblem(err).write(w)
			return
		}
		if route.admin && !a.isAdmin(identity) {
			refuse(&protocol.Error{Code: protocol.CodeUnauthorized, Message: "This takes a token with the role of administrators"}).write(w)
			return
		}
		got, refused := route.handle(&request{r, identity})
		if refused != nil {
			refused.write(w)
			return
		}
		a.write(w, route, got)
	}
}

func (a *API) isAdmin(id *auth.Identity) bool { return id.Role == a.opts.AdminRole }

func (a *API) write(w http.ResponseWriter, route route, got answer) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if got.etag != "" {
		h.Set("ETag", `"`+got.etag+`"`)
	}
	if got.replayed {
		h.Set("Idempotency-Replayed", "true")
	}
	if got.stream != nil {
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Connection", "close") // it may have a deadline left
		w.WriteHeader(got.status)
		got.stream(w)
		return
	}
	if got.body == nil {
		w.WriteHeader(got.status)
		return
	}
	body, err := json.Marshal(got.body)
	if err != nil {
		a.engineProblem(route.method+" "+route.path, err).write(w)
		return
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(got.status)
	_, _ = w.Write(body) // the client may be gone; there is nobody to tell
}
