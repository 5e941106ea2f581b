// Package bench puts a Chorale server under load and reports what it measured.
//
// # What it is
//
// A scenario ([Latency], [Rooms], [Fanout], [FanoutMax], [Connect], [Flood], [Rush], [Order]…)
// opens connections, makes pushes, and watches what arrives. It runs against a [Target]: a server that is
// already there, one that [Bench] starts for each run, or the floor, a program
// that only copies frames from socket to socket. Other servers ([Peer]) can be measured
// beside them: bench/compare builds some. All are driven by
// the same generator in the same run, because on a shared machine only their
// ratio is worth quoting.
//
// Where servers are measured, the generator speaks frames itself. What the package
// client does for programs (order, retries, records, streams) would be measured
// along, on the cores that the server needs; and no other server could be driven by
// it.
//
// Where it is asked what client and server promise together, the members are
// programs that use the package client, as anybody's: in Order and Reconnect, and
// in one figure of CatchUp, which stands beside the server's own. Who compares in the
// end speaks frames: what a client puts right without a word, such as a message
// that stands in the log twice, that one sees.
//
// # How it measures
//
//   - Latency is from the instant at which a push was due to the instant at which
//     another client had read it whole. Rooms and Fanout keep their schedule
//     whatever the server does, so a stall is charged to every push that was due
//     during it. Latency plays ping-pong with one message in flight.
//   - FanoutMax, RoomsMax and UsersMax look for the highest rate at which p99 stays within a
//     bound: each rate is a load of its own, on fresh connections, and one that is
//     not borne is tried again before it counts as too high.
//   - On Linux one goroutine reads for all connections of a load that are not TLS,
//     into one buffer, and wakes the one that pushes in between: who reads all the
//     time must not make pushes late. What one read returned has arrived then.
//   - The instant travels in the payload, in nanoseconds of the generator's own
//     monotonic clock; all clients live in one process and share it. Only Rush's
//     newcomers have one of their own, with the lowest priority, and tell how long they
//     took: thousands who connect where it is measured would make pushes late.
//   - Deliveries are counted at members other than the author. What a server sends
//     besides (the author's own change, replies) costs it time and is not counted.
//   - Each push carries its writer and a sequence number. What does not arrive is
//     lost; what arrives behind a later push of its writer, twice, or with an offset
//     that does not rise, is out of order (R1). Either makes [Report.Err] an error.
//   - Order and Reconnect are about clients that lose their connections, resume, and
//     send again what was not acknowledged. What each of them tells its program is
//     compared with what was acknowledged, with what the others were told, and with
//     what a newcomer is: a gap that nobody was told of is a loss (R3), a write at
//     two offsets, or one that a client was sent twice and had to drop, a duplicate
//     (R4), an offset with two writes disorder (R1). What Reconnect takes has the
//     waits of the client in it, and the program's being woken.
//   - The server's CPU time and resident memory are the kernel's figures (/proc);
//     where there are none they are left out.
//   - Several runs are reported by the median of each figure; errors, losses and
//     disorder are summed, so that none hides behind a median.
//
// # Concurrency
//
// A Histogram may be recorded into by many goroutines. The rest is meant for one
// caller; every function that starts goroutines or processes waits for them.
package bench
