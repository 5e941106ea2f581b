package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed schema.sql
var schema string

// slot is the replication slot that is polled.
const slot = "realtime"

// A database is what the server asks of PostgreSQL: a pool for what members do, as
// PostgREST has it, and a connection that polls. The pool may be used by many at a
// time, the connection by one.
type database struct {
	pool   *pgxpool.Pool
	poller *pgx.Conn
}

// poolSize is what PostgREST has by default.
const poolSize = 10

// openDatabase waits until the server answers, and makes the schema and the slot.
func openDatabase(ctx context.Context, socketDir string) (*database, error) {
	dsn := fmt.Sprintf("host=%s user=postgres dbname=postgres", socketDir)
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	config.MaxConns = poolSize
	conn, err := connect(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	db := &database{poller: conn}
	if _, err := conn.Exec(ctx, schema); err != nil {
		db.close()
		return nil, fmt.Errorf("make the schema: %w", err)
	}
	if _, err := conn.Exec(ctx, "select pg_create_logical_replication_slot($1, 'test_decoding')", slot); err != nil {
		db.close()
		return nil, fmt.Errorf("make the slot: %w", err)
	}
	if db.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		db.close()
		return nil, fmt.Errorf("connect: %w", err)
	}
	return db, nil
}

// connect tries until a server that has just been started answers.
func connect(ctx context.Context, dsn string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, dsn)
		if err == nil {
			return conn, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (db *database) close() {
	if db.pool != nil {
		db.pool.Close()
	}
	_ = db.poller.Close(context.Background()) // nothing is lost with it
}

// claims are what the database is told of a member.
func claims(member string) string {
	text, _ := json.Marshal(map[string]string{"sub": member, "role": "authenticated"}) // strings always encode
	return string(text)
}

// subscribe makes a member of a room and subscribes it to the room's changes.
func (db *database) subscribe(ctx context.Context, id int64, room, member string) error {
	var b pgx.Batch
	b.Queue("insert into public.room_members values ($1, $2) on conflict do nothing", room, member)
	b.Queue("insert into realtime.subscription values ($1, $2, $3)", id, room, claims(member))
	if err := db.pool.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	return nil
}

func (db *database) unsubscribe(ctx context.Context, id int64) error {
	if _, err := db.pool.Exec(ctx, "delete from realtime.subscription where id = $1", id); err != nil {
		return fmt.Errorf("unsubscribe: %w", err)
	}
	return nil
}

// insert writes a note as its author, whom the table's policy judges: one
// transaction in one round trip.
func (db *database) insert(ctx context.Context, room, member, body string) error {
	var b pgx.Batch
	b.Queue("begin")
	b.Queue("select set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)", claims(member))
	b.Queue("insert into public.notes (room, author, body) values ($1, $2, $3)", room, member, body)
	b.Queue("commit")
	if err := db.pool.SendBatch(ctx, &b).Close(); err != nil {
		if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
			return fmt.Errorf("insert: %s", refused.Message)
		}
		return fmt.Errorf("insert: %w", err)
	}
	return nil
}

// A change is a row that was inserted, and who may see it.
type change struct {
	id           int64
	room, author string
	body         string
	visible      []int64 // subscriptions
}

// poll takes the changes since the last call, most of them at most.
func (db *database) poll(ctx context.Context, most int) ([]change, error) {
	rows, err := db.poller.Query(ctx, "select * from realtime.list_changes($1, $2)", slot, most)
	if err != nil {
		return nil, fmt.Errorf("poll: %w", err)
	}
	changes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c change, err error) {
		err = row.Scan(&c.id, &c.room, &c.author, &c.body, &c.visible)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("poll: %w", err)
	}
	return changes, nil
}
