package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// loopback is a port on 127.0.0.1 and, where there is one, ::1.
type loopback struct {
	port      int
	moved     bool // it is not the port that was asked for
	listeners []net.Listener
}

// portsToTry is how far a taken port may be passed over.
const portsToTry = 20

func listenLoopback(port int) (*loopback, error) {
	var last error
	for try := range portsToTry {
		asked := port
		if port != 0 {
			asked += try
		}
		l, err := listenOn(asked)
		if err == nil {
			l.moved = port != 0 && try > 0
			return l, nil
		}
		last = err
	}
	return nil, fmt.Errorf("no free port from %d on: %w", port, last)
}

func listenOn(port int) (*loopback, error) {
	v4, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	l := &loopback{port: v4.Addr().(*net.TCPAddr).Port, listeners: []net.Listener{v4}}
	v6, err := net.Listen("tcp6", net.JoinHostPort("::1", strconv.Itoa(l.port)))
	switch {
	case err == nil:
		l.listeners = append(l.listeners, v6)
	case errors.Is(err, syscall.EADDRINUSE):
		_ = v4.Close()
		return nil, err
	}
	return l, nil // a machine without IPv6 is a machine, too
}

func (l *loopback) url() string { return "http://localhost:" + strconv.Itoa(l.port) }

func (l *loopback) serve(h http.Handler, failed chan<- error) (shutdown func()) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10}
	for _, listener := range l.listeners {
		go func() {
			if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		}()
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		_ = s.Shutdown(ctx)
	}
}

// loopbackOnly refuses what came through a proxy: dev is not to be reached from
// outside.
func loopbackOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Via"} {
			if r.Header.Get(name) != "" {
				http.Error(w, "sallyport dev is for this machine only and answers no proxy", http.StatusMisdirectedRequest)
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}
