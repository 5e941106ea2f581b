package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

func main() {
	// PostgreSQL ends with the thread that starts it: this one, which lives as long
	// as the process.
	runtime.LockOSThread()
	secret := flag.String("secret", "", "secret of the tokens (HS256)")
	every := flag.Duration("poll", 100*time.Millisecond, "how long the slot is left alone after a poll that found nothing")
	most := flag.Int("most", 100, "changes that a poll takes at most")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, *secret, *every, *most); err != nil {
		fmt.Fprintln(os.Stderr, "postgres-changes:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, secret string, every time.Duration, most int) (err error) {
	if secret == "" {
		return errors.New("--secret is missing")
	}
	pg, err := startPostgres(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pg.stop()) }()
	db, err := openDatabase(ctx, pg.dir)
	if err != nil {
		return err
	}
	defer db.close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := newServer(db, []byte(secret))
	fmt.Printf("listening on http://%s\n", l.Addr())
	return s.serve(ctx, l, every, most)
}
