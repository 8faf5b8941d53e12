package grpc

import (
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// The cases of grpc-go's /interop/http2, whose server is a program of gRPC's own
// tests in Python: here it is one of ours.
func TestNegative(t *testing.T) {
	answer := largeAnswer()
	whole := func(c *badConn, id uint32) {
		c.head(id)
		c.data(id, answer)
		c.trailer(id)
	}
	large := func(tc testgrpc.TestServiceClient) error {
		_, err := tc.UnaryCall(short(t), &testgrpc.SimpleRequest{ResponseSize: 314159, Payload: payload(271828)})
		return err
	}
	through := func(t *testing.T, s *badServer) testgrpc.TestServiceClient {
		_, tc := (&server{address: s.start(t).address}).through(t, "")
		return tc
	}
	t.Run("goaway", func(t *testing.T) {
		s := &badServer{answer: func(c *badConn, id uint32) {
			c.write(func() error { return c.fr.WriteGoAway(id, 0, nil) })
			whole(c, id)
		}}
		tc := through(t, s)
		for range 3 {
			if err := large(tc); err != nil {
				t.Error(err)
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.conns < 3 {
			t.Errorf("%d connections for three calls, each of which got a GOAWAY", s.conns)
		}
	})
	t.Run("rst_after_header", func(t *testing.T) {
		err := large(through(t, &badServer{answer: func(c *badConn, id uint32) {
			c.head(id)
			c.reset(id)
		}}))
		wantStatus(t, err, codes.Internal, "the backend reset the stream")
	})
	t.Run("rst_during_data", func(t *testing.T) {
		err := large(through(t, &badServer{answer: func(c *badConn, id uint32) {
			c.head(id)
			c.data(id, answer[:len(answer)/2])
			c.reset(id)
		}}))
		if code := status.Code(err); code != codes.Internal && code != codes.Unknown {
			t.Error(err)
		}
	})
	t.Run("rst_after_data", func(t *testing.T) {
		err := large(through(t, &badServer{answer: func(c *badConn, id uint32) {
			c.head(id)
			c.data(id, answer)
			c.reset(id)
		}}))
		wantStatus(t, err, codes.Internal, "the backend reset the stream")
	})
	t.Run("ping", func(t *testing.T) {
		err := large(through(t, &badServer{answer: func(c *badConn, id uint32) {
			c.ping()
			c.head(id)
			c.ping()
			c.data(id, answer[:1000])
			c.ping()
			c.data(id, answer[1000:])
			c.ping()
			c.trailer(id)
		}}))
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("max_streams", func(t *testing.T) {
		tc := through(t, &badServer{maxStreams: 1, answer: whole})
		if err := large(tc); err != nil { // by now the limit is known
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 15 {
			wg.Go(func() {
				// Small requests: one that was refused before the limit was known is sent again.
				if _, err := tc.UnaryCall(short(t), &testgrpc.SimpleRequest{Payload: payload(1000)}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}
