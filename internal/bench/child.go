package bench

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTimeout bounds how long a server may take until it listens, stopTimeout
// how long it may take to end when it was asked to.
const (
	startTimeout = 20 * time.Second
	stopTimeout  = 10 * time.Second
)

// listeningLine is how a server says on stdout that it is ready, and where.
const listeningLine = "listening on "

// A child is a process that was started for one run, most often a server.
type child struct {
	url   string         // http://host:port, as it said itself
	name  string         // of what it is, in errors
	in    io.WriteCloser // what it is told; nil: nothing
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process is gone
	err   error         // how it ended; valid after ended
	work  sync.WaitGroup
}

// command says what to run.
type command struct {
	path string
	args []string
	name string // of what it is, in errors; "" means a server
	cpus []int  // that it may use; none means all
	// address is where it will listen, for who does not say so; "": it says so.
	address string
	told    bool      // it reads what it is told
	idle    bool      // it runs when nobody else wants its CPU (Linux)
	stderr  io.Writer // nil discards
}

// startChild runs a server and waits until it says that it listens. stop must be
// called.
func startChild(ctx context.Context, c command) (*child, error) {
	k, out, err := launch(c)
	if err != nil {
		return nil, err
	}
	said := make(chan string, 1)
	k.work.Go(func() { readLines(out, said) })
	if c.address != "" {
		return k, k.reach(ctx, c)
	}
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case k.url = <-said:
		if k.url != "" {
			return k, nil
		}
		err = errors.New("ended before it listened; see its messages above")
	case <-ctx.Done():
		err = ctx.Err()
	case <-timeout.C:
		err = fmt.Errorf("did not listen within %s", startTimeout)
	}
	return nil, errors.Join(fmt.Errorf("start %s %s: %w", c.path, strings.Join(c.args, " "), err), k.stop())
}

// launch starts a process, and returns where what it prints comes out. stop or end must
// be called.
func launch(c command) (*child, *os.File, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("start %s: %w", c.path, err)
	}
	k := &child{name: cmp.Or(c.name, "server"), cmd: exec.Command(c.path, c.args...), ended: make(chan struct{})}
	k.cmd.Stdout, k.cmd.Stderr = in, c.stderr
	started := make(chan error, 1)
	k.work.Go(func() { k.run(c, in, started) })
	if err := <-started; err != nil {
		out.Close()
		return nil, nil, fmt.Errorf("start %s: %w", c.path, err)
	}
	return k, out, nil
}

// reach waits until the child can be connected to, and stops it when that takes
// too long.
func (k *child) reach(ctx context.Context, c command) error {
	k.url = "http://" + c.address
	err := until(ctx, startTimeout, "a connection to "+c.address, func() bool {
		select {
		case <-k.ended:
			return true
		default:
		}
		conn, err := net.DialTimeout("tcp", c.address, time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	select {
	case <-k.ended:
		err = errors.New("ended before it listened; see its messages above")
	default:
	}
	if err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", c.path, err), k.stop())
	}
	return nil
}

// run owns the process: it starts it, waits for it, and ends with it.
//
// It stays on one thread. A process inherits the CPUs and the priority of the thread
// that starts it, and the kernel kills it when that thread ends, so that none outlives
// a generator that was killed. The thread is not used for anything else afterwards.
func (k *child) run(c command, stdout *os.File, started chan<- error) {
	defer close(k.ended)
	runtime.LockOSThread()
	err := pinThread(c.cpus)
	if err == nil && c.idle {
		err = idleThread()
	}
	if err == nil && c.told {
		k.in, err = k.cmd.StdinPipe()
	}
	if err == nil {
		dieWithParent(k.cmd)
		err = k.cmd.Start()
	}
	stdout.Close() // the child has its own
	started <- err
	if err == nil {
		k.err = k.cmd.Wait()
	}
}

// readLines finds the address in a server's output, and reads on until the
// server closes it, so that no server is ever blocked by what it prints.
func readLines(out *os.File, said chan<- string) {
	defer close(said)
	defer out.Close()
	lines := bufio.NewScanner(out)
	found := false
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), listeningLine); ok && !found {
			said <- strings.TrimSpace(url)
			found = true
		}
	}
	_, _ = io.Copy(io.Discard, out) // after a line too long for the scanner
}

// kill ends the server as a crash would, and waits until it is gone.
func (k *child) kill() error {
	defer k.work.Wait()
	if err := k.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill server: %w", err)
	}
	<-k.ended
	return nil
}

// stop asks the server to end, waits, and insists when it does not.
func (k *child) stop() error {
	if err := k.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		k.work.Wait()
		return fmt.Errorf("stop %s: %w", k.name, err)
	}
	return k.end()
}

// end waits for who has been told to end, and insists when it does not.
func (k *child) end() error {
	defer k.work.Wait()
	patience := time.NewTimer(stopTimeout)
	defer patience.Stop()
	select {
	case <-k.ended:
	case <-patience.C:
		err := k.cmd.Process.Kill()
		<-k.ended
		return errors.Join(fmt.Errorf("stop %s: it did not end within %s", k.name, stopTimeout), err)
	}
	if k.err != nil {
		return fmt.Errorf("%s: %w", k.name, k.err)
	}
	return nil
}
