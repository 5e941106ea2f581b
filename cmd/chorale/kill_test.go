package main

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chorale-rt/chorale/client"
	"github.com/chorale-rt/chorale/internal/auth"
)

const killSecret = "0123456789abcdef0123456789abcdef"

// serveProcess starts the real command as a process of its own, and returns it when
// it listens, with its address.
func serveProcess(t *testing.T, addr, dir string) (*exec.Cmd, string) {
	t.Helper()
	// In dev mode for its rules; testscript.Main has put the command into PATH.
	cmd := exec.Command("chorale", "serve", "--dev", "--addr", addr, "--data", dir, "--jwt-secret", killSecret)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // by a signal
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_, found, _ := strings.Cut(strings.TrimSpace(line), "http://")
	return cmd, found
}

// TestKill has a Go client write while its server is killed, twice.
func TestKill(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir := t.TempDir()
	process, addr := serveProcess(t, "127.0.0.1:0", dir)
	token := func(context.Context, client.TokenReason) (string, error) {
		return auth.Mint([]byte(killSecret), auth.MintOptions{Subject: "ada", Role: "authenticated"})
	}
	join := func() (*client.Client, *client.Channel) {
		c, err := client.Dial(ctx, "http://"+addr, &client.Options{Token: token})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		ch, err := c.Channel("interview:kill", &client.ChannelOptions{Collections: []string{"notes"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := ch.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		return c, ch
	}
	writer, notes := join()
	_, reading := join()
	messages := reading.Subscribe("count")

	const rounds, perRound = 3, 20
	// A channel that never held anything begins anew with the process.
	if _, err := notes.Publish(ctx, "count", 0); err != nil {
		t.Fatal(err)
	}
	published := make(chan error, 1)
	go func() {
		for i := 1; i < rounds*perRound; i++ {
			if _, err := notes.Publish(ctx, "count", i); err != nil {
				published <- err
				return
			}
		}
		published <- nil
	}()
	for round := range rounds {
		for i := range perRound {
			_, err := notes.Collection("notes").Put(fmt.Sprintf("n%d-%d", round, i), map[string]any{
				"content": "x", "timestampMs": i, "authorName": "Ada", "kind": "note",
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if round < rounds-1 {
			if err := process.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = process.Wait() // it was killed
			process, _ = serveProcess(t, addr, dir)
		}
	}
	t.Run("[R2][R3] every message comes once and in order, whatever is killed meanwhile", func(t *testing.T) {
		for want := range rounds * perRound {
			m, err := messages.Next(ctx)
			got := -1
			if err != nil || m.Decode(&got) != nil || got != want {
				t.Fatalf("message %d: %s, %v", want, m.Payload, err)
			}
		}
		if err := <-published; err != nil {
			t.Error(err)
		}
	})
	t.Run("[R4][R5] every write is applied once", func(t *testing.T) {
		if err := writer.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		for s := range reading.Collection("notes").Watch(ctx) {
			if len(s.Records) == rounds*perRound {
				break
			}
		}
		if n := len(notes.Collection("notes").Snapshot().Records); n != rounds*perRound {
			t.Errorf("%d records", n)
		}
	})
}
