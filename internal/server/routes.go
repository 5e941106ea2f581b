package server

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/pprof"
	"path"
	"strings"
	"time"

	"github.com/chorale-rt/chorale/web/notes"
)

// healthz says that the process runs.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n")) // nobody to tell
}

// readyz says whether writes are taken.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	why := ""
	if err := s.engine.Healthy(); err != nil {
		why = err.Error()
	} else if !s.ready.Load() {
		why = "draining"
	}
	if why != "" {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(why + "\n")) // nobody to tell
		return
	}
	_, _ = w.Write([]byte("ready\n")) // nobody to tell
}

// tenantHealth answers what dashboards of upstream ask of a tenant. There is one
// here, under whatever name; its database is the log.
func (s *Server) tenantHealth(w http.ResponseWriter, _ *http.Request) {
	writable := s.engine.Healthy() == nil
	w.Header().Set("Content-Type", "application/json")
	// The client may be gone; there is nobody to tell.
	_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{
		"healthy": writable && s.ready.Load(), "db_connected": writable, "connected_cluster": s.transport.Conns(),
	}})
}

// profiles is the server of profiles, on an address of its own; nil when none
// was asked for.
func (s *Server) profiles() *http.Server {
	if s.opts.PprofAddr == "" {
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return &http.Server{Addr: s.opts.PprofAddr, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
}

const notBuilt = `<!doctype html><meta charset="utf-8"><title>Chorale</title>
<style>body{font:16px/1.5 system-ui;margin:4rem auto;max-width:40rem;padding:0 1rem}</style>
<h1>The server runs; the app was not built</h1>
<p>This binary was built without the notes app. <code>make run</code> builds both; the server itself does not need it.</p>`

// app serves the notes app: its files, and its page for every other path, since
// the app routes by itself.
func app() http.Handler {
	files, built := notes.App()
	if !built {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte(notBuilt)) // nobody to tell
		})
	}
	page, err := fs.ReadFile(files, "index.html")
	if err != nil {
		return http.NotFoundHandler() // notes.App has looked for it
	}
	static := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; frame-ancestors 'none'")
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		if info, err := fs.Stat(files, name); name != "" && err == nil && !info.IsDir() && name != "index.html" {
			if strings.HasPrefix(name, "assets/") { // their names hold a hash of their content
				h.Set("Cache-Control", "public, max-age=31536000, immutable")
			}
			static.ServeHTTP(w, r)
			return
		}
		if path.Ext(name) != "" && name != "index.html" {
			http.NotFound(w, r)
			return
		}
		h.Set("Cache-Control", "no-cache")
		http.ServeContent(w, r, "index.html", time.Time{}, bytes.NewReader(page))
	})
}
