// Package nonblock accepts connections, and reads and writes descriptors, that never
// make a caller wait, without telling Go's scheduler that a system call begins and ends.
//
// # What it is
//
// [Read], [Write] and [Accept] are read(2), write(2) and accept(2) for sockets in
// non-blocking mode. A call by package unix tells the scheduler that it may take long.
// That wakes the runtime's monitor, another thread on the CPU that the call needs, and
// when the call takes some tens of microseconds, as a write within one machine does, the
// monitor gives the processor to a third one, for which the caller then waits. On
// Linux the scheduler is not told; ADR 0022 has the figures. Other systems do not
// allow it: there the calls are unix's. [Detach] gets a connection's descriptor for
// them, [DetachListener] a listener's.
//
// # What a caller must know
//
// The goroutine keeps its processor while the kernel works, and the garbage
// collector waits for it. So never for descriptors that block; and for a file only
// by who notices that its writes begin to wait for the disk. While the monitor
// sleeps nobody interrupts who computes for long: who does, gives others their turn
// (runtime.Gosched). What goes through here is not seen by the race detector, which
// looks into package unix.
//
// # Concurrency
//
// As the system calls themselves: any goroutine, with buffers of its own.
package nonblock
