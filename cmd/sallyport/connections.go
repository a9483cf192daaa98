package main

import (
	"net"
	"net/http"
	"sync"
)

// mostConnections bounds the memory that peers can take: each connection costs some
// 30 kB, whatever it does. Further ones wait to be accepted.
const mostConnections = 8192

// bounded accepts so many connections at once. When it is crowded, no connection is
// kept for another request, so that those who come find a place.
type bounded struct {
	net.Listener
	server  *http.Server
	crowded bool          // of Accept, which has one caller
	places  chan struct{} // taken
	closed  chan struct{}
	once    sync.Once
}

func newBounded(l net.Listener, s *http.Server, most int) *bounded {
	return &bounded{Listener: l, server: s, places: make(chan struct{}, most), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.places <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	switch taken, most := len(b.places), cap(b.places); {
	case !b.crowded && taken > most*3/4:
		b.crowded = true
		b.server.SetKeepAlivesEnabled(false) // and ends those that wait for a request
	case b.crowded && taken < most/2:
		b.crowded = false
		b.server.SetKeepAlivesEnabled(true)
	}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.places
		return nil, err
	}
	return &placed{Conn: c, leave: sync.OnceFunc(func() { <-b.places })}, nil
}

// Close implements net.Listener.
func (b *bounded) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

// placed is a connection that gives its place back.
type placed struct {
	net.Conn
	leave func()
}

// CloseWrite lets the peer read the last answer before all is closed: net/http asks
// for it.
func (p *placed) CloseWrite() error {
	if half, ok := p.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn.
func (p *placed) Close() error {
	defer p.leave()
	return p.Conn.Close()
}
