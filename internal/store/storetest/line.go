package storetest

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Line is a way to PostgreSQL that can be cut and stalled.
type Line struct {
	// URL is a database's, by this way.
	URL string

	listener net.Listener
	server   string
	done     sync.WaitGroup

	mu       sync.Mutex
	changed  sync.Cond
	state    lineState
	atCommit commitFault
	commits  int               // until the one that atCommit is about
	open     map[net.Conn]bool // both ends of what is connected
}

type lineState int

const (
	lineWhole lineState = iota
	lineStalled
	lineCut
	lineClosed
)

type commitFault int

const (
	commitArrives commitFault = iota
	commitLost
	commitUnanswered
)

// NewLine is a whole line to the database of the URL.
func NewLine(t testing.TB, database string) *Line {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal("the database has no URL")
	}
	l := &Line{server: u.Host, open: map[net.Conn]bool{}}
	l.changed.L = &l.mu
	if l.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	u.Host = l.listener.Addr().String()
	q := u.Query()
	q.Set("sslmode", "disable") // to see a COMMIT
	u.RawQuery = q.Encode()
	l.URL = u.String()
	l.done.Go(l.accept)
	t.Cleanup(func() {
		l.set(lineClosed)
		_ = l.listener.Close()
		l.done.Wait()
	})
	return l
}

// Cut ends every connection, and those that are made until Mend.
func (l *Line) Cut() { l.set(lineCut) }

// Stall lets nothing through until Mend, and ends no connection.
func (l *Line) Stall() { l.set(lineStalled) }

// Mend makes the line whole.
func (l *Line) Mend() { l.set(lineWhole) }

// LoseCommit ends the connection of a COMMIT to come, the next one is number 1. The
// server does not get it.
func (l *Line) LoseCommit(number int) { l.fail(commitLost, number) }

// LoseAnswer ends the connection of a COMMIT to come when the server has answered it.
func (l *Line) LoseAnswer(number int) { l.fail(commitUnanswered, number) }

func (l *Line) fail(f commitFault, number int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.atCommit, l.commits = f, number
}

func (l *Line) set(s lineState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = s
	l.changed.Broadcast()
	if s == lineCut || s == lineClosed {
		for c := range l.open {
			_ = c.Close()
		}
	}
}

func (l *Line) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.done.Go(func() { l.connect(client) })
	}
}

func (l *Line) connect(client net.Conn) {
	defer l.close(client)
	if !l.keep(client) {
		return
	}
	server, err := net.Dial("tcp", l.server)
	if err != nil {
		return
	}
	defer l.close(server)
	if !l.keep(server) {
		return
	}
	p := &pair{line: l, client: client, server: server}
	var both sync.WaitGroup
	both.Go(func() { p.pump(server, client, p.request) })
	both.Go(func() { p.pump(client, server, p.answer) })
	both.Wait()
}

// keep remembers a connection, unless the line is cut.
func (l *Line) keep(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == lineCut || l.state == lineClosed {
		return false
	}
	l.open[c] = true
	return true
}

func (l *Line) close(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
	_ = c.Close()
}

// wait returns whether the line lets something through, once it is not stalled.
func (l *Line) wait() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.state == lineStalled {
		l.changed.Wait()
	}
	return l.state == lineWhole
}

// commit returns what happens to a COMMIT that has come.
func (l *Line) commit() commitFault {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.commits--; l.commits == 0 {
		return l.atCommit
	}
	return commitArrives
}

// pair is one connection's two ends.
type pair struct {
	line           *Line
	client, server net.Conn

	mu   sync.Mutex
	deaf bool // the server's next answer ends it
}

// pump copies what let lets through, and ends both when one ends.
func (p *pair) pump(to io.Writer, from io.Reader, let func([]byte) bool) {
	defer p.client.Close()
	defer p.server.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil || !p.line.wait() || !let(buffer[:n]) {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// request looks for a simple query COMMIT. It is short and sent by itself, so it
// comes in one piece.
func (p *pair) request(sent []byte) bool {
	if !bytes.Contains(bytes.ToLower(sent), []byte("commit\x00")) {
		return true
	}
	switch p.line.commit() {
	case commitLost:
		return false
	case commitUnanswered:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.deaf = true
	}
	return true
}

func (p *pair) answer([]byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.deaf
}
