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
	received  prometheus.Counter
	malformed prometheus.Counter
	delivered prometheus.Counter
	joins     *prometheus.CounterVec
	pushes    *prometheus.CounterVec
	limited   *prometheus.CounterVec
	reloads   *prometheus.CounterVec
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
		received:  counter("frames_received_total", "Frames received from clients."),
		malformed: counter("frames_malformed_total", "Frames dropped because they could not be decoded."),
		delivered: counter("messages_delivered_total", "Frames handed to members."),
		joins:     counterBy("joins_refused_total", "Joins that were refused, by error code.", "code"),
		pushes:    counterBy("pushes_refused_total", "Pushes answered with an error, by error code.", "code"),
		limited:   counterBy("limited_total", "What was refused, dropped or delayed by a limit, by its name.", "limit"),
		reloads:   counterBy("rules_reloads_total", "Attempts to read the rules anew, by result.", "result"),
	}
	s.registry.MustRegister(s.sessions, s.opened, s.channels, s.received, s.malformed, s.delivered, s.joins, s.pushes, s.limited, s.reloads,
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

// FrameReceived counts a frame from a client.
func (s *Server) FrameReceived() { s.received.Inc() }

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

// MessagesDelivered adds frames that were handed to members.
func (s *Server) MessagesDelivered(n int) { s.delivered.Add(float64(n)) }

// ChannelsChanged adds to the number of channels with members.
func (s *Server) ChannelsChanged(delta int) { s.channels.Add(float64(delta)) }
