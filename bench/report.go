package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is everything that was measured.
type report struct {
	When     time.Time `json:"when"`
	Machine  string    `json:"machine"`
	Go       string    `json:"go"`
	Database string    `json:"database"`
	Clients  int       `json:"clients"`
	Rounds   int       `json:"rounds"`

	Operations []*measured `json:"operations"`
	Full       []*measured `json:"operations_in_a_full_database,omitempty"`

	BinaryBytes int64 `json:"binary_bytes"`
	Memory      struct {
		Started int64 `json:"started"`
		Loaded  int64 `json:"loaded"`
		Rested  int64 `json:"rested"`
		Full    int64 `json:"full_database,omitempty"`
	} `json:"memory_bytes"`
	Restart struct {
		Empty restart `json:"empty"`
		Full  restart `json:"full"`
	} `json:"restart_ns"`
	Users int       `json:"users_of_the_full_database,omitempty"`
	Rows  []rowSize `json:"rows,omitempty"`
}

// measured is an operation with the figures of each round.
type measured struct {
	Name         string    `json:"name"`
	Requests     int       `json:"requests"`
	Target       float64   `json:"target_per_cpu_second,omitempty"`
	PerCPUSecond float64   `json:"per_cpu_second"` // the median round's
	Rounds       []figures `json:"rounds"`
}

func newReport(o options, in *installation) *report {
	r := &report{When: time.Now().UTC(), Machine: machine(), Go: runtime.Version(), Database: "SQLite", Clients: o.Clients, Rounds: o.Rounds, Users: o.Users}
	if in.postgres != nil {
		r.Database = in.postgres.version
	}
	if info, err := os.Stat(in.binary); err == nil {
		r.BinaryBytes = info.Size()
	}
	return r
}

// machine is the processor, and how much of it.
func machine() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	name := ""
	for line := range strings.Lines(string(text)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
			name = strings.TrimSpace(value)
		}
	}
	return fmt.Sprintf("%d × %s", runtime.NumCPU(), name)
}

func (r *report) add(op operation, f figures)     { r.Operations = add(r.Operations, op, f) }
func (r *report) addFull(op operation, f figures) { r.Full = add(r.Full, op, f) }

func add(list []*measured, op operation, f figures) []*measured {
	i := slices.IndexFunc(list, func(m *measured) bool { return m.Name == op.name })
	if i < 0 {
		i, list = len(list), append(list, &measured{Name: op.name, Requests: op.requests, Target: op.target})
	}
	list[i].Rounds = append(list[i].Rounds, f)
	list[i].PerCPUSecond = list[i].median().perCPUSecond()
	return list
}

// median is the round in the middle, by operations per CPU-second.
func (m *measured) median() figures {
	sorted := slices.SortedFunc(slices.Values(m.Rounds), func(a, b figures) int { return cmp.Compare(a.perCPUSecond(), b.perCPUSecond()) })
	return sorted[(len(sorted)-1)/2]
}

// markdown writes the figures as tables.
func (r *report) markdown(to io.Writer) error {
	w := bufio.NewWriter(to)
	fmt.Fprintf(w, "%s, %s, %s, %s. %d clients, the median of %d rounds.\n\n",
		r.Database, r.Machine, r.Go, r.When.Format("2 January 2006"), r.Clients, r.Rounds)
	writeOperations(w, r.Operations)
	if len(r.Full) > 0 {
		fmt.Fprintf(w, "\nWith %s users more, and ten access tokens each:\n\n", thousands(float64(r.Users)))
		writeOperations(w, r.Full)
	}
	r.writeRest(w)
	return w.Flush()
}

func writeOperations(w io.Writer, list []*measured) {
	fmt.Fprintln(w, "| operation | HTTP requests | commits | per CPU-second | target | CPU: server | database | a signature | per second | p50 | p95 | p99 |")
	fmt.Fprintln(w, "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |")
	for _, m := range list {
		f, n := m.median(), time.Duration(max(1, m.median().Operations))
		fmt.Fprintf(w, "| %s | %d | %s | **%s** | %s | %s | %s | %s | %s | %s | %s | %s |\n", m.Name, m.Requests,
			perOperation(f), thousands(m.PerCPUSecond), orDash(m.Target),
			short(f.ServerCPU/n), short(f.DatabaseCPU/n), short(f.Signature), thousands(f.perSecond()), short(f.P50), short(f.P95), short(f.P99))
	}
}

func (r *report) writeRest(w io.Writer) {
	fmt.Fprintf(w, "\n| what | |\n| --- | --: |\n")
	line := func(what, value string) { fmt.Fprintf(w, "| %s | %s |\n", what, value) }
	line("from start to ready", short(r.Restart.Empty.Start))
	line("from SIGTERM to exit", short(r.Restart.Empty.Stop))
	line("memory: started and at rest", megabytes(r.Memory.Started))
	line("after the load", megabytes(r.Memory.Loaded))
	line("after the load and a rest", megabytes(r.Memory.Rested))
	if len(r.Rows) > 0 {
		line("full database: from start to ready", short(r.Restart.Full.Start))
		line("from SIGTERM to exit", short(r.Restart.Full.Stop))
		line("memory: started and at rest", megabytes(r.Memory.Full))
	}
	line("the binary", megabytes(r.BinaryBytes))
	for _, s := range r.Rows {
		line(fmt.Sprintf("a row of `%s`, with its indexes", s.Table), fmt.Sprintf("%.0f bytes", s.Bytes))
	}
}

func perOperation(f figures) string {
	if f.Commits == 0 {
		return "0"
	}
	return fmt.Sprintf("%.2g", float64(f.Commits)/float64(max(1, f.Operations)))
}

func orDash(n float64) string {
	if n == 0 {
		return "–"
	}
	return thousands(n)
}

// thousands is a number without decimals, with commas; small ones have one decimal.
func thousands(n float64) string {
	if n < 100 {
		return fmt.Sprintf("%.1f", n)
	}
	text := fmt.Sprintf("%.0f", n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// short is a duration with about three digits.
func short(d time.Duration) string {
	switch {
	case d == 0:
		return "–"
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
