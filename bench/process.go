package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a running "sallyport serve".
type process struct {
	*exec.Cmd
	in    *installation
	log   *os.File
	ended chan struct{} // closed when it has exited
	err   error         // of its end; read after ended
}

// start starts the server and waits until it is ready.
func (in *installation) start(ctx context.Context) (*process, error) {
	log, err := os.OpenFile(filepath.Join(in.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p := &process{Cmd: in.command(context.WithoutCancel(ctx), "serve"), in: in, log: log, ended: make(chan struct{})}
	p.Stderr = log
	if err := p.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	go func() {
		p.err = p.Wait()
		close(p.ended)
	}()
	if err := p.waitReady(ctx); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// waitReady asks /readyz on a new connection each time, as nobody listens yet.
func (p *process) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		req, err := http.NewRequestWithContext(ctx, "GET", "http://"+p.in.private+"/readyz", nil)
		if err != nil {
			return err
		}
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.ended:
			return fmt.Errorf("the server has ended: %w\n%s", p.err, p.in.lastLog())
		case <-ctx.Done():
			return fmt.Errorf("the server does not become ready: %w", ctx.Err())
		case <-time.After(time.Millisecond / 2):
		}
	}
}

// stop sends SIGTERM and waits for a good end.
func (p *process) stop() error {
	defer p.log.Close()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-p.ended
	if p.err != nil {
		return fmt.Errorf("the server ended with %w\n%s", p.err, p.in.lastLog())
	}
	return nil
}

// kill is for when something has failed; after stop it does nothing.
func (p *process) kill() {
	_ = p.Process.Kill()
	<-p.ended
	_ = p.log.Close()
}

// restart is how long a server took to end, and to be ready.
type restart struct{ Stop, Start time.Duration }

// restarts stops and starts the server so often and returns the medians.
func (in *installation) restarts(ctx context.Context, times int) (restart, error) {
	var stops, starts []time.Duration
	for range times {
		began := time.Now()
		p, err := in.start(ctx)
		if err != nil {
			return restart{}, err
		}
		starts = append(starts, time.Since(began))
		began = time.Now()
		if err := p.stop(); err != nil {
			return restart{}, err
		}
		stops = append(stops, time.Since(began))
	}
	return restart{median(stops), median(starts)}, nil
}

// memory is the resident set, in bytes (proc(5), VmRSS).
func (p *process) memory() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("no VmRSS in /proc")
}

// restingMemory is the memory after a rest.
func (p *process) restingMemory(ctx context.Context, rest time.Duration) (int64, error) {
	select {
	case <-time.After(rest):
		return p.memory()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// commits is how many transactions the server has committed, from its metrics.
func (p *process) commits() (int, error) {
	resp, err := http.Get("http://" + p.in.private + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "sallyport_store_commits_total "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return int(n), err
		}
	}
	return 0, errors.New("no sallyport_store_commits_total in the metrics")
}

// tick is the unit of times in /proc/PID/stat: USER_HZ, 100 on every platform
// that Go knows.
const tick = 10 * time.Millisecond

// stat is what /proc/PID/stat says about a process (proc(5)).
type stat struct {
	name   string
	parent int
	own    time.Duration // user and system
	waited time.Duration // of children that have ended
}

func readStat(pid int) (s stat, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return s, err
	}
	open, end := strings.IndexByte(string(text), '('), strings.LastIndexByte(string(text), ')')
	if open < 0 || end < open {
		return s, fmt.Errorf("process %d: cannot read its stat", pid)
	}
	fields := strings.Fields(string(text[end+1:])) // from the third on: state, ppid, …
	if len(fields) < 15 {
		return s, fmt.Errorf("process %d: its stat is short", pid)
	}
	n := make([]int, len(fields))
	for _, i := range []int{1, 11, 12, 13, 14} {
		if n[i], err = strconv.Atoi(fields[i]); err != nil {
			return s, fmt.Errorf("process %d: %w", pid, err)
		}
	}
	return stat{string(text[open+1 : end]), n[1], time.Duration(n[11]+n[12]) * tick, time.Duration(n[13]+n[14]) * tick}, nil
}

// cpu is what the server has used so far.
func (p *process) cpu() (time.Duration, error) {
	s, err := readStat(p.Process.Pid)
	return s.own, err
}

// familyCPU is what a process, its children and those that have ended have used.
// A child that ends meanwhile is counted by its parent.
func familyCPU(pid int) (time.Duration, error) {
	parent, err := readStat(pid)
	if err != nil {
		return 0, err
	}
	used := parent.own + parent.waited
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		child, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(child); err == nil && s.parent == pid {
			used += s.own
		}
	}
	return used, nil
}
