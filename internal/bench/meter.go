package bench

import (
	"errors"
	"os"
	"time"
)

// A meter reads what a server and the generator use. Without the server's process
// id, or where the system does not tell, it measures the generator alone.
type meter struct {
	pid   int // 0: the server is elsewhere
	conns int // that share the memory

	base, idle, after int64 // resident bytes: before anybody came, all connected, after the traffic

	first, last usage // at begin and end of the measured window
}

// connsForMemory is how many connections it takes until what a server allocates
// anyway no longer shows in the memory of one.
const connsForMemory = 100

// usage is what two processes have used of the CPUs up to one instant.
type usage struct {
	at          time.Time
	server, own cpuUse
}

// cpuUse is what a process has had of the CPUs, and for how long its threads were
// ready to run and had to wait for one. The latter is a sum over threads, who wait
// for each other too when they share a CPU, and for whatever else the machine does.
type cpuUse struct{ used, waited time.Duration }

func (u cpuUse) since(v cpuUse) cpuUse { return cpuUse{u.used - v.used, u.waited - v.waited} }

// newMeter reads the server's memory before anybody connects.
func newMeter(pid, conns int) (*meter, error) {
	m := &meter{pid: pid, conns: conns}
	if pid != 0 {
		if _, err := readCPU(pid); errors.Is(err, errors.ErrUnsupported) {
			m.pid = 0
		}
	}
	return m, m.memory(&m.base)
}

func (m *meter) memory(to *int64) (err error) {
	if m.pid != 0 {
		*to, err = residentBytes(m.pid)
	}
	return err
}

// begin begins the measured window.
func (m *meter) begin() error { return m.read(&m.first) }

// end ends the measured window.
func (m *meter) end() error { return m.read(&m.last) }

func (m *meter) read(u *usage) (err error) {
	u.at = time.Now()
	if u.own, err = readCPU(os.Getpid()); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if m.pid == 0 {
		return nil
	}
	u.server, err = readCPU(m.pid)
	return err
}

// report writes what was read into f, for so many operations in the window.
func (m *meter) report(f *Figures, operations int64) {
	f.Operations = operations
	elapsed := m.last.at.Sub(m.first.at).Seconds()
	if elapsed <= 0 {
		return
	}
	// A thread that ended took its time with it, and a sum may be less than before.
	percent := func(d time.Duration) float64 { return 100 * max(d.Seconds(), 0) / elapsed }
	own, server := m.last.own.since(m.first.own), m.last.server.since(m.first.server)
	f.PerSecond = float64(operations) / elapsed
	f.GeneratorCPUPercent, f.GeneratorWaitPercent = percent(own.used), percent(own.waited)
	if m.pid == 0 {
		return
	}
	f.Server = &ServerFigures{
		CPUSecondsPerMillion: server.used.Seconds() * 1e6 / float64(max(operations, 1)),
		CPUPercent:           percent(server.used),
		WaitPercent:          percent(server.waited),
		ResidentBytes:        float64(m.after),
	}
	if m.conns >= connsForMemory {
		f.Server.IdleBytesPerConn = float64(m.idle-m.base) / float64(m.conns)
		f.Server.BytesPerConn = float64(m.after-m.base) / float64(m.conns)
	}
}
