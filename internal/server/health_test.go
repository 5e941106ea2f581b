package server_test

import (
	"net/http"
	"testing"
)

func TestHealth(t *testing.T) {
	t.Run("the probes of upstream are answered as well as ours", func(t *testing.T) {
		r := start(t, t.TempDir())
		defer r.connect("ada").Close()
		for path, want := range map[string]string{
			"/healthz":                     "ok\n",
			"/healthcheck":                 "ok\n",
			"/readyz":                      "ready\n",
			"/api/ping":                    `{"message":"Success"}` + "\n",
			"/api/tenants/realtime/health": `{"data":{"connected_cluster":1,"db_connected":true,"healthy":true}}` + "\n",
			"/realtime/v1/api/ping":        `{"message":"Success"}` + "\n",
		} {
			status, body := r.request(http.MethodGet, path, nil)
			if status != http.StatusOK || body != want {
				t.Errorf("%s: %d %q, want %q", path, status, body, want)
			}
		}
	})
}
