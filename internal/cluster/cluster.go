package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Size is how many NATS servers and how many nodes there are: the least that has
// a majority without one.
const Size = 3

// Options say how to start a cluster.
type Options struct {
	// NATS is the command of a NATS server, to which -c and a configuration are
	// added; Chorale that of a node, to which flags of serve are added.
	NATS, Chorale []string
	// Serve are further flags of every node.
	Serve []string
	// Clocks say how far each node takes its clock to be wrong.
	Clocks [Size]time.Duration
	// Dir holds everything that the processes store, and their logs.
	Dir string
	// Addrs are where the nodes listen, as host:port; "" takes a free port.
	Addrs [Size]string
	// Secret signs tokens (HS256).
	Secret []byte
}

// A Cluster is three NATS servers and three nodes.
type Cluster struct {
	NATS  [Size]*Process
	Nodes [Size]*Process
	// Routes are the wires from one NATS server to another, Links those from a node
	// to a NATS server.
	Routes, Links [Size][Size]*Wire

	urls     [Size]string
	clients  [Size]string // of the NATS servers, nats://host:port, around the wires
	monitors [Size]string
	wires    []*Wire
	logs     []io.Closer
}

// Start starts a cluster and waits until every node takes writes. When it fails
// nothing is left running.
func Start(ctx context.Context, o Options) (c *Cluster, err error) {
	c = &Cluster{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if err := c.plan(o); err != nil {
		return c, err
	}
	for _, p := range c.NATS {
		if err := p.launch(); err != nil { // none is ready before there is a majority
			return c, err
		}
	}
	for _, p := range c.NATS {
		ready, cancel := context.WithTimeout(ctx, readyWithin)
		err := p.await(ready)
		cancel()
		if err != nil {
			return c, err
		}
	}
	for _, p := range c.Nodes {
		if err := p.Start(ctx); err != nil {
			return c, err
		}
	}
	return c, nil
}

// URL is a node's, http://host:port.
func (c *Cluster) URL(node int) string { return c.urls[node] }

// URLs are those of all nodes.
func (c *Cluster) URLs() []string { return c.urls[:] }

// NATSURLs are those of all NATS servers, nats://host:port, past the wires.
func (c *Cluster) NATSURLs() []string { return c.clients[:] }

// Ready asks whether a node takes writes, as /readyz says it.
func (c *Cluster) Ready(ctx context.Context, node int) error { return c.Nodes[node].ready(ctx) }

// Isolate cuts one NATS server off from the others and from the nodes.
func (c *Cluster) Isolate(nats int) { c.around(nats, (*Wire).Cut) }

// Rejoin heals what Isolate has cut.
func (c *Cluster) Rejoin(nats int) { c.around(nats, (*Wire).Heal) }

func (c *Cluster) around(nats int, do func(*Wire)) {
	for other := range Size {
		do(c.Links[other][nats])
		if other != nats {
			do(c.Routes[other][nats])
			do(c.Routes[nats][other])
		}
	}
}

// Close ends everything: the nodes first, so that they can say goodbye.
// Idempotent.
func (c *Cluster) Close() error {
	var errs []error
	for _, processes := range [][Size]*Process{c.Nodes, c.NATS} {
		for _, p := range processes {
			if p != nil {
				errs = append(errs, p.Stop())
			}
		}
	}
	for _, w := range c.wires {
		w.close()
	}
	for _, l := range c.logs {
		errs = append(errs, l.Close())
	}
	c.wires, c.logs = nil, nil
	return errors.Join(errs...)
}

// plan chooses ports, lays the wires and writes the configurations.
func (c *Cluster) plan(o Options) error {
	ports, err := freePorts(3 * Size)
	if err != nil {
		return err
	}
	clients, routes := ports[:Size], ports[Size:2*Size]
	for i := range Size {
		c.clients[i] = "nats://" + clients[i]
		c.monitors[i] = "http://" + ports[2*Size+i]
		for j := range Size {
			if i != j {
				if c.Routes[i][j], err = c.wire(routes[j]); err != nil {
					return err
				}
			}
			if c.Links[i][j], err = c.wire(clients[j]); err != nil {
				return err
			}
		}
	}
	for i := range Size {
		if err := c.planNATS(o, i, clients[i], routes[i]); err != nil {
			return err
		}
		if err := c.planNode(o, i); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) wire(target string) (*Wire, error) {
	w, err := newWire(target)
	if err == nil {
		c.wires = append(c.wires, w)
	}
	return w, err
}

func (c *Cluster) planNATS(o Options, i int, client, route string) error {
	name := fmt.Sprintf("nats-%d", i+1)
	var others []string
	for j := range Size {
		if i != j {
			others = append(others, "nats-route://"+c.Routes[i][j].Addr())
		}
	}
	// What servers tell each other and their clients of addresses would lead around
	// the wires.
	text := fmt.Sprintf(`server_name: %s
listen: %q
http: %q
jetstream { store_dir: %q, max_memory_store: 256MB, max_file_store: 8GB }
cluster { name: chorale, listen: %q, advertise: "127.0.0.1:9", no_advertise: true, routes: [%s] }
max_payload: 8MB
`, name, client, strings.TrimPrefix(c.monitors[i], "http://"), filepath.Join(o.Dir, name), route, strings.Join(quoted(others), ", "))
	path := filepath.Join(o.Dir, name+".conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("configure %s: %w", name, err)
	}
	log, err := c.log(o.Dir, name)
	if err != nil {
		return err
	}
	c.NATS[i] = &Process{name: name, command: join(o.NATS, "-c", path), log: log, ready: answers(c.monitors[i] + "/healthz")}
	return nil
}

func (c *Cluster) planNode(o Options, i int) error {
	addr := o.Addrs[i]
	if addr == "" {
		free, err := freePorts(1)
		if err != nil {
			return err
		}
		addr = free[0]
	}
	c.urls[i] = "http://" + addr
	var servers []string
	for j := range Size {
		servers = append(servers, "nats://"+c.Links[i][(i+j)%Size].Addr())
	}
	name := fmt.Sprintf("node-%d", i+1)
	log, err := c.log(o.Dir, name)
	if err != nil {
		return err
	}
	c.Nodes[i] = &Process{
		name: name, log: log, ready: answers(c.urls[i] + "/readyz"),
		command: join(o.Chorale, append([]string{
			"--addr", addr, "--data", filepath.Join(o.Dir, name), "--engine", strings.Join(servers, ","), "--jwt-secret", string(o.Secret),
			"--clock-offset=" + o.Clocks[i].String(),
		}, o.Serve...)...),
	}
	return nil
}

func (c *Cluster) log(dir, name string) (io.Writer, error) {
	f, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", name, err)
	}
	c.logs = append(c.logs, f)
	return f, nil
}

func join(command []string, more ...string) []string {
	return append(append([]string(nil), command...), more...)
}

func quoted(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = fmt.Sprintf("%q", s)
	}
	return out
}

// answers asks whether a URL is answered with 200.
func answers(url string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		r.Close = true
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(io.LimitReader(res.Body, 400)) // it only explains
			return fmt.Errorf("%s: %s %s", url, res.Status, body)
		}
		return nil
	}
}

// The ports of servers lie below those that systems give to whoever connects
// (32768 and up on Linux): such a port could be taken between its choice and its
// use, and again while a server that was killed is away.
const firstPort, lastPort = 10_000, 32_000

// freePorts are addresses on loopback that were free a moment ago, held together
// so that they differ.
func freePorts(n int) ([]string, error) {
	var out []string
	var fault error
	for range 100 * n {
		if len(out) == n {
			return out, nil
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(lastPort-firstPort))))
		if err != nil {
			fault = err // somebody has it
			continue
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return nil, fmt.Errorf("find %d free ports: %w", n, fault)
}
