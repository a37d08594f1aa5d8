package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
)

// Server is the gateway's HTTP server: HTTP/1.1, and HTTP/2 for callers that
// begin with it (h2c), on the same port without TLS.
type Server struct {
	http *http.Server
	opts Options
	all  *connections
}

// maxStreams is how many requests one HTTP/2 connection may have open.
const maxStreams = 250

// Server makes the server of g.
func (g *Gateway) Server() *Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &Server{opts: g.opts, all: newConnections(g.opts.MaxConnections, g.opts.Log), http: &http.Server{
		Handler:           g,
		Protocols:         &protocols,
		ReadHeaderTimeout: g.opts.HeadTimeout,
		IdleTimeout:       g.opts.IdleTimeout,
		MaxHeaderBytes:    int(g.opts.MaxHead),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams,
			WriteByteTimeout:     g.opts.WriteTimeout,
			SendPingTimeout:      g.opts.IdleTimeout / 2,
			PingTimeout:          g.opts.WriteTimeout,
		},
		ConnState: func(c net.Conn, s http.ConnState) {
			if c, ok := c.(*conn); ok {
				c.state(s)
			}
		},
		// What net/http logs is what callers do: broken heads, resets.
		ErrorLog: slog.NewLogLogger(g.opts.Log.Handler(), slog.LevelDebug),
	}}
}

// Serve serves the connections that l accepts until Shutdown or Close is called,
// and then returns nil. It closes l.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.Serve(newListener(l, s.opts.WriteTimeout, s.all))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown stops accepting, and waits until what is under way is answered or
// ctx ends.
func (s *Server) Shutdown(ctx context.Context) error { return s.http.Shutdown(ctx) }

// Close cuts every connection.
func (s *Server) Close() error { return s.http.Close() }
