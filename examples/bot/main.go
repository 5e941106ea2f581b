package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"

	"github.com/chorale-rt/chorale/client"
)

func main() {
	log.SetFlags(0)
	address := flag.String("url", "http://127.0.0.1:4000", "the server")
	interview := flag.String("interview", "", "id of the interview, as in the address of the app's page")
	flag.Parse()
	if err := serve(*address, *interview); err != nil {
		log.Fatal("bot: ", err)
	}
}

// serve works until somebody presses Ctrl-C.
func serve(address, interview string) error {
	if interview == "" {
		return fmt.Errorf("-interview: which one?")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c, err := client.Dial(ctx, address, &client.Options{Token: tokens(address)})
	if err != nil {
		return err
	}
	defer c.Close()
	return run(ctx, c, interview)
}

// tokens are those of the environment, or the dev mode's for guests.
func tokens(address string) client.TokenProvider {
	if token := os.Getenv("CHORALE_TOKEN"); token != "" {
		return client.StaticToken(token)
	}
	return func(ctx context.Context, _ client.TokenReason) (string, error) {
		body := bytes.NewReader([]byte(`{"name": "Tagger", "sub": "guest-tagger"}`))
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/dev/token", body)
		if err != nil {
			return "", err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return "", err
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			return "", fmt.Errorf("no guest token (HTTP %d): the server is not in dev mode; set CHORALE_TOKEN", res.StatusCode)
		}
		var guest struct{ Token string }
		err = json.NewDecoder(res.Body).Decode(&guest)
		return guest.Token, err
	}
}
