package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// A Process is one server of the cluster. It can be ended and started again, with
// the same command.
type Process struct {
	name    string
	command []string
	log     io.Writer
	ready   func(ctx context.Context) error

	mu    sync.Mutex // guards the following
	cmd   *exec.Cmd  // nil before the start, and when it was ended from here
	ended chan struct{}
}

// Timeouts of a process: until it is ready, and until it has ended when asked to.
const (
	readyWithin = 60 * time.Second
	endWithin   = 20 * time.Second
)

// Name is what it is called in logs.
func (p *Process) Name() string { return p.name }

// PID is the process's id; 0 when it does not run.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Ended is closed when the process that was started last has ended, whoever
// ended it.
func (p *Process) Ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// Start starts it and waits until it is ready.
func (p *Process) Start(ctx context.Context) error {
	if err := p.launch(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	return p.await(ctx)
}

// await waits until it is ready, and no longer than it runs.
func (p *Process) await(ctx context.Context) error {
	p.mu.Lock()
	ended := p.ended
	p.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	waiting := make(chan struct{})
	go func() { // ends with this call
		defer close(waiting)
		select {
		case <-ended:
			cancel(errors.New("it has ended"))
		case <-ctx.Done():
		}
	}()
	err := poll(ctx, p.ready)
	cancel(nil)
	<-waiting
	if err != nil {
		return fmt.Errorf("%s is not ready: %w", p.name, err)
	}
	return nil
}

func (p *Process) launch() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		select {
		case <-p.ended: // by somebody else
		default:
			return fmt.Errorf("%s runs already", p.name)
		}
	}
	cmd := exec.Command(p.command[0], p.command[1:]...)
	cmd.Stdout, cmd.Stderr = p.log, p.log
	// Nothing that a terminal sends to its group: who started the cluster ends it in
	// its own order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	ended := make(chan struct{})
	p.cmd, p.ended = cmd, ended
	go func() { // ends with the process, which Stop and Kill wait for
		defer close(ended)
		_ = cmd.Wait() // how it ended is in its log
	}()
	return nil
}

// Stop asks it to end and waits.
func (p *Process) Stop() error { return p.end(syscall.SIGTERM) }

// Leave asks a NATS server to hand over what it leads, to send its clients away
// and to end (lame duck mode), and waits.
func (p *Process) Leave() error { return p.end(syscall.SIGUSR2) }

// Kill ends it as kill -9 does, and waits.
func (p *Process) Kill() error { return p.end(syscall.SIGKILL) }

func (p *Process) end(signal os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end %s: %w", p.name, err)
	}
	late := time.AfterFunc(endWithin, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	<-p.ended
	p.cmd = nil
	return nil
}

// poll asks again and again until the answer is nil, and returns the last answer
// when ctx ends before.
func poll(ctx context.Context, ask func(ctx context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}
