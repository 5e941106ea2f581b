package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// A postgres is a server for one run, reached over a socket in its own directory:
// it needs no port.
type postgres struct {
	dir   string // its files and its socket
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process is gone
}

// startPostgres makes an empty cluster and starts it. PostgreSQL does not run as
// root: then it runs as the user that the distribution made for it, or as nobody.
func startPostgres(ctx context.Context) (*postgres, error) {
	initdb, err := find("initdb")
	if err != nil {
		return nil, err
	}
	server, err := find("postgres")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "chorale-pg-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for PostgreSQL: %w", err)
	}
	pg := &postgres{dir: dir, ended: make(chan struct{})}
	owner, err := pg.owner()
	if err == nil {
		err = pg.initialize(ctx, initdb, owner)
	}
	if err == nil {
		err = pg.start(server, owner)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return pg, nil
}

// find looks for a program of PostgreSQL where it is called, and where Debian
// keeps those of each version.
func find(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("%s: PostgreSQL is not installed", name)
	}
	return slices.Max(found), nil
}

// owner gives the directory to whom the server will run as; nil: as we do.
func (pg *postgres) owner() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		who, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, err1 := strconv.ParseUint(who.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(who.Gid, 10, 32)
	if err := errors.Join(err1, err2, os.Chown(pg.dir, int(uid), int(gid))); err != nil {
		return nil, fmt.Errorf("give %s to %s: %w", pg.dir, who.Username, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func (pg *postgres) data() string { return filepath.Join(pg.dir, "data") }

func (pg *postgres) initialize(ctx context.Context, initdb string, owner *syscall.Credential) error {
	c := exec.CommandContext(ctx, initdb, "--pgdata", pg.data(), "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	c.Dir = pg.dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// start starts the server with the settings of its distribution, but for those
// that logical replication needs and a cache that holds everything.
func (pg *postgres) start(server string, owner *syscall.Credential) error {
	pg.cmd = exec.Command(server, "-D", pg.data(), "-k", pg.dir, "-c", "listen_addresses=", "-c", "wal_level=logical", "-c", "shared_buffers=256MB",
		"-c", "log_min_messages=panic")
	pg.cmd.Dir = pg.dir
	pg.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner, Setpgid: true}
	dieWithParent(pg.cmd.SysProcAttr)
	pg.cmd.Stderr = os.Stderr
	if err := pg.cmd.Start(); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	go func() {
		defer close(pg.ended)
		_ = pg.cmd.Wait() // how it ends does not matter any more
	}()
	return nil
}

// stop ends it at once, and removes everything: there is nothing to be written down for
// later, which takes it longer than anybody waits when it has much.
func (pg *postgres) stop() error {
	_ = pg.cmd.Process.Signal(syscall.SIGQUIT) // it may be gone already
	<-pg.ended
	return os.RemoveAll(pg.dir)
}
