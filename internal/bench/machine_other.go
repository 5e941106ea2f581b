//go:build !linux

package bench

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
)

// Other systems than Linux are measured without pinning or priorities, and without the server's
// CPU time and memory, and are not asked for their limits.

func allowedCPUs() ([]int, error) { return nil, nil }

func pinThread([]int) error { return nil }

func pinProcess([]int) error { return nil }

func idleThread() error { return nil }

func dieWithParent(*exec.Cmd) {}

func readCPU(int) (cpuUse, error) { return cpuUse{}, errors.ErrUnsupported }

func residentBytes(int) (int64, error) { return 0, errors.ErrUnsupported }

func descriptorLimit() (int, bool) { return 0, false }

func machineName() string {
	return fmt.Sprintf("%d CPUs, %s/%s, %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}
