package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-id/sallyport"
	"github.com/sallyport-id/sallyport/internal/admin"
	"github.com/sallyport-id/sallyport/internal/keys"
	"github.com/sallyport-id/sallyport/internal/store/sqlstore"
)

// impatient is a server that waits as it is told to.
func impatient(t *testing.T, w waits) (address string) {
	t.Helper()
	s, _ := installed(t)
	master, err := keys.ReadKeyFile(s.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	server, err := sallyport.New(t.Context(), s.serverConfig(s.Database, master, log))
	if err != nil {
		t.Fatal(err)
	}
	r := &running{handler: server, metrics: server.Metrics(), log: log, drain: 10 * time.Second, waits: w, failed: server.Failed(), why: server.Err, ready: server.Ready}
	if err := r.listen(s.Listen, ""); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, server.Close()); err != nil {
			t.Error(err)
		}
	})
	return s.Listen
}

// wantCutOff writes to a connection and reads until the server closes it.
func wantCutOff(t *testing.T, address, text string) (answer string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		t.Error(err)
		return ""
	}
	read, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want that the server closes the connection", err)
	}
	return string(read)
}

// TestSlowPeersAreCutOff: at any place where a peer can keep the server waiting.
func TestSlowPeersAreCutOff(t *testing.T) {
	t.Parallel()
	const soon, late = 50 * time.Millisecond, time.Minute
	post := "POST /token HTTP/1.1\r\nHost: ADDRESS\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ngrant_type="
	for name, c := range map[string]struct {
		waits      waits
		text, want string
	}{
		"nothing": {waits{header: soon, request: late, answer: late, next: late}, "", ""},
		"headers": {waits{header: soon, request: late, answer: late, next: late}, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", ""},
		"body":    {waits{header: late, request: soon, answer: late, next: late}, post, "HTTP/1.1 408"},
		"idle":    {waits{header: late, request: late, answer: late, next: soon}, "GET /jwks.json HTTP/1.1\r\nHost: ADDRESS\r\n\r\n", "HTTP/1.1 200"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := impatient(t, c.waits)
			var all sync.WaitGroup
			for range 32 {
				all.Go(func() {
					answer := wantCutOff(t, address, strings.ReplaceAll(c.text, "ADDRESS", address))
					if !strings.HasPrefix(answer, c.want) || c.want == "" && strings.HasPrefix(answer, "HTTP/1.1 2") {
						t.Errorf("got %q, want %q", answer, c.want)
					}
				})
			}
			all.Wait()
		})
	}
}

// TestConnectionsAreBounded: who comes when all places are taken waits for one, and
// connections that wait for another request give theirs.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const most = 8
	s := &http.Server{Handler: http.NotFoundHandler()}
	b := newBounded(l, s, most)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(b) }()
	connect := func(text string) net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		return c
	}
	const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	answered := func(c net.Conn) {
		t.Helper()
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	idle := connect(request)
	answered(idle)
	var silent []net.Conn
	for range most - 1 {
		silent = append(silent, connect("")) // the idle one has to go for the last of them
	}
	if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("an idle connection in the crowd: got %v, want its end", err)
	}
	silent = append(silent, connect(""))
	late := connect(request)
	for len(b.places) < most {
		time.Sleep(time.Millisecond)
	}
	if n := len(b.places); n != most {
		t.Errorf("got %d places taken, want %d", n, most)
	}
	for _, c := range silent {
		c.Close()
	}
	answered(late)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("got %v, want %v", err, http.ErrServerClosed)
	}
}

// endless is a body without an end, which counts what was taken of it.
type endless struct{ taken atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.taken.Add(int64(len(p)))
	return len(p), nil
}

// TestEndlessBodiesAreNotRead: what is too large is refused when that is known, and
// no more of it is read than the sockets hold. Whoever sends on may find the
// connection closed before he has read why.
func TestEndlessBodiesAreNotRead(t *testing.T) {
	t.Parallel()
	s, _ := installed(t)
	serving(t, s, io.Discard)
	for _, path := range []string{"/token", "/authorize", "/userinfo", "/end_session"} {
		body := &endless{}
		resp, err := http.Post(s.Issuer+path, "application/x-www-form-urlencoded", body)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%s: got %d, want 413", path, resp.StatusCode)
			}
		}
		if got := body.taken.Load(); got > 32<<20 {
			t.Errorf("%s: %d bytes were taken", path, got)
		}
	}
}

