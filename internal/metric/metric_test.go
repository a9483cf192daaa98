package metric_test

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/metric"
)

func sources() metric.Sources {
	return metric.Sources{
		Store: func() metric.Store {
			return metric.Store{Commits: 3, Writes: 9, Waiting: 2, WaitingTokens: 1, ConnectionsInUse: 4, ConnectionsIdle: 5, ConnectionWaits: 6, ConnectionWaited: 7 * time.Second}
		},
		Hashes: func() metric.Hashes {
			return metric.Hashes{Running: 1, Waiting: 2, WaitingKnown: 3, Done: 4, Refused: 5}
		},
		ClientKeys: func() metric.ClientKeys { return metric.ClientKeys{Fetched: 8, Failed: 6} },
		Mail:       func() metric.Mail { return metric.Mail{Sent: 5, Failed: 3, Pending: 2, Dead: 1} },
		Logouts: func() metric.Logouts {
			return metric.Logouts{Delivered: 6, Refused: 4, GivenUp: 3, Failed: 8, Pending: 9, Failing: 2}
		},
		MetadataUntil: func() time.Time { return time.Unix(1_900_000_000, 0) },
		Keys:          func() map[string]time.Time { return map[string]time.Time{"ES256": time.Unix(1_800_000_000, 0)} },
	}
}

func scrape(t *testing.T, m *metric.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	text, err := io.ReadAll(w.Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("got %d %v\n%s", w.Code, err, text)
	}
	return string(text)
}

// TestScrape: what was counted, and what the sources say, is what is read.
func TestScrape(t *testing.T) {
	t.Parallel()
	m := metric.New(sources())
	m.Begin()
	m.Begin()
	m.End("/token", "POST", 200, 3*time.Millisecond)
	m.Answer("login", "password", "credentials")
	m.Authorization("code")
	m.Tokens("refresh_token")
	m.Limited("pages")
	text := scrape(t, m)
	for _, want := range []string{
		`sallyport_http_requests_total{method="POST",route="/token",status="2xx"} 1`,
		`sallyport_http_request_duration_seconds_bucket{route="/token",le="0.0025"} 0`,
		`sallyport_http_request_duration_seconds_bucket{route="/token",le="0.005"} 1`,
		`sallyport_http_requests_in_flight 1`,
		`sallyport_sign_in_answers_total{action="password",result="credentials",step="login"} 1`,
		`sallyport_authorizations_total{result="code"} 1`,
		`sallyport_token_responses_total{grant="refresh_token"} 1`,
		`sallyport_rate_limited_total{limit="pages"} 1`,
		`sallyport_mails_sent_total 5`, `sallyport_mails_failed_total 3`, `sallyport_mails{state="pending"} 2`, `sallyport_mails{state="dead"} 1`,
		`sallyport_client_keys_fetches_total{result="ok"} 8`, `sallyport_client_keys_fetches_total{result="failed"} 6`,
		`sallyport_logouts_total{outcome="delivered"} 6`, `sallyport_logouts_total{outcome="refused"} 4`, `sallyport_logouts_total{outcome="given_up"} 3`,
		`sallyport_logouts_failed_total 8`, `sallyport_logouts{state="pending"} 7`, `sallyport_logouts{state="failing"} 2`,
		`sallyport_store_commits_total 3`, `sallyport_store_writes_total 9`,
		`sallyport_store_writes_waiting{lane="ordinary"} 2`, `sallyport_store_writes_waiting{lane="tokens"} 1`,
		`sallyport_store_connections{state="in_use"} 4`, `sallyport_store_connections{state="idle"} 5`,
		`sallyport_store_connection_waits_total 6`, `sallyport_store_connection_wait_seconds_total 7`,
		`sallyport_password_hashes_running 1`, `sallyport_password_hashes_waiting{lane="strangers"} 2`, `sallyport_password_hashes_waiting{lane="known_browsers"} 3`,
		`sallyport_password_hashes_total 4`, `sallyport_password_hashes_refused_total 5`,
		`sallyport_signing_key_created_timestamp_seconds{alg="ES256"} 1.8e+09`,
		`sallyport_webauthn_metadata_next_update_timestamp_seconds 1.9e+09`,
		`sallyport_build_info{`, `go_goroutines `, `process_start_time_seconds `,
	} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("no %s", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestServersCountForThemselves: nothing is global.
func TestServersCountForThemselves(t *testing.T) {
	t.Parallel()
	one, other := metric.New(sources()), metric.New(sources())
	one.Tokens("authorization_code")
	if text := scrape(t, other); strings.Contains(text, "sallyport_token_responses_total{") {
		t.Errorf("another server's tokens are counted:\n%s", text)
	}
}

// TestClassesOfStatus: whatever the status, the label is one of six words.
func TestClassesOfStatus(t *testing.T) {
	t.Parallel()
	m := metric.New(sources())
	for _, status := range []int{0, 100, 204, 303, 429, 503, 999} {
		m.Begin()
		m.End("/", "GET", status, 0)
	}
	text := scrape(t, m)
	for status, n := range map[string]string{"none": "1", "1xx": "1", "2xx": "1", "3xx": "1", "4xx": "1", "5xx": "2"} {
		if want := `sallyport_http_requests_total{method="GET",route="/",status="` + status + `"} ` + n + "\n"; !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}

// BenchmarkRequest is what the metrics add to a request.
func BenchmarkRequest(b *testing.B) {
	m := metric.New(sources())
	b.ReportAllocs()
	for b.Loop() {
		m.Begin()
		m.End("/interaction/{id}/{action}", "POST", 303, 30*time.Millisecond)
		m.Answer("second_factor", "totp", "ok")
	}
}
