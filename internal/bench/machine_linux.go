package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// allowedCPUs lists the CPUs that this process may use.
func allowedCPUs() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("read CPU affinity: %w", err)
	}
	var cpus []int
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// pinThread binds the calling thread, and what it starts, to CPUs. None means
// that it stays where it is.
func pinThread(cpus []int) error { return pin(0, cpus) }

func pin(thread int, cpus []int) error {
	if len(cpus) == 0 {
		return nil
	}
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	if err := unix.SchedSetaffinity(thread, &set); err != nil {
		return fmt.Errorf("pin to CPUs %v: %w", cpus, err)
	}
	return nil
}

// pinProcess binds all threads of this process to CPUs, and lets the scheduler
// use that many at a time.
func pinProcess(cpus []int) error {
	// Threads that are made meanwhile inherit from one that is pinned already or
	// is in the list; a second pass catches those of the first.
	for range 2 {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("pin process: %w", err)
		}
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				return fmt.Errorf("pin process: %w", err)
			}
			if err := pin(id, cpus); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	runtime.GOMAXPROCS(len(cpus))
	return nil
}

// idleThread lets the calling thread, and what it starts, run only when no other
// wants its CPU. Being nice would not do: who is nice has a turn all the same.
func idleThread() error {
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_IDLE}, 0); err != nil {
		return fmt.Errorf("lower the priority: %w", err)
	}
	return nil
}

// dieWithParent makes the kernel kill a process when the thread that started it
// ends.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// readCPU adds up what the threads of a process have had of the CPUs, in
// nanoseconds. Threads that have ended are left out; the runtime keeps its own. This
// process is asked as a whole: its threads end with the servers that they started.
func readCPU(pid int) (cpuUse, error) {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	threads, err := os.ReadDir(dir)
	if err != nil {
		return cpuUse{}, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	var sum cpuUse
	for _, t := range threads {
		data, err := os.ReadFile(dir + "/" + t.Name() + "/schedstat")
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has just ended
		}
		if err != nil {
			return cpuUse{}, fmt.Errorf("CPU time of process %d: %w", pid, err)
		}
		var used, waited, slices int64
		if _, err := fmt.Sscan(string(data), &used, &waited, &slices); err != nil {
			return cpuUse{}, fmt.Errorf("CPU time of process %d: %w", pid, err)
		}
		sum.used += time.Duration(used)
		sum.waited += time.Duration(waited)
	}
	if pid == os.Getpid() {
		var all unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &all); err != nil {
			return cpuUse{}, fmt.Errorf("CPU time of this process: %w", err)
		}
		sum.used = time.Duration(all.Utime.Nano() + all.Stime.Nano())
	}
	return sum, nil
}

// residentBytes is the memory of a process that is in RAM. It is read page by
// page: the cheaper counters lag behind by up to a megabyte.
func residentBytes(pid int) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "Rss:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("memory of process %d: %w", pid, err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("memory of process %d: no Rss in smaps_rollup", pid)
}

// descriptorLimit is how many files and sockets a process may have open here; the
// runtime of Go takes as many for itself.
func descriptorLimit() (int, bool) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil || l.Max > 1<<30 {
		return 0, false
	}
	return int(l.Max), true
}

// machineName says on what was measured, for people.
func machineName() string {
	model := "unknown CPU"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	var u unix.Utsname
	kernel := ""
	if unix.Uname(&u) == nil {
		kernel = ", Linux " + unix.ByteSliceToString(u.Release[:])
	}
	return fmt.Sprintf("%d × %s%s, %s", runtime.NumCPU(), model, kernel, runtime.Version())
}
