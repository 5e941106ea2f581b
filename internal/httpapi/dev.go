package httpapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/chorale-rt/chorale/internal/auth"
)

// guestTTL is how long a guest token is good. The app fetches the next one
// before that.
const guestTTL = time.Hour

// devToken is POST /dev/token: a guest token for the app, in dev mode only.
// Guests name themselves; that is what dev mode means, and why it listens on
// loopback only.
func (a *API) devToken(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Name string `json:"name"`
		Sub  string `json:"sub"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&body); err != nil {
		writeJSON(w, http.StatusUnprocessableEntity, map[string]string{"message": `the body must be {"name": "…", "sub": "guest-…"}`})
		return
	}
	name := strings.TrimSpace(body.Name)
	if name == "" || utf8.RuneCountInString(name) > 60 {
		writeJSON(w, http.StatusUnprocessableEntity, map[string]string{"message": "name must have 1 to 60 characters"})
		return
	}
	sub := body.Sub
	if !strings.HasPrefix(sub, "guest-") || len(sub) > 64 {
		sub = "guest-" + uuid.NewString()
	}
	token, err := auth.Mint(a.opts.DevSecret, auth.MintOptions{Subject: sub, Role: "guest", Name: name, TTL: guestTTL})
	if err != nil {
		a.opts.Logger.Error("guest token not made", "error", err)
		writeJSON(w, http.StatusInternalServerError, map[string]string{"message": "the token could not be made"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"token": token, "sub": sub, "name": name, "expiresAt": a.opts.Now().Add(guestTTL).UnixMilli(),
	})
}