// TestHTTP2StreamsAreBounded: a connection may have so many requests under way.
func TestHTTP2StreamsAreBounded(t *testing.T) {
	t.Parallel()
	s, _ := installed(t)
	dir := t.TempDir()
	s.TLSCertificateFile, s.TLSKeyFile = dir+"/cert.pem", dir+"/key.pem"
	s.Issuer = "https://" + s.Listen
	writeCertificate(t, &s, 1)
	serving(t, s, io.Discard)
	c, err := tls.Dial("tcp", s.Listen, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Fatalf("got protocol %q, want h2", got)
	}
	const emptySettings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	if _, err := io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+emptySettings); err != nil {
		t.Fatal(err)
	}
	var header [9]byte // RFC 9113 §4.1; the server's first frame is its settings
	if _, err := io.ReadFull(c, header[:]); err != nil || header[3] != 4 {
		t.Fatalf("got frame %x, %v, want settings", header, err)
	}
	list := make([]byte, int(header[0])<<16|int(header[1])<<8|int(header[2]))
	if _, err := io.ReadFull(c, list); err != nil {
		t.Fatal(err)
	}
	const maxConcurrentStreams = 3 // RFC 9113 §6.5.2
	for ; len(list) >= 6; list = list[6:] {
		if binary.BigEndian.Uint16(list) == maxConcurrentStreams {
			if got := binary.BigEndian.Uint32(list[2:]); got != mostStreams {
				t.Errorf("got %d streams, want %d", got, mostStreams)
			}
			return
		}
	}
	t.Error("the server does not say how many streams it takes")
}

// TestReadyDoesNotWait for a database that says nothing.
func TestReadyDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		r := &running{log: slog.New(slog.DiscardHandler), failed: make(chan struct{}), ready: func(context.Context) error { <-release; return nil }}
		if status, body := answerOf(r.health(), "/readyz"); status != http.StatusServiceUnavailable || body != "the database does not answer\n" {
			t.Errorf("got %d %q", status, body)
		}
	})
}

// process is "sallyport serve" in a process of its own, which takes the word of
// whoever is on this machine for where a request comes from.
type process struct {
	settings
	cmd *exec.Cmd
	log lockedBuffer
}

