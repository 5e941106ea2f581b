package cluster

import (
	"context"
	"io"
	"syscall"
	"testing"
)

func TestProcess(t *testing.T) {
	p := &Process{name: "sleeper", command: []string{"sleep", "600"}, log: io.Discard, ready: func(context.Context) error { return nil }}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	if p.PID() != 0 {
		t.Errorf("process %d before the start", p.PID())
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err == nil {
		t.Error("it was started twice")
	}
	first := p.PID()
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Ended()
	if err := p.Start(t.Context()); err != nil {
		t.Fatalf("after somebody has killed it: %v", err)
	}
	if p.PID() == first {
		t.Error("it is the same process still")
	}
}
