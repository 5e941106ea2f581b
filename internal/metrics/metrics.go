package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Server holds the metrics of one server.
type Server struct {
	registry *prometheus.Registry

	sessions  prometheus.Gauge
	opened    prometheus.Counter
	channels  prometheus.Gauge
	malformed prometheus.Counter
	joins     *prometheus.CounterVec
	pushes    *prometheus.CounterVec
	limited   *prometheus.CounterVec
	reloads   *prometheus.CounterVec

	received, delivered cells
}

// New registers the metrics with a registry of their own.
func New() *Server {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "chorale", Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "chorale", Name: name, Help: help})
	}
	counterBy := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "chorale", Name: name, Help: help}, []string{label})
	}
	s := &Server{
		registry:  prometheus.NewRegistry(),
		sessions:  gauge("sessions", "Open sessions."),
		opened:    counter("sessions_opened_total", "Sessions that were opened."),
		channels:  gauge("channels", "Channels with members on this node."),
		malformed: counter("frames_malformed_total", "Frames dropped because they could not be decoded."),
		joins:     counterBy("joins_refused_total", "Joins that were refused, by error code.", "code"),
		pushes:    counterBy("pushes_refused_total", "Pushes answered with an error, by error code.", "code"),
		limited:   counterBy("limited_total", "What was refused, dropped or delayed by a limit, by its name.", "limit"),
		reloads:   counterBy("rules_reloads_total", "Attempts to read the rules anew, by result.", "result"),
	}
	summed := func(name, help string, of *cells) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "chorale", Name: name, Help: help}, of.sum)
	}
	s.registry.MustRegister(s.sessions, s.opened, s.channels, s.malformed,
		summed("frames_received_total", "Frames received from clients.", &s.received),
		summed("messages_delivered_total", "Frames handed to members.", &s.delivered),
		s.joins, s.pushes, s.limited, s.reloads,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return s
}

// Handler serves the metrics in Prometheus' text format.
func (s *Server) Handler() http.Handler {
	return promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{})
}

// SessionOpened counts a session in.
func (s *Server) SessionOpened() { s.opened.Inc(); s.sessions.Inc() }

// SessionClosed counts a session out.
func (s *Server) SessionClosed() { s.sessions.Dec() }

// Received is where one of many sessions counts the frames that its client sends.
func (s *Server) Received() *Cell { return s.received.give() }

// Delivered is where one of many channels counts the frames that members are handed.
func (s *Server) Delivered() *Cell { return s.delivered.give() }

// FrameMalformed counts a frame that was dropped (F5).
func (s *Server) FrameMalformed() { s.malformed.Inc() }

// JoinRefused counts a refused join. Codes are those of docs/errors.md.
func (s *Server) JoinRefused(code string) { s.joins.WithLabelValues(code).Inc() }

// PushRefused counts a push that was answered with an error.
func (s *Server) PushRefused(code string) { s.pushes.WithLabelValues(code).Inc() }

// Limited counts what a limit refused, dropped or delayed.
func (s *Server) Limited(limit string) { s.limited.WithLabelValues(limit).Inc() }

// Limits makes these limits show as zero before anybody meets them, so that a
// rate of their counters is right from the first time on.
func (s *Server) Limits(names ...string) {
	for _, name := range names {
		s.limited.WithLabelValues(name)
	}
}

// RulesReloaded counts an attempt to read the rules anew.
func (s *Server) RulesReloaded(ok bool) {
	result := "error"
	if ok {
		result = "ok"
	}
	s.reloads.WithLabelValues(result).Inc()
}

// ChannelsChanged adds to the number of channels with members.
func (s *Server) ChannelsChanged(delta int) { s.channels.Add(float64(delta)) }
