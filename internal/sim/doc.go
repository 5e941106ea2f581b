// Package sim is a seeded simulation of clients, nodes and what lies between
// them, over the real sessions, hub, presence, collections and policy.
//
// # What it is
//
// A [World] has servers, which are processes made of the real code, and clients,
// which speak as docs/protocol.md says that clients may speak and share nothing with the
// server but the codec. Under the servers lies either one embedded engine on a
// file system in memory, whose process ends by itself, by kill -9 or with its
// machine's power, or a shared log with several nodes, an imitation that passes enginetest and
// whose news are delayed and lost, whose answers are lost, and which nodes are
// cut off from. Between clients and servers lie sockets that stall, break, and
// stay half-open. Tokens expire, rules are loaded, clocks differ and jump, all
// processes end at once.
//
// # What is demanded
//
// The world knows what really was appended, and compares with it everything that
// a client is told, at each step, by the promises of docs/protocol.md: R1 to R7, J1, S1
// to S3, M1, P1, P3. In the end all trouble ceases, everybody comes back, and all
// must be equal. The records that a client folds are compared with those of the
// server after each change; the client's fold is a second reading of the rules.
//
// # The same seed is the same run
//
// [Run] draws every decision from one generator, and lets one thing happen at a
// time: in a bubble of testing/synctest a piece of the server's work is let go
// until it is done or waits, at its engine's door ([World]'s seam), for the world
// to let it go on. So interleavings of requests are decisions too. What
// crypto/rand makes is tied down by the test (testing/cryptotest). A [Failure]
// says its seed, the steps before, and the command that runs it again.
//
// # That it finds something
//
// [Faults] make the log, the client or the socket wrong in one way each. Tests
// hold that each is found, and by the rule that it breaks.
//
// # Concurrency
//
// A World belongs to the goroutine that runs it. The shared log may be used
// concurrently, because enginetest does.
package sim
