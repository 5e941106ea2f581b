package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/chorale-rt/chorale/internal/backup"
	"github.com/chorale-rt/chorale/internal/engine/embedded"
	"github.com/chorale-rt/chorale/internal/server"
)

type backupCmd struct {
	File string `arg:"" help:"File to write, which must not exist; - means the standard output."`

	URL     string `name:"url" placeholder:"http://HOST:PORT" help:"A server that runs; without it the backup is of --data, which no server may have open."`
	Token   string `env:"CHORALE_BACKUP_TOKEN" help:"Token of an administrator, for --url."`
	Data    string `default:"chorale-data" env:"CHORALE_DATA" type:"path" help:"Directory of the log."`
	Salvage bool   `help:"Of a log in --data that is damaged, take what comes before the damage."`
}

// Run implements the command.
func (c *backupCmd) Run(ctx context.Context) error {
	if c.URL != "" && c.Salvage {
		return errors.New("--salvage is for --data: a server that runs has a sound log")
	}
	to, finish, err := c.create()
	if err != nil {
		return err
	}
	sum, err := c.take(ctx, to)
	if err = finish(err); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "backup is whole: %d keys, %d bytes\n", sum.Pairs, sum.Bytes)
	return nil
}

// create opens what the backup is written to. finish gives the file its name
// when the backup is whole and on the disk, and removes it when it is not.
func (c *backupCmd) create() (to io.Writer, finish func(error) error, err error) {
	if c.File == "-" {
		return os.Stdout, func(err error) error { return err }, nil
	}
	if _, err := os.Lstat(c.File); err == nil {
		return nil, nil, fmt.Errorf("backup: %s is there already", c.File)
	}
	f, err := os.CreateTemp(filepath.Dir(c.File), filepath.Base(c.File)+".partial-*") // with mode 0600
	if err != nil {
		return nil, nil, fmt.Errorf("backup: %w", err)
	}
	return f, func(err error) error {
		if err == nil {
			err = f.Sync()
		}
		if err = errors.Join(err, f.Close()); err == nil {
			return os.Rename(f.Name(), c.File)
		}
		return errors.Join(err, os.Remove(f.Name()))
	}, nil
}

func (c *backupCmd) take(ctx context.Context, to io.Writer) (backup.Summary, error) {
	if c.URL == "" {
		return embedded.BackupDir(ctx, server.LogDir(c.Data), to, c.Salvage, nil)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.URL, "/")+"/api/v1/admin/backup", nil)
	if err != nil {
		return backup.Summary{}, fmt.Errorf("backup: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return backup.Summary{}, fmt.Errorf("backup: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // it was read to its end, or is given up
	if res.StatusCode != http.StatusOK {
		return backup.Summary{}, fmt.Errorf("backup: the server answers %s: %s", res.Status, detail(res.Body))
	}
	return readWhole(io.TeeReader(res.Body, to))
}

// detail is the sentence in an answer that is a problem.
func detail(body io.Reader) string {
	var problem struct{ Detail, Code string }
	if err := json.NewDecoder(io.LimitReader(body, 64<<10)).Decode(&problem); err != nil {
		return "is this a Chorale server?"
	}
	return fmt.Sprintf("%s (%s)", problem.Detail, problem.Code)
}

// readWhole reads a backup to its end and looks whether it is whole.
func readWhole(from io.Reader) (backup.Summary, error) {
	r, err := backup.NewReader(from)
	for err == nil {
		_, _, err = r.Next()
	}
	if !errors.Is(err, io.EOF) {
		return backup.Summary{}, err
	}
	return r.Summary(), nil
}

type restoreCmd struct {
	File string `arg:"" help:"Backup to read; - means the standard input."`

	Data  string `default:"chorale-data" env:"CHORALE_DATA" type:"path" help:"Directory that is to hold the log. It must not hold one."`
	Check bool   `help:"Only say whether the backup is whole."`
}

// Run implements the command.
func (c *restoreCmd) Run() error {
	from := os.Stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return fmt.Errorf("restore: %w", err)
		}
		defer func() { _ = f.Close() }() // it was only read
		from = f
	}
	if c.Check {
		sum, err := readWhole(from)
		if err != nil {
			return err
		}
		fmt.Printf("the backup is whole: %d keys, %d bytes\n", sum.Pairs, sum.Bytes)
		return nil
	}
	sum, err := embedded.Restore(server.LogDir(c.Data), from, nil)
	if err != nil {
		return err
	}
	fmt.Printf("restored %d keys into %s; clients load anew when they come back\n", sum.Pairs, c.Data)
	return nil
}
