// Package metric counts what a server does, for Prometheus. Its registry is its
// own: nothing in it is global. The values of labels are words of this program
// (routes, steps, error codes), and never what a request says: so many series and
// no more, and no secret in them.
package metric

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the counters of one server. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	requests       *prometheus.CounterVec
	durations      *prometheus.HistogramVec
	inFlight       prometheus.Gauge
	answers        *prometheus.CounterVec
	authorizations *prometheus.CounterVec
	tokens         *prometheus.CounterVec
	limited        *prometheus.CounterVec
}

// durations from a metadata document out of memory to a hash that had to wait, in
// seconds.
var durations = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

// New returns metrics that ask the sources at each scrape.
func New(s Sources) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: counters("http_requests_total", "Requests answered, by route, method and class of status; \"none\" if the peer left before.",
			"route", "method", "status"),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "http_request_duration_seconds", Help: "Time until a request was answered, by route.", Buckets: durations,
		}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "http_requests_in_flight", Help: "Requests that are being answered.",
		}),
		answers: counters("sign_in_answers_total", "Answers to a step of a sign-in, by step, kind of answer and result: ok, or why it was refused.",
			"step", "action", "result"),
		authorizations: counters("authorizations_total", "Authorization requests answered to the client, with a code or an error.", "result"),
		tokens:         counters("token_responses_total", "Token responses with tokens, by grant type.", "grant"),
		limited:        counters("rate_limited_total", "Requests refused because their address had too many, by limit.", "limit"),
	}
	m.registry.MustRegister(m.requests, m.durations, m.inFlight, m.answers, m.authorizations, m.tokens, m.limited,
		newSourceCollector(s), buildInfo(), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

const namespace = "sallyport"

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

// Handler answers a scrape.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Begin counts a request that has come, and End takes it back.
func (m *Metrics) Begin() { m.inFlight.Inc() }

// End counts a request that was answered. route is a pattern and method one of
// HTTP's; status is 0 if nothing was sent.
func (m *Metrics) End(route, method string, status int, took time.Duration) {
	m.inFlight.Dec()
	m.requests.WithLabelValues(route, method, class(status)).Inc()
	m.durations.WithLabelValues(route).Observe(took.Seconds())
}

func class(status int) string {
	classes := [...]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}
	if i := status / 100; i < len(classes) {
		return classes[i]
	}
	return "5xx"
}

// Answer counts an answer to a step of a sign-in; the result is "ok" or a reason.
func (m *Metrics) Answer(step, action, result string) {
	m.answers.WithLabelValues(step, action, result).Inc()
}

// Authorization counts an answer to an authorization request: "code" or an error code.
func (m *Metrics) Authorization(result string) { m.authorizations.WithLabelValues(result).Inc() }

// Tokens counts a response of the token endpoint that brought tokens.
func (m *Metrics) Tokens(grant string) { m.tokens.WithLabelValues(grant).Inc() }

// Limited counts a request over a limit per address.
func (m *Metrics) Limited(limit string) { m.limited.WithLabelValues(limit).Inc() }
