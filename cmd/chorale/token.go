package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chorale-rt/chorale/internal/auth"
)

type tokenCmd struct {
	JWTSecret string        `name:"jwt-secret" env:"CHORALE_JWT_SECRET" help:"Secret to sign with; without it the dev mode's in --data."`
	Data      string        `default:"chorale-data" env:"CHORALE_DATA" type:"path" help:"Directory of the log, for the dev mode's secret."`
	Sub       string        `default:"operator" help:"Who the token is for."`
	Role      string        `default:"authenticated" help:"The role it claims."`
	Name      string        `help:"A name to show."`
	TTL       time.Duration `name:"ttl" default:"1h" help:"How long it is good."`
}

// Run implements the command.
func (c *tokenCmd) Run() error {
	secret, err := signingSecret(c.JWTSecret, c.Data)
	if err != nil {
		return err
	}
	token, err := auth.Mint(secret, auth.MintOptions{Subject: c.Sub, Role: c.Role, Name: c.Name, TTL: c.TTL})
	if err != nil {
		return err
	}
	fmt.Println(token)
	return nil
}

// signingSecret is the secret that was given, or the dev mode's in a directory.
func signingSecret(given, dir string) ([]byte, error) {
	if given != "" {
		return []byte(given), nil
	}
	data, err := os.ReadFile(filepath.Join(dir, "dev-secret"))
	if err != nil {
		return nil, fmt.Errorf("no --jwt-secret, and no dev mode's secret: %w", err)
	}
	return []byte(strings.TrimSpace(string(data))), nil
}
