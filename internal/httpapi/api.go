package httpapi

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
	"github.com/chorale-rt/chorale/internal/engine"
	"github.com/chorale-rt/chorale/internal/policy"
	"github.com/chorale-rt/chorale/protocol"
)

// Verifier turns tokens into identities.
type Verifier interface {
	Verify(token string) (*auth.Identity, error)
}

// Options of the API.
type Options struct {
	Engine   engine.Engine
	Verifier Verifier
	Policy   func() *policy.Policy
	Logger   *slog.Logger
	Now      func() time.Time
	// DevSecret signs guest tokens. nil outside dev mode: then there are none.
	DevSecret []byte
}

// API serves the REST routes.
type API struct{ opts Options }

// New returns the API.
func New(o Options) *API { return &API{opts: o} }

// Register adds the routes under both prefixes (section 10).
func (a *API) Register(mux *http.ServeMux) {
	for _, prefix := range []string{"", "/realtime/v1"} {
		mux.HandleFunc("POST "+prefix+"/api/broadcast", a.cors(a.batch))
		mux.HandleFunc("POST "+prefix+"/api/broadcast/{topic}/events/{event}", a.cors(a.single))
		mux.HandleFunc("OPTIONS "+prefix+"/api/", a.cors(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
		mux.HandleFunc("GET "+prefix+"/api/ping", a.cors(func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, http.StatusOK, map[string]string{"message": "Success"})
		}))
	}
	if a.opts.DevSecret != nil {
		mux.HandleFunc("POST /dev/token", a.devToken)
	}
}

// cors lets browsers of any origin call: tokens, not origins, are what counts here.
func (a *API) cors(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Allow-Headers", "authorization, apikey, content-type, x-client-info")
		h.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
		h.Set("Access-Control-Max-Age", "86400")
		next(w, r)
	}
}

// identify returns who calls, or answers 401.
func (a *API) identify(w http.ResponseWriter, r *http.Request) *auth.Identity {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		token = r.Header.Get("Apikey")
	}
	id, err := a.opts.Verifier.Verify(token)
	if err != nil {
		writeJSON(w, http.StatusUnauthorized, map[string]string{"message": "Unauthorized"})
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
	writeJSON(w, http.StatusServiceUnavailable, map[string]string{
		"message": "The server cannot store anything at the moment; nothing was written", "code": protocol.CodeUnavailable,
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone; there is nobody to tell
}
