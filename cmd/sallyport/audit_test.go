package main

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-id/sallyport/internal/store"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

func TestMoment(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"2026-11-27": "2026-11-27T00:00:00Z", "2026-11-28T09:30:00Z": "2026-11-28T09:30:00Z", "2026-11-28T09:30:00+09:00": "2026-11-28T00:30:00Z",
		"90m": "2026-11-28T10:30:00Z", "24h": "2026-11-27T12:00:00Z", "7d": "2026-11-21T12:00:00Z", "0.5d": "2026-11-28T00:00:00Z", "0s": "2026-11-28T12:00:00Z",
		"": "", "yesterday": "", "-1h": "", "-1d": "", "d": "", "1e9d": "", "99999999d": "", "2026-13-01": "", "7 d": "",
	} {
		got, err := parseMoment(text, now)
		if want == "" {
			if err == nil {
				t.Errorf("%q: got %v, want an error", text, got)
			}
			continue
		}
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%q: got %v %v, want %s", text, got.Format(time.RFC3339), err, want)
		}
	}
}

// pages counts what is in memory at once.
type pages struct {
	store.Audit
	most, asked int
}

func (p *pages) Events(ctx context.Context, q store.EventQuery) ([]store.Event, error) {
	list, err := p.Audit.Events(ctx, q)
	p.most, p.asked = max(p.most, len(list)), p.asked+1
	return list, err
}

// TestExportInPages: every event once, in order, never all of them in memory.
func TestExportInPages(t *testing.T) {
	t.Parallel()
	db, err := sqlstore.Open(t.Context(), sqlstore.Config{Path: filepath.Join(t.TempDir(), "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	at := time.Now().Add(-time.Hour)
	const many = 2*exportPage + 500
	events := make([]store.Event, many)
	for i := range events {
		events[i] = store.Event{At: at.Add(time.Duration(i/7) * time.Millisecond), Type: store.EventTokenRefresh, Detail: "a <b>"}
	}
	if err := db.Record(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	p := &pages{Audit: db}
	var out bytes.Buffer
	if err := exportEvents(t.Context(), p, store.EventQuery{}, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != many || p.most != exportPage || p.asked != 3 {
		t.Errorf("got %d lines in %d pages of at most %d, want %d in 3 of %d", len(lines), p.asked, p.most, many, exportPage)
	}
	for i, line := range lines {
		var e eventView
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.ID != int64(i+1) || e.Detail != "a <b>" {
			t.Fatalf("line %d: got %s %v", i, line, err)
		}
	}
}

// TestCellMovesNoCursor: what stands in a table is one line of text.
func TestCellMovesNoCursor(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "-", "mina 김": "mina 김", "a\tb\nc": "a�b�c", "\x1b[2J": "�[2J", "a\u202eb": "a�b"} {
		if got := cell(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
