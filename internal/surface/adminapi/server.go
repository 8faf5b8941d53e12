package adminapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"
)

const (
	maxBody          = 1 << 20
	maxHeader        = 16 << 10
	readTimeout      = 10 * time.Second
	writeTimeout     = 30 * time.Second
	idleTimeout      = time.Minute
	shutdownTimeout  = 3 * time.Second
	maxProfileLength = 2 * time.Minute
)

// Server serves the admin API.
type Server struct {
	opt   Options
	l     *limited
	http  *http.Server
	guard *guard
	// reckoning has room for one effect of a change at a time.
	reckoning chan struct{}
	// ending ends what goes on until somebody ends it.
	ending context.Context
}

// New opens the socket. Run serves it; without Run, Close gives it back.
func New(ctx context.Context, opt Options) (*Server, error) {
	if opt.Process == nil {
		return nil, errors.New("adminapi: Options.Process is missing")
	}
	if opt.Address == "" {
		opt.Address = DefaultAddress
	}
	if opt.ProbesOnly {
		opt.Token, opt.Access, opt.SignIn = Token{}, nil, nil
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	guarded := opt.ProbesOnly || !opt.Token.empty() || opt.Access != nil || opt.SignIn != nil || opt.TLS != nil && opt.ClientCertificates
	private := opt.ProbesOnly || opt.TLS != nil || opt.AllowPlain
	l, err := bind(ctx, opt.Address, guarded, private, opt.Listener)
	if err != nil {
		return nil, err
	}
	s := &Server{opt: opt, l: limit(l), guard: newGuard(&opt), reckoning: make(chan struct{}, 1)}
	s.guard.sessions = newSessions(&opt)
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		TLSConfig:         opt.TLS,
		ErrorLog:          slog.NewLogLogger(opt.Log.Handler(), slog.LevelDebug),
	}
	ending, end := context.WithCancel(context.WithoutCancel(ctx))
	s.ending = ending
	s.http.RegisterOnShutdown(end)
	return s, nil
}

// Addr is the address that the socket is bound to.
func (s *Server) Addr() net.Addr { return s.l.Addr() }

// Socket is the listening socket, to be given to a successor.
func (s *Server) Socket() syscall.Conn { return s.l.Listener.(syscall.Conn) }

// Yield says that a successor has the socket: its path stays when this one is
// closed.
func (s *Server) Yield() {
	if ul, ok := s.l.Listener.(*net.UnixListener); ok {
		ul.SetUnlinkOnClose(false)
	}
}

// Run serves until ctx ends, then lets requests under way finish for a few
// seconds. It returns nil after a stop that was asked for.
func (s *Server) Run(ctx context.Context) error {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if s.http.Shutdown(grace) != nil {
			_ = s.http.Close()
		}
	})
	var err error
	if s.opt.TLS != nil {
		err = s.http.ServeTLS(s.l, "", "")
	} else {
		err = s.http.Serve(s.l)
	}
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close gives the socket back at once.
func (s *Server) Close() error { return errors.Join(s.http.Close(), s.closeSocket()) }

func (s *Server) closeSocket() error {
	if err := s.l.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
