package netx_test

import (
	"io"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/netx"
)

type relayed struct {
	toB, toA int64
	err      error
}

// relay starts a Relay between the inner ends of two connections.
func relay(t *testing.T, o netx.RelayOptions) (client, server *netx.Conn, done chan relayed) {
	client, a := pair(t)
	b, server := pair(t)
	done = make(chan relayed, 1)
	go func() {
		toB, toA, err := netx.Relay(a, b, o)
		done <- relayed{toB, toA, err}
		a.Close()
		b.Close()
	}()
	return client, server, done
}

func TestRelayHalfClose(t *testing.T) {
	client, server, done := relay(t, netx.RelayOptions{})
	write(t, client, "question")
	if got := read(t, server, 8); got != "question" {
		t.Errorf("got %q", got)
	}
	client.CloseWrite()
	if _, err := server.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the end was not passed on: %v", err)
	}
	write(t, server, "answer")
	server.CloseWrite()
	if got, err := io.ReadAll(client); string(got) != "answer" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if r := <-done; r.toB != 8 || r.toA != 6 || r.err != nil {
		t.Errorf("%+v", r)
	}
}

func TestRelayPassesResetsOn(t *testing.T) {
	client, server, done := relay(t, netx.RelayOptions{Idle: time.Minute})
	server.Abort()
	if _, err := client.Read(make([]byte, 1)); !netx.IsReset(err) {
		t.Errorf("the client got %v", err)
	}
	if r := <-done; !netx.IsReset(r.err) {
		t.Errorf("%+v", r)
	}
}

// One busy direction keeps the quiet one alive; silence in both ends them.
func TestRelayIdle(t *testing.T) {
	const idle = 500 * time.Millisecond
	client, server, done := relay(t, netx.RelayOptions{Idle: idle})
	tick := time.NewTicker(idle / 5)
	defer tick.Stop()
	begin := time.Now()
	for time.Since(begin) < 2*idle {
		<-tick.C
		write(t, client, "x")
		read(t, server, 1)
	}
	select {
	case r := <-done:
		t.Fatalf("ended while busy: %+v", r)
	default:
	}
	if r := <-done; !netx.IsTimeout(r.err) {
		t.Errorf("%+v", r)
	}
	if _, err := client.Read(make([]byte, 1)); !netx.IsGone(err) {
		t.Errorf("the client got %v", err)
	}
}

func TestRelayBy(t *testing.T) {
	client, server, done := relay(t, netx.RelayOptions{By: netx.After(50 * time.Millisecond)})
	write(t, client, "x")
	read(t, server, 1)
	if r := <-done; !netx.IsTimeout(r.err) || r.toB != 1 {
		t.Errorf("%+v", r)
	}
}
