package sim

import (
	"math/rand/v2"
	"slices"
	"time"
)

// step does one thing. What cannot be done at the moment makes room for
// something that somebody wants.
func (w *World) step() {
	w.tick()
	var did bool
	switch dice := w.rng.IntN(1000); {
	case dice < 330:
		did = w.carryUp()
	case dice < 640:
		did = w.carryDown()
	case dice < 740:
		did = w.goOn()
	case dice < 800:
		did = w.hear()
	case dice < 930:
		did = w.act()
	case dice < 940:
		w.did("ask", 0, "service")
		did = w.service.ask(w.servers[w.rng.IntN(len(w.servers))])
	case dice < 970:
		did = w.disturb()
	case dice < 992:
		w.pass(time.Duration(1+w.rng.IntN(400)) * time.Millisecond)
		did = true
	default:
		did = w.trouble()
	}
	if !did {
		w.act()
	}
}

// one draws an element that satisfies a condition; nil when there is none.
func one[T any](rng *rand.Rand, list []*T, ok func(*T) bool) *T {
	from := 0
	if len(list) > 0 {
		from = rng.IntN(len(list))
	}
	for i := range list {
		if x := list[(from+i)%len(list)]; ok(x) {
			return x
		}
	}
	return nil
}

// carryUp hands a session the next frame of its client.
func (w *World) carryUp() bool {
	l := one(w.rng, w.links, func(l *link) bool { return len(l.up) > 0 && !l.busy && !l.ended && !l.isClosing() })
	if l == nil {
		return false
	}
	frame := l.up[0]
	l.up = l.up[1:]
	w.did("up", l.number, string(frame))
	l.busy = true
	w.run(func() {
		l.sess.Receive(false, frame)
		l.busy = false
	})
	return true
}

// carryDown hands a client some frames of its server, or the end of the socket.
func (w *World) carryDown() bool {
	l := one(w.rng, w.links, func(l *link) bool { return !l.gone && !l.stalled && (l.waiting() > 0 || l.isClosing()) })
	if l == nil {
		return false
	}
	w.down(l, 1+w.rng.IntN(4))
	return true
}

func (w *World) down(l *link, count int) {
	frames := l.take(count)
	for _, frame := range frames {
		w.did("down", l.number, string(frame))
		l.client.receive(frame)
		if l.gone {
			return
		}
	}
	if len(frames) == 0 {
		w.did("closed", l.number, "")
		l.gone = true
		if l.code == 4200 {
			w.counts.Slow++
		}
		l.client.closed(l.code)
	}
	w.sweep()
}

// sweep forgets the links that nobody holds any more.
func (w *World) sweep() {
	w.links = slices.DeleteFunc(w.links, func(l *link) bool { return l.gone && l.ended })
}

func (w *World) goOn() bool {
	if len(w.paused) == 0 {
		return false
	}
	w.resume(w.rng.IntN(len(w.paused)))
	return true
}

// act lets somebody do what people do.
func (w *World) act() bool {
	c := w.clients[w.rng.IntN(len(w.clients))]
	if c.link == nil {
		s := w.servers[w.rng.IntN(len(w.servers))]
		w.did("connect", c.index, "")
		c.connect(s)
		return true
	}
	m := c.memberships[w.rng.IntN(len(c.memberships))]
	if m.joinRef == "" {
		w.did("join", c.index, m.spec.name)
		m.join()
		return true
	}
	m.present.say(m)
	m.flush()
	switch dice := w.rng.IntN(100); {
	case dice < 45 && m.spec.collection != "":
		if m.records.loaded && len(m.outbox.writes) < 12 {
			w.did("mutate", c.index, "")
			m.mutate()
		}
	case dice < 70:
		if len(m.posts) < 8 {
			w.did("publish", c.index, m.spec.name)
			m.publish(m.spec.name == "talk" && w.rng.IntN(8) == 0)
		}
	case dice < 78:
		if m.live {
			m.whisper()
		}
	case dice < 92:
		w.messages++
		m.present.state = w.messages * w.rng.IntN(3) / 2
		w.did("say", c.index, m.spec.name)
		m.present.say(m)
	case dice < 94:
		w.did("leave", c.index, m.spec.name)
		m.leave()
	case dice < 96:
		w.did("refresh", c.index, "")
		c.refresh()
	case dice < 97:
		w.did("reload", c.index, "")
		c.reload()
	case dice < 99:
		w.did("send again", c.index, m.spec.name)
		m.again()
	}
	return true
}

