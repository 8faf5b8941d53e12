package app

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/identity"
)

// trustBoard is what proxies are told of whom to trust.
type trustBoard struct {
	mu              sync.Mutex
	bundles, denied []byte        // guarded by mu
	changed         chan struct{} // guarded by mu
}

// put replaces it; the same again is no change.
func (b *trustBoard) put(bundles []*identity.Bundle, denials []identity.Denial) error {
	trusted, denied, err := identity.EncodeTrust(bundles, denials)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if string(trusted) == string(b.bundles) && string(denied) == string(b.denied) {
		return nil
	}
	b.bundles, b.denied = trusted, denied
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
	return nil
}

// Trust implements distrib.TrustSource.
func (b *trustBoard) Trust() (bundles, denied []byte, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.bundles, b.denied, b.changed
}

// streams are those of proxies. One whose identity is denied ends at once.
type streams struct {
	stop func()

	mu   sync.Mutex // guards what follows
	open map[*stream]struct{}
	// of is how many each SVID has, by its serial number.
	of map[string]int
}

// maxStreams is how many streams one SVID may have open. A proxy has three, of all workloads
// behind it, and as many again for each connection of before that is not known to be dead.
const maxStreams = 128

type stream struct {
	grpc.ServerStream
	ctx        context.Context
	end        context.CancelFunc
	id, serial string
}

func (s *stream) Context() context.Context { return s.ctx }

func newStreams(k *identity.Keyring) *streams {
	s := &streams{open: map[*stream]struct{}{}, of: map[string]int{}}
	s.stop = k.WatchDenied(func(denied func(id, serial string) bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for x := range s.open {
			if denied(x.id, x.serial) {
				x.end()
			}
		}
	})
	return s
}

func (s *streams) intercept(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	p, _ := peer.FromContext(ss.Context())
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 || len(info.State.PeerCertificates[0].URIs) != 1 {
		return status.Error(codes.Unauthenticated, "this needs an SVID of the mesh")
	}
	leaf := info.State.PeerCertificates[0]
	x := &stream{ServerStream: ss, id: leaf.URIs[0].String(), serial: identity.Serial(leaf.SerialNumber)}
	x.ctx, x.end = context.WithCancel(ss.Context())
	defer x.end()
	if !s.enter(x) {
		return status.Errorf(codes.ResourceExhausted, "this SVID has %d streams open already, as many as it may", maxStreams)
	}
	defer s.leave(x)
	return handler(srv, x)
}

func (s *streams) enter(x *stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[x.serial] >= maxStreams && !isControl(x.id) {
		return false
	}
	s.open[x] = struct{}{}
	s.of[x.serial]++
	return true
}

func (s *streams) leave(x *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, x)
	if s.of[x.serial]--; s.of[x.serial] == 0 {
		delete(s.of, x.serial)
	}
}

// isControl tells whether it is a control plane, which asks others for many of its users.
func isControl(id string) bool {
	who, err := identity.Parse(id)
	return err == nil && identity.NameOf(who).Role == identity.RoleControl
}
