package httpapi

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/collection"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/hub"
	"github.com/chorale-rt/chorale/internal/limit"
	"github.com/chorale-rt/chorale/internal/policy"
	"github.com/chorale-rt/chorale/protocol"
)

// Verifier turns tokens into identities.
type Verifier interface {
	Verify(token string) (*auth.Identity, error)
}

// Sessions is what administrators do with open connections.
type Sessions interface {
	// DisconnectSubject closes the connections of a sub and says how many.
	DisconnectSubject(sub string) int
	// DisconnectSession closes one connection; false when there is none.
	DisconnectSession(id string) bool
	// Member says whose membership an origin (hub.Options.Origin) names.
	Member(origin string) (session, sub string, ok bool)
}

// Options of the API.
type Options struct {
	Engine      engine.Engine
	Hub         *hub.Hub
	Collections *collection.Store
	Verifier    Verifier
	Policy      func() *policy.Policy
	Sessions    Sessions
	Revocations *RevocationLog
	Limits      *limit.Limiter // nil means that nothing is limited
	Proxies     limit.Proxies  // are believed when they say where a request came from
	Metrics     Metrics        // nil counts nothing
	Logger      *slog.Logger
	Now         func() time.Time
	// AdminRole is the role whose tokens may administer. "" means service_role.
	AdminRole string
	// DevSecret signs guest tokens. nil outside dev mode: then there are none.
	DevSecret []byte
}

// API serves the REST routes.
type API struct {
	opts    Options
	authors *authors
	openapi func() ([]byte, error) // the document as JSON, made once

	backingUp atomic.Bool // a backup is being taken
}

// New returns the API.
func New(o Options) *API {
	if o.AdminRole == "" {
		o.AdminRole = "service_role"
	}
	if o.Limits == nil {
		o.Limits = limit.New(limit.Unlimited(), o.Now)
	}
	if o.Metrics == nil {
		o.Metrics = uncounted{}
	}
	return &API{opts: o, authors: newAuthors(), openapi: sync.OnceValues(openAPI)}
}

// Router takes routes; http.ServeMux is one.
type Router interface {
	HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request))
}

// Register adds the routes: those of broadcasts under both prefixes, the API of
// backends, and its description (section 10).
func (a *API) Register(mux Router) {
	allowed := map[string]string{}
	for _, prefix := range []string{"", "/realtime/v1"} {
		allowed[prefix+"/api/broadcast"] = "POST"
		allowed[prefix+"/api/broadcast/{topic}/events/{event}"] = "POST"
		allowed[prefix+"/api/ping"] = "GET"
		mux.HandleFunc("POST "+prefix+"/api/broadcast", a.cors(a.batch))
		mux.HandleFunc("POST "+prefix+"/api/broadcast/{topic}/events/{event}", a.cors(a.single))
		mux.HandleFunc("OPTIONS "+prefix+"/api/", a.cors(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
		mux.HandleFunc("GET "+prefix+"/api/ping", a.cors(func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, http.StatusOK, map[string]string{"message": "Success"})
		}))
	}
	// What else stands under the paths of clients is no page of an app's.
	other := a.cors(noRoute(allowed))
	for _, under := range []string{"/api/", "/realtime/v1/", "/socket/"} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			mux.HandleFunc(method+" "+under, other)
		}
	}
	a.registerV1(mux)
	mux.HandleFunc("GET /openapi.json", a.cors(a.serveOpenAPI))
	if a.opts.DevSecret != nil {
		mux.HandleFunc("POST /dev/token", a.devToken)
	}
}

// noRoute answers clients whose address is wrong, or whose method is, for the paths
// of allowed; those of upstream print the message. A HEAD only asks what there is.
func noRoute(allowed map[string]string) http.HandlerFunc {
	paths := pathsOf(allowed)
	return func(w http.ResponseWriter, r *http.Request) {
		_, path := paths.Handler(r)
		if method := allowed[path]; method != "" && r.Method != http.MethodHead {
			w.Header().Set("Allow", method)
			writeJSON(w, http.StatusMethodNotAllowed, upstreamError{
				Message: r.Method + " is not for this route; it knows " + method, Code: protocol.CodeMethodNotAllowed,
			})
			return
		}
		writeJSON(w, http.StatusNotFound, upstreamError{
			Message: "There is no route for " + r.Method + " here; /openapi.json lists them", Code: protocol.CodeNotFound,
		})
	}
}

// pathsOf tells a wrong method from a wrong path: it knows the keys of allowed.
func pathsOf[T any](allowed map[string]T) *http.ServeMux {
	paths := http.NewServeMux()
	for path := range allowed {
		paths.Handle(path, http.NotFoundHandler())
	}
	return paths
}

// cors lets browsers of any origin call: tokens, not origins, are what counts here.
func (a *API) cors(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Allow-Headers", "authorization, apikey, content-type, x-client-info, idempotency-key, if-match, if-none-match")
		h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS")
		h.Set("Access-Control-Expose-Headers", "ETag, Retry-After, Idempotency-Replayed")
		h.Set("Access-Control-Max-Age", "86400")
		next(w, r)
	}
}

// bearer is the token that a request carries; "" for none. The name of the scheme
// may be in any case (RFC 9110).
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		token = r.Header.Get("Apikey")
	}
	return token
}

// identify returns who calls, or answers 401.
func (a *API) identify(w http.ResponseWriter, r *http.Request) *auth.Identity {
	id, err := a.opts.Verifier.Verify(bearer(r))
	if err != nil {
		writeJSON(w, http.StatusUnauthorized, upstreamError{Message: "Unauthorized"})
		return nil
	}
	return id
}

// publish appends one message.
func (a *API) publish(r *http.Request, name protocol.Channel, w engine.Write) error {
	p := a.opts.Policy().Channel(name)
	w.Durability, w.Retention = max(w.Durability, p.Durability), p.Retention
	_, err := a.opts.Engine.Append(r.Context(), name.Log(), w)
	return err
}

// unavailable answers for an engine that did not take a write.
func (a *API) unavailable(w http.ResponseWriter, err error) {
	a.opts.Logger.Warn("publish refused", "error", err)
	w.Header().Set("Retry-After", "1")
	writeJSON(w, http.StatusServiceUnavailable, upstreamError{
		Message: "The server cannot store anything at the moment; nothing was written", Code: protocol.CodeUnavailable, Retryable: true, RetryAfterMs: 1000,
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone; there is nobody to tell
}
