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

	mu   sync.Mutex
	open map[*stream]struct{} // guarded by mu
}

type stream struct {
	grpc.ServerStream
	ctx        context.Context
	end        context.CancelFunc
	id, serial string
}

func (s *stream) Context() context.Context { return s.ctx }

func newStreams(k *identity.Keyring) *streams {
	s := &streams{open: map[*stream]struct{}{}}
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
	s.mu.Lock()
	s.open[x] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.open, x)
		s.mu.Unlock()
	}()
	return handler(srv, x)
}
