package app

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func dial(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// A door that is shut lets nobody in, and waits until who is in is looked after.
func TestDoor(t *testing.T) {
	l := listen(t)
	d := newDoor(l)
	dial(t, l)
	in, err := d.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := d.Accept()
		ended <- err
	}()
	left := make(chan struct{})
	go func() {
		d.leave(time.Hour)
		close(left)
	}()
	for parked := false; !parked; {
		d.mu.Lock()
		changed := d.changed
		parked = d.parked
		d.mu.Unlock()
		if !parked {
			<-changed
		}
	}
	dial(t, l) // waits at the socket
	select {
	case <-left:
		t.Error("it does not wait for who is in")
	case err := <-ended:
		t.Errorf("somebody came in, %v", err)
	default:
	}
	if err := in.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	<-left
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != net.ErrClosed {
		t.Errorf("%v", err)
	}
	_ = d.Close() // again
}

// It waits for a time only, and for nobody once it is closed.
func TestDoorGivesUp(t *testing.T) {
	l := listen(t)
	d := newDoor(l)
	dial(t, l)
	in, err := d.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	d.leave(time.Millisecond)
	other := newDoor(listen(t))
	_ = other.Close()
	other.leave(time.Hour)
	if _, err := other.Accept(); err == nil {
		t.Error("a closed door lets somebody in")
	}
}

// Calls go on while a server gives its socket to the next one, over and over.
func TestDoorBetweenServers(t *testing.T) {
	first := listen(t).(*net.TCPListener)
	var servers sync.WaitGroup
	defer servers.Wait()
	// begin serves at the same socket, as another process would.
	begin := func() (stop func()) {
		f, err := first.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		l, err := net.FileListener(f)
		if err != nil {
			t.Fatal(err)
		}
		d, s := newDoor(l), grpc.NewServer()
		healthpb.RegisterHealthServer(s, health.NewServer())
		servers.Go(func() { _ = s.Serve(d) })
		return func() {
			d.leave(30 * time.Second)
			s.GracefulStop()
		}
	}
	stop := begin()
	ctx, end := context.WithCancel(t.Context())
	failed := make(chan error, 100)
	var callers sync.WaitGroup
	asked := make(chan struct{}, 1)
	for range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				conn, err := grpc.NewClient("passthrough:///"+first.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
				if err == nil {
					_, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
					_ = conn.Close()
				}
				if err != nil && ctx.Err() == nil {
					select {
					case failed <- err:
					default:
					}
				}
				select {
				case asked <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 20 {
		for range 5 {
			<-asked
		}
		next := begin()
		stop()
		stop = next
	}
	end()
	callers.Wait()
	stop()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
}