// disturb is what networks and browsers do to connections.
func (w *World) disturb() bool {
	l := one(w.rng, w.links, func(*link) bool { return true })
	if l == nil {
		return false
	}
	switch dice := w.rng.IntN(10); {
	case l.gone || l.isClosing(): // the server notices
		w.did("hang up", l.number, "")
		if !l.busy {
			w.hangUp(l)
			w.sweep()
		}
	case dice < 3: // what was on its way up arrives, perhaps
		w.did("drop", l.number, "")
		l.gone = true
		l.cut()
		l.client.down()
	case dice < 5: // half-open: the server goes on for a while as if nothing were
		w.did("half-open", l.number, "")
		l.gone = true
		l.client.down()
	case dice < 8:
		l.stalled = !l.stalled
		w.did("stall", l.number, "")
	default:
		w.did("lose", l.number, "")
		l.up = l.up[:min(len(l.up), w.rng.IntN(3))]
		l.gone = true
		l.cut()
		l.client.down()
	}
	return true
}

// trouble is what happens to servers.
func (w *World) trouble() bool {
	s := w.servers[w.rng.IntN(len(w.servers))]
	switch dice := w.rng.IntN(100); {
	case dice < 20:
		rules := w.rng.IntN(len(rules))
		w.load(rules)
		w.did("rules", rules, "")
	case dice < 40:
		w.pass(time.Duration(5+w.rng.IntN(120)) * time.Second)
		w.did("wait", 0, "")
	case dice < 44:
		w.pass(12 * time.Minute)
		w.did("wait long", 0, "")
	case dice < 52:
		s.skew = time.Duration(w.rng.IntN(30)-15)*time.Second + time.Duration(s.index)*37*time.Millisecond
		w.did("skew", s.index, s.skew.String())
	case dice < 58:
		w.resumeAll() // it waits for frames that are being handled
		sub := w.clients[w.rng.IntN(len(w.clients))].sub
		w.did("disconnect", s.index, sub)
		s.deps.Registry.DisconnectSubject(sub)
	case dice < 76:
		w.restart(s, w.rng.IntN(2) == 0)
	default:
		return w.troubleInCluster(s)
	}
	return true
}

// restart replaces a process, which ends by itself or is killed.
func (w *World) restart(s *server, killed bool) {
	w.counts.Restarts++
	if killed {
		w.did("kill", s.index, "")
		w.kill(s)
	} else {
		w.did("restart", s.index, "")
		w.drain(s)
	}
	if err := w.start(s.index, s.skew); err != nil {
		w.fail("%v", err)
		return
	}
	w.verify(w.servers[s.index])
}

// hear lets news of the others reach a node, or get lost on the way.
func (w *World) hear() bool {
	c, ok := w.backend.(*cluster)
	if !ok {
		return false
	}
	node := c.log.nodes[w.rng.IntN(len(c.log.nodes))]
	names := sortedKeys(node.feeds)
	if len(names) == 0 {
		return false
	}
	f := node.feeds[names[w.rng.IntN(len(names))]]
	switch dice := w.rng.IntN(20); {
	case dice == 0 && len(f.news) > 0:
		w.did("lose news of", int(f.news[0].offset), node.name+" "+f.channel)
		f.news = f.news[1:]
	case dice < 3:
		w.did("compare", 0, node.name+" "+f.channel)
		f.repair()
	default:
		w.did("hear", len(f.news), node.name+" "+f.channel)
		f.deliver(1 + w.rng.IntN(3))
	}
	return true
}

// troubleInCluster is what happens between nodes and their log.
func (w *World) troubleInCluster(s *server) bool {
	c, ok := w.backend.(*cluster)
	if !ok {
		return false
	}
	node := s.seam.Engine.(*witness).node
	switch w.rng.IntN(4) {
	case 0:
		w.did("cut off", s.index, "")
		node.sever()
	case 1:
		w.did("heal", s.index, "")
		node.heal()
	case 2:
		w.did("lose an answer", s.index, "")
		node.loseAnswer = true
	default:
		if w.rng.IntN(3) > 0 {
			return false
		}
		w.did("restart all", 0, "")
		w.counts.Restarts++
		for _, s := range w.servers {
			w.kill(s)
		}
		c.log.restart()
		for _, s := range w.servers {
			if err := w.start(s.index, s.skew); err != nil {
				w.fail("%v", err)
				return true
			}
		}
		w.verify(w.servers[0])
	}
	return true
}