func startProcess(t *testing.T) *process {
	t.Helper()
	s, config := installed(t)
	if err := (configFlag{config}).operate(populate); err != nil {
		t.Fatal(err)
	}
	p := &process{settings: s, cmd: exec.Command("sallyport", "serve", "--config", config)} // TestMain has put it there
	p.cmd.Env = append(os.Environ(), "SALLYPORT_PRIVATE_LISTEN="+s.PrivateListen, "SALLYPORT_TRUSTED_PROXIES=127.0.0.0/8")
	p.cmd.Stderr = &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = p.cmd.Process.Kill(), p.cmd.Wait() })
	for range 1000 {
		if status, _ := visit(t, http.DefaultClient, "http://"+s.PrivateListen+"/readyz"); status == http.StatusOK {
			return p
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("serve does not become ready:\n%s", p.log.String())
	return nil
}

const floodPassword = "lantern-otter-vowel-41"

func populate(ctx context.Context, _ *sqlstore.Store, a *admin.Admin) error {
	_, err := a.AddClient(ctx, admin.Web("shop", "Shop", "http://localhost:1/callback"))
	for _, login := range []string{"mina", "joon"} {
		_, failed := a.AddUser(ctx, admin.NewUser{Login: login, Password: floodPassword})
		err = errors.Join(err, failed)
	}
	return err
}

// visitor number n of the process, each with an address of its own.
type visitor struct {
	*process
	http    *http.Client
	number  int
	cookies []*http.Cookie
}

func (p *process) visitor(c *http.Client, number int) *visitor {
	return &visitor{process: p, http: c, number: number}
}

// patiently asks again while the server is too busy, or this machine too slow to be
// answered in time.
func (v *visitor) patiently(path string) (resp *http.Response, body string, err error) {
	for range 50 {
		resp, body, err = v.ask("GET", path, nil)
		if err == nil && (resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "") {
			break
		}
	}
	return resp, body, err
}

// ask returns the whole answer, or an error.
func (v *visitor) ask(method, path string, form url.Values) (*http.Response, string, error) {
	req, err := http.NewRequest(method, v.Issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", v.number>>16, v.number>>8&255, v.number&255))
	req.Header.Set("Accept-Language", "en")
	for _, c := range v.cookies {
		req.AddCookie(c)
	}
	if method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	resp, err := v.http.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	v.cookies = append(v.cookies, resp.Cookies()...)
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

const signInPath = "/authorize?client_id=shop&redirect_uri=http%3A%2F%2Flocalhost%3A1%2Fcallback&response_type=code&scope=openid" +
	"&code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

// stays is a client that follows no redirect and keeps so many connections.
func stays(connections int) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: connections, DisableKeepAlives: connections == 0},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// TestDrainUnderLoad: SIGTERM among many requests. Every request that the server
// began has its whole answer, and the process ends well, within drain_timeout.
func TestDrainUnderLoad(t *testing.T) {
	t.Parallel()
	p := startProcess(t)
	var answered sync.Map // ids of requests
	var answers atomic.Int64
	var load sync.WaitGroup
	for i := range 16 {
		client := stays(i % 2) // every other one makes a connection for each request
		load.Go(func() {
			for n := 0; ; n++ {
				resp, _, err := p.visitor(client, i<<16|n).ask("GET", signInPath, nil)
				if err != nil {
					return // the server takes no more
				}
				if resp.StatusCode != http.StatusSeeOther {
					t.Errorf("got %d, want 303", resp.StatusCode)
				}
				answered.Store(resp.Header.Get("X-Request-Id"), true)
				if answers.Add(1) == 200 {
					_ = p.cmd.Process.Signal(syscall.SIGTERM)
				}
			}
		})
	}
	load.Wait()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // again, in case that all were cut off before
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v", err)
	}
	began := 0
	lines := bufio.NewScanner(strings.NewReader(p.log.String()))
	for lines.Scan() {
		var line struct{ Msg, Request string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		if line.Msg != "request" {
			continue
		}
		began++
		if _, ok := answered.Load(line.Request); !ok {
			t.Errorf("a request was begun and not answered: %s", lines.Bytes())
		}
	}
	if began < 200 || !strings.Contains(p.log.String(), `"msg":"stopped"`) {
		t.Errorf("got %d requests in the log, want at least 200, and that it stopped", began)
	}
}

// memory returns what the process has in memory now and had at most, in MiB; 0
// where the system does not say.
func (p *process) memory() (now, most int) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0
	}
	for line := range bytes.Lines(status) {
		name, value, _ := strings.Cut(string(line), ":")
		kb, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		switch name {
		case "VmRSS":
			now = kb >> 10
		case "VmHWM":
			most = kb >> 10
		}
	}
	return now, most
}

// TestRule21Flood: many sign-ins begin at once, many send wrong passwords, many
// connections do nothing, many bodies are too large. The server answers all of it
// in order, and somebody else still gets in. SALLYPORT_TEST_FLOOD says how many.
func TestRule21Flood(t *testing.T) {
	t.Parallel()
	many, err := strconv.Atoi(os.Getenv("SALLYPORT_TEST_FLOOD"))
	if err != nil {
		many = 100
	}
	p := startProcess(t)
	measured := func(what string) {
		now, most := p.memory()
		t.Logf("%-40s %4d MiB now, %4d MiB at most", what, now, most)
	}
	measured("started")
	visitors := p.floodPages(t, many)
	measured(fmt.Sprint(many, " sign-in pages at once"))
	p.floodPasswords(t, visitors)
	measured(fmt.Sprint(many, " wrong passwords at once"))
	release := p.floodConnections(t, many)
	measured(fmt.Sprint(many, " idle connections"))
	release()
	p.floodBodies(t, many/10)
	measured(fmt.Sprint(many/10, " endless bodies at once"))
	p.wantPasswordRight(t)
	measured("afterwards")
}

