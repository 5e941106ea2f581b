package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// company is how many newcomers there are in a channel.
const company = 4

// orders are what the process of the newcomers is told first, as a line of JSON.
type orders struct {
	Subject   string // what they speak to, see speaks
	Mode      Mode
	Run       string
	First     int           // channel
	Addresses []string      // of each newcomer, token included
	GiveUp    time.Duration // how long one waits to be in
}

func (o orders) seat(i int) seat {
	return seat{mode: o.Mode, run: o.Run, channel: o.First + i/company, index: i % company, textSize: stampLen}
}

// speaks is what a subject's type is called in orders.
func speaks(s subject) string { return fmt.Sprintf("%T", s) }

// joiner is a subject to join with, and nothing else.
func joiner(name string) (subject, error) {
	for _, s := range []subject{&chorale{}, &floorSubject{}, &plainSubject{}, &socketIO{}, &natsSubject{}, &centrifugo{}} {
		if speaks(s) == name {
			return s, nil
		}
	}
	return nil, fmt.Errorf("newcomers do not know how to speak to a %s", name)
}

// rushLines is how many lines the process says: that all is prepared, that nobody is on
// the way any more, and what was measured.
const rushLines = 3

// RunNewcomers is the other side of [Rush], in a process of its own. It reads who is to
// come, and when it is told anything more they come. Those who are in stay until in
// ends. Who is still on the way then ends with the process.
func RunNewcomers(ctx context.Context, in io.Reader, out io.Writer) error {
	told := bufio.NewReaderSize(in, 64<<10)
	line, err := told.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read who is to come: %w", err)
	}
	n := &newcomers{gate: make(chan struct{}), decided: make(chan struct{})}
	if err := json.Unmarshal(line, &n.orders); err != nil {
		return fmt.Errorf("read who is to come: %w", err)
	}
	if n.subject, err = joiner(n.orders.Subject); err != nil {
		return err
	}
	n.waiting = len(n.orders.Addresses)
	for i := range n.orders.Addresses {
		go n.come(ctx, i)
	}
	debug.SetGCPercent(400) // as where it is measured
	runtime.GC()
	fmt.Fprintln(out, "ready")
	if _, err := told.ReadBytes('\n'); err != nil {
		return nil // nobody is to come
	}
	report, err := n.rush(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "over")
	_, _ = io.Copy(io.Discard, told) // however it ends
	report.Faults, report.FirstFault = n.faults.get()
	return json.NewEncoder(out).Encode(report)
}

// newcomers are those of one rush.
type newcomers struct {
	orders  orders
	subject subject
	began   time.Time     // set before gate is closed
	gate    chan struct{} // closed when they are to come
	decided chan struct{} // closed when each of them is in or refused
	took    Histogram     // from the begin of a connect to the answer to the join
	faults  faults

	mu        sync.Mutex // guards the following
	waiting   int        // neither in nor refused
	refused   int64
	over      bool          // who is waiting has given up
	lastBegan time.Duration // when the last connect was begun, since began
	lastIn    time.Duration // when the last one was in
}

// rush lets all of them come, and waits until nobody is on the way any more.
func (n *newcomers) rush(ctx context.Context) (rushReport, error) {
	m, err := newMeter(0, 0)
	if err == nil {
		err = m.begin()
	}
	if err != nil {
		return rushReport{}, err
	}
	n.began = time.Now()
	close(n.gate)
	patience := time.NewTimer(n.orders.GiveUp)
	defer patience.Stop()
	select {
	case <-n.decided:
	case <-patience.C:
	case <-ctx.Done():
		return rushReport{}, ctx.Err()
	}
	n.giveUp()
	if err := m.end(); err != nil {
		return rushReport{}, err
	}
	return rushReport{RushFigures: n.figures(m)}, nil
}

// giveUp is what those do who are still on the way.
func (n *newcomers) giveUp() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.over = true
	for range n.waiting {
		n.took.Record(n.orders.GiveUp)
	}
}

func (n *newcomers) figures(m *meter) RushFigures {
	var own Figures
	m.report(&own, 0)
	n.mu.Lock()
	defer n.mu.Unlock()
	return RushFigures{
		Newcomers: int64(len(n.orders.Addresses)), Refused: n.refused, GaveUp: int64(n.waiting),
		P50Us: micros(n.took.Quantile(0.50)), P99Us: micros(n.took.Quantile(0.99)),
		LastUs: micros(n.lastIn), BegunUs: micros(n.lastBegan),
		CPUPercent: own.GeneratorCPUPercent, WaitPercent: own.GeneratorWaitPercent,
	}
}

// come lets one newcomer come, and stay.
func (n *newcomers) come(ctx context.Context, i int) {
	<-n.gate
	began := n.begin()
	sock, _, err := n.subject.join(ctx, n.orders.Addresses[i], n.orders.seat(i))
	if !n.decide(began, err) {
		if err == nil {
			sock.hangUp()
		}
		return
	}
	for err == nil { // to notice the end, and to answer pings
		_, err = sock.read()
	}
	n.faults.add("a newcomer's connection was lost: " + err.Error())
}

// begin notes that a connect begins now.
func (n *newcomers) begin() time.Time {
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lastBegan = max(n.lastBegan, now.Sub(n.began))
	return now
}

// decide notes what came of one whose connect began then, and says whether it is in.
func (n *newcomers) decide(began time.Time, err error) bool {
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	if slow, ok := errors.AsType[net.Error](err); n.over || ok && slow.Timeout() {
		return false // it has given up, or does with the others
	}
	if err != nil {
		n.refused++
		n.faults.add("a newcomer was refused: " + err.Error())
	} else {
		n.took.Record(now.Sub(began))
		n.lastIn = now.Sub(n.began)
	}
	if n.waiting--; n.waiting == 0 {
		close(n.decided)
	}
	return err == nil
}
