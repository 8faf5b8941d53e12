// Package workloadapi serves the SPIFFE Workload API on a Unix socket: programs that know
// SPIFFE get their SVIDs, JWT-SVIDs and trust bundles from it, without secrets of their own
// and without a change (SPIFFE_Workload_API.md and SPIFFE_Workload_Endpoint.md of
// https://github.com/spiffe/spiffe/tree/main/standards).
//
// Who calls is known by the kernel's word of the process at the other end (SO_PEERCRED),
// never by anything that it says. Server.Run owns the goroutines, and waits for them.
package workloadapi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/identity"
)

const (
	// maxStreams bounds the calls that are open, of all callers together.
	maxStreams = 1024
	// maxPerConnection bounds those of one connection.
	maxPerConnection = 64
	// maxRequest bounds what a caller says, in bytes.
	maxRequest = 64 << 10
	// stopTime is how long streams get to end.
	stopTime = time.Second
)

// Options of a Server.
type Options struct {
	// Path is that of the socket. A socket that nobody serves any more is replaced.
	Path string
	// Keyring has what is given out.
	Keyring *identity.Keyring
	// Identify says who a caller is; without any identity it is refused. Nil is the own
	// identity of the keyring for callers of the users in Users.
	Identify func(Caller) []identity.ID
	// Users are user IDs that may call; nil is the one that this process runs as.
	Users []uint32
	// SignJWT makes JWT-SVIDs; nil is that there are none.
	SignJWT func(ctx context.Context, id identity.ID, audiences []string) (token string, ends time.Time, err error)
	Log     *slog.Logger // nil is nobody
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

// Caller is the process that calls, as the kernel knows it. PID is that of its namespace,
// 0 if it is of one that cannot be seen from here.
type Caller struct {
	UID, GID uint32
	PID      int32
}

// Server serves the API.
type Server struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	opt     Options
	l       net.Listener
	streams chan struct{}
	tokens  cache
}

// New opens the socket. Run serves it.
func New(ctx context.Context, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Users == nil {
		o.Users = []uint32{uint32(os.Geteuid())}
	}
	if o.Identify == nil {
		o.Identify = o.own
	}
	l, err := listen(ctx, o.Path)
	if err != nil {
		return nil, fmt.Errorf("SPIFFE Workload API: %w", err)
	}
	return &Server{opt: o, l: l, streams: make(chan struct{}, maxStreams), tokens: newCache(o.Now)}, nil
}

// own gives the own identity to the users that are allowed.
func (o *Options) own(c Caller) []identity.ID {
	for _, uid := range o.Users {
		if uid == c.UID && !o.Keyring.Own().IsZero() {
			return []identity.ID{o.Keyring.Own()}
		}
	}
	return nil
}

func listen(ctx context.Context, path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	var d net.Dialer
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("%s is there and no socket: remove it, or choose another path", path)
		}
		if c, err := d.DialContext(ctx, "unix", path); err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("%s is served by another process: stop it, or choose another path", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	// Whoever may reach the folder may connect: what he gets depends on who he is.
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Address is what programs have in $SPIFFE_ENDPOINT_SOCKET.
func (s *Server) Address() string { return "unix://" + s.l.Addr().String() }

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	server := grpc.NewServer(grpc.Creds(credentials{}), grpc.MaxConcurrentStreams(maxPerConnection), grpc.MaxRecvMsgSize(maxRequest),
		grpc.UnaryInterceptor(s.unary), grpc.StreamInterceptor(s.stream))
	workload.RegisterSpiffeWorkloadAPIServer(server, s)
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		hard := time.AfterFunc(stopTime, server.Stop)
		defer hard.Stop()
		server.Stop()
	})
	err := server.Serve(s.l)
	if !stop() {
		<-stopped
		return nil
	}
	return err
}

// Close gives the socket back, of a Server that does not run.
func (s *Server) Close() error { return s.l.Close() }

// admit refuses calls without the header that no page in a browser can send
// (SPIFFE_Workload_Endpoint §6.1), and more than there may be.
func (s *Server) admit(ctx context.Context) (leave func(), err error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md.Get("workload.spiffe.io"); len(v) != 1 || v[0] != "true" {
		return nil, status.Error(codes.InvalidArgument, "security header missing from request: workload.spiffe.io must be true")
	}
	select {
	case s.streams <- struct{}{}:
		return func() { <-s.streams }, nil
	default:
		return nil, status.Error(codes.ResourceExhausted, "too many calls are open")
	}
}

func (s *Server) unary(ctx context.Context, r any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
	leave, err := s.admit(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return h(ctx, r)
}

func (s *Server) stream(srv any, st grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) error {
	leave, err := s.admit(st.Context())
	if err != nil {
		return err
	}
	defer leave()
	return h(srv, st)
}

// errNobody is what the specification has for callers without an identity.
var errNobody = status.Error(codes.PermissionDenied, "no identity issued: this process has none in the mesh, or has not joined yet")

// identities are those of who calls, of which there is one at least.
func (s *Server) identities(ctx context.Context) ([]identity.ID, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, errNobody
	}
	info, ok := p.AuthInfo.(callerInfo)
	if !ok {
		return nil, errNobody
	}
	ids := s.opt.Identify(info.Caller)
	if len(ids) == 0 {
		s.opt.Log.Debug("a process without an identity asks the Workload API", "pid", info.PID, "uid", info.UID)
		return nil, errNobody
	}
	return ids, nil
}

// follow sends what make makes, now and whenever it has changed, until the caller leaves.
// A caller who is nobody any more is told so.
func (s *Server) follow(ctx context.Context, send func(ids []identity.ID) error) error {
	changed, stop := s.opt.Keyring.Watch()
	defer stop()
	for {
		ids, err := s.identities(ctx)
		if err == nil {
			err = send(ids)
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}