// floodPages opens the page of a sign-in for each visitor.
func (p *process) floodPages(t *testing.T, many int) (opened []*visitor) {
	client := stays(many)
	opened = make([]*visitor, many)
	var all sync.WaitGroup
	for i := range opened {
		opened[i] = p.visitor(client, i)
		all.Go(func() { opened[i].open(t) })
	}
	all.Wait()
	client.CloseIdleConnections()
	return opened
}

// open brings the visitor to the form for a password, and returns it.
func (v *visitor) open(t *testing.T) (path string, form url.Values) {
	form = url.Values{}
	resp, body, err := v.patiently(signInPath)
	if err != nil || resp.StatusCode != http.StatusSeeOther {
		t.Errorf("visitor %d: got %v, %.200s, want 303", v.number, err, body)
		return "", form
	}
	path = resp.Header.Get("Location")
	resp, body, err = v.patiently(path)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("visitor %d: got %v, %.200s, want 200", v.number, err, body)
	}
	for _, m := range hidden.FindAllStringSubmatch(body, -1) {
		form.Set(m[1], m[2])
	}
	return path + "/password", form
}

// floodPasswords sends a wrong one for each visitor: of a user or of nobody. All are
// told that it is wrong, that they must wait, or that the server is busy; where the
// machine is too slow, some are cut off.
func (p *process) floodPasswords(t *testing.T, visitors []*visitor) {
	client := stays(len(visitors))
	var all sync.WaitGroup
	var counts [2][600]atomic.Int64
	for i, v := range visitors {
		v.http = client
		all.Go(func() {
			path, form := v.open(t)
			form.Set("username", []string{"mina", "nobody"}[i%2])
			form.Set("password", "wrong")
			resp, _, err := v.ask("POST", path, form)
			if err != nil {
				counts[i%2][0].Add(1)
				return
			}
			counts[i%2][resp.StatusCode].Add(1)
			if resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
		})
	}
	all.Wait()
	client.CloseIdleConnections()
	for i, who := range []string{"a user", "nobody"} {
		wrong, wait, busy, cut := counts[i][422].Load(), counts[i][429].Load(), counts[i][503].Load(), counts[i][0].Load()
		t.Logf("passwords of %s: %d wrong, %d to wait, %d busy, %d cut off", who, wrong, wait, busy, cut)
		if known := wrong + wait + busy + cut; known != int64(len(visitors)+1-i)/2 || wrong == 0 {
			t.Errorf("passwords of %s: %d had one of the answers, want all", who, known)
		}
	}
}

// floodConnections opens some that do nothing.
func (p *process) floodConnections(t *testing.T, many int) (release func()) {
	var open []net.Conn
	for range many {
		c, err := net.Dial("tcp", p.Listen)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	if status, body := visit(t, http.DefaultClient, p.Issuer+"/jwks.json"); status != http.StatusOK {
		t.Errorf("among idle connections: got %d %s", status, body)
	}
	return func() {
		for _, c := range open {
			_ = c.Close()
		}
	}
}

func (p *process) floodBodies(t *testing.T, many int) {
	client := stays(0)
	var all sync.WaitGroup
	for range many {
		all.Go(func() {
			resp, err := client.Post(p.Issuer+"/token", "application/x-www-form-urlencoded", &endless{})
			if err != nil {
				return // closed while it was sent
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("got %d, want 413", resp.StatusCode)
			}
		})
	}
	all.Wait()
}

func (p *process) wantPasswordRight(t *testing.T) {
	v := p.visitor(stays(1), 1<<23)
	path, form := v.open(t)
	form.Set("username", "joon")
	form.Set("password", floodPassword)
	if resp, body, err := v.ask("POST", path, form); err != nil || resp.StatusCode != http.StatusSeeOther {
		t.Errorf("somebody else: got %v, %v %s, want 303", resp, err, body)
	}
}
