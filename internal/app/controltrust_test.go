package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/identity/identitytest"
)

// streamBy is a stream of who has an SVID.
type streamBy struct {
	grpc.ServerStream
	ctx context.Context
}

func (s streamBy) Context() context.Context { return s.ctx }

func streamOf(t *testing.T, s *identity.SVID) grpc.ServerStream {
	t.Helper()
	state := tls.ConnectionState{PeerCertificates: []*x509.Certificate{s.Leaf()}}
	return streamBy{ctx: peer.NewContext(t.Context(), &peer.Peer{AuthInfo: credentials.TLSInfo{State: state}})}
}

// One SVID has so many streams and no more, which takes nothing from another one, not even
// of the same workload; control planes, who ask for all of their users, have no such bound;
// and a denial ends those of whom it is about.
func TestStreamsOfAnSVID(t *testing.T) {
	a := identitytest.New(t, "cluster.local")
	keys := a.Keyring("shop", "control")
	s := newStreams(keys)
	defer s.stop()
	first, renewed := a.Workload("shop", "cart"), a.Workload("shop", "cart")
	control := a.SVID(identity.Control(a.TrustDomain()), time.Hour)
	entered, ended := make(chan error), make(chan error)
	open := func(by *identity.SVID) error {
		go func() {
			err := s.intercept(nil, streamOf(t, by), nil, func(_ any, ss grpc.ServerStream) error {
				entered <- nil
				<-ss.Context().Done()
				return ss.Context().Err()
			})
			if status.Code(err) == codes.ResourceExhausted {
				entered <- err
				return
			}
			ended <- err
		}()
		return <-entered
	}
	for i := range maxStreams {
		if err := open(first); err != nil {
			t.Fatalf("stream %d: %v", i, err)
		}
	}
	if err := open(first); err == nil {
		t.Error("one more than there may be")
	}
	if err := open(renewed); err != nil {
		t.Errorf("the next SVID: %v", err)
	}
	for range maxStreams + 1 {
		if err := open(control); err != nil {
			t.Fatalf("a control plane: %v", err)
		}
	}
	keys.Apply(identity.Change{Denied: []identity.Denial{{Serial: identity.Serial(first.Leaf().SerialNumber)}}})
	for range maxStreams {
		<-ended
	}
	keys.Apply(identity.Change{Denied: []identity.Denial{}})
	if err := open(first); err != nil {
		t.Errorf("after they have ended: %v", err)
	}
	keys.Apply(identity.Change{Denied: []identity.Denial{{ID: first.ID().String()}, {ID: identity.Control(a.TrustDomain()).String()}}})
	for range 1 + 1 + maxStreams + 1 {
		<-ended
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) != 0 || len(s.of) != 0 {
		t.Errorf("%d streams of %d SVIDs are left", len(s.open), len(s.of))
	}
}
