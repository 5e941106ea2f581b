package embedded

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/chorale-rt/chorale/internal/engine"
)

const (
	// crashDirEnv makes the test binary the process that is to be killed.
	crashDirEnv   = "CHORALE_TEST_CRASH_DIR"
	crashRunEnv   = "CHORALE_TEST_CRASH_RUN"
	crashClassEnv = "CHORALE_TEST_CRASH_CLASS"
	crashRooms    = 3
	crashWriters  = 6
)

// crashChild appends until it is killed, if this process was started for that.
// Each acknowledgement is a line on the standard output: channel, offset, id.
func crashChild() bool {
	dir := os.Getenv(crashDirEnv)
	if dir == "" {
		return false
	}
	e, err := Open(Options{Dir: dir, BallastBytes: -1})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	class, err := engine.ParseDurability(os.Getenv(crashClassEnv))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for i := range crashWriters {
		wg.Go(func() {
			for n := 0; ; n++ {
				room := fmt.Sprint("room-", (i+n)%crashRooms)
				id := fmt.Sprintf("%s-%d-%d", os.Getenv(crashRunEnv), i, n)
				r, err := e.Append(context.Background(), room, engine.Write{
					Kind: engine.KindMessage, ID: id, Data: []byte(id), Durability: class,
					Puts:      []engine.Put{{Key: fmt.Sprint("writer-", i), Data: []byte(id)}},
					Retention: engine.Retention{Messages: 1 << 20},
				})
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Printf("%s %d %s\n", room, r.Position.Offset, id)
			}
		})
	}
	wg.Wait()
	return true
}

// acked is what a killed process acknowledged: the id at each channel's offset.
type acked map[string]map[uint64]string

// TestCrash kills a few times, or, when CHORALE_SOAK is set, a hundred times for
// each class.
func TestCrash(t *testing.T) {
	rounds, most := 3, 4000
	switch {
	case os.Getenv("CHORALE_SOAK") != "":
		rounds = 100
	case testing.Short():
		rounds, most = 2, 1000
	}
	for _, class := range []engine.Durability{engine.OS, engine.Disk} {
		t.Run("[E3] kill -9 loses nothing that was acknowledged as "+class.String()+", and [E4] doubles nothing", func(t *testing.T) {
			dir := t.TempDir()
			all, epochs := acked{}, map[string]string{}
			for round := range rounds {
				killAfter(t, dir, fmt.Sprint(round), class, 1+rand.IntN(most), all)
				e := open(t, Options{Dir: dir})
				for room, ids := range all {
					checkLog(t, e, room, ids)
					at, err := e.Head(t.Context(), room)
					if err != nil {
						t.Fatal(err)
					}
					if before := epochs[room]; before != "" && before != at.Epoch {
						t.Errorf("%s: epoch %s became %s", room, before, at.Epoch)
					}
					epochs[room] = at.Epoch
				}
				mustClose(t, e)
			}
			sum := 0
			for _, ids := range all {
				sum += len(ids)
			}
			t.Logf("%d kills, %d acknowledged", rounds, sum)
		})
	}
}

// killAfter runs a child until it has acknowledged n appends, kills it, and adds
// everything that it acknowledged.
func killAfter(t *testing.T, dir, run string, class engine.Durability, n int, all acked) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashDirEnv+"="+dir, crashRunEnv+"="+run, crashClassEnv+"="+class.String())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, killed := bufio.NewReader(out), false
	for i := 0; ; i++ {
		if i == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			killed = true
		}
		line, err := lines.ReadString('\n')
		if err != nil {
			break // what is left of a line was not a whole acknowledgement
		}
		var room, id string
		var offset uint64
		if _, err := fmt.Sscanf(line, "%s %d %s", &room, &offset, &id); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		if all[room] == nil {
			all[room] = map[uint64]string{}
		}
		if other, taken := all[room][offset]; taken {
			t.Errorf("%s: offset %d was acknowledged for %s and %s", room, offset, other, id)
		}
		all[room][offset] = id
	}
	if err := cmd.Wait(); !killed {
		t.Fatalf("the child ended by itself: %v", err)
	}
}

// checkLog demands that the log is dense, has each id once and each writer's in
// their order, and every acknowledged one where it was.
func checkLog(t *testing.T, e *Engine, room string, ids map[uint64]string) {
	t.Helper()
	at, seen := engine.Position{}, map[string]bool{}
	newest, order := map[string]uint64{}, map[string]int{}
	missing := len(ids)
	for {
		entries, err := e.Read(t.Context(), room, at, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			break
		}
		for _, en := range entries {
			if en.Prev != at.Offset || en.Offset != at.Offset+1 {
				t.Fatalf("%s: entry %d has prev %d and follows %d", room, en.Offset, en.Prev, at.Offset)
			}
			if seen[en.ID] {
				t.Errorf("%s: %s is there twice", room, en.ID)
			}
			seen[en.ID] = true
			if id, ok := ids[en.Offset]; ok {
				missing--
				if id != en.ID {
					t.Errorf("%s: %d is %s, acknowledged was %s", room, en.Offset, en.ID, id)
				}
			}
			var run, writer, n int
			if _, err := fmt.Sscanf(en.ID, "%d-%d-%d", &run, &writer, &n); err != nil {
				t.Fatal(err)
			}
			if from := fmt.Sprint(run, "-", writer); n < order[from] {
				t.Errorf("%s: %s follows number %d of its writer", room, en.ID, order[from]-1)
			} else {
				order[from] = n + 1
			}
			newest[fmt.Sprint("writer-", writer)] = en.Offset
			at.Offset = en.Offset
		}
	}
	if missing != 0 {
		t.Errorf("%s: %d of %d acknowledged entries are missing", room, missing, len(ids))
	}
	for key, version := range newest {
		v, err := e.Get(t.Context(), room, key)
		if err != nil || v.Version != version {
			t.Errorf("%s: %s is at %d, want %d (%v)", room, key, v.Version, version, err)
		}
	}
}
