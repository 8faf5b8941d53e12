package distrib

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// silentStream is one whose other end says nothing; its context is not the connection's,
// as behind an interceptor that ends streams of those who are denied.
type silentStream struct {
	grpc.ServerStream
	ctx  context.Context
	over chan struct{}
}

func (s *silentStream) Context() context.Context       { return s.ctx }
func (s *silentStream) Send(*meshpb.FromControl) error { return nil }

func (s *silentStream) Recv() (*meshpb.FromProxy, error) {
	<-s.over
	return nil, errors.New("the connection is over")
}

type noViews struct{}

func (noViews) View(*Proxy) (View, error) { return View{}, nil }
func (noViews) Changed() <-chan struct{}  { return nil }

// A stream ends with its context, although its connection goes on.
func TestStreamEndsWithItsContext(t *testing.T) {
	s, err := NewServer(ServerConfig{Views: noViews{}, Identify: func(context.Context) (string, error) { return "spiffe://x/ns/a/sa/b", nil }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, deny := context.WithCancel(t.Context())
	stream := &silentStream{ctx: ctx, over: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- s.Stream(stream) }()
	deny()
	if err := <-ended; status.Code(err) != codes.Canceled {
		t.Errorf("it ended with %v", err)
	}
	close(stream.over)
	s.work.Wait()
}
