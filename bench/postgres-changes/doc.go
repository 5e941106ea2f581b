// Postgres-changes is the classic design of a database-driven realtime service, to
// be measured beside Chorale: a client's write is an insert into a table with
// row-level security, a replication slot is polled every 100 ms, each change is
// checked against the table's policy for each subscriber, and pushed over
// WebSocket to those who may see it.
//
// It starts a PostgreSQL of its own in a temporary directory, says on stdout where
// it listens, as chorale serve does, and ends on SIGTERM with everything it
// started. README.md says what is as Supabase has it, and what is cheaper here.
//
//   - main.go: the process
//   - postgres.go: a PostgreSQL for one run
//   - database.go: what is asked of it
//   - serve.go: members, their sockets, and what is pushed to them
package main
