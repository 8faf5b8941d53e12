package http3

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlog"
	"github.com/quic-go/quic-go/qlogwriter"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// scheduled records which priorities the library was told.
type scheduled struct {
	mu  sync.Mutex
	all []string // guarded by mu
}

func (s *scheduled) AddProducer() qlogwriter.Recorder { return s }
func (s *scheduled) Close() error                     { return nil }
func (s *scheduled) RecordEvent(event qlogwriter.Event) {
	if e, ok := event.(qlog.StreamPriorityUpdated); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all = append(s.all, fmt.Sprint(e.StreamID, " ", e.Urgency, " ", e.Incremental))
	}
}

// serverStreams are the first n streams of a client as its server has them.
func serverStreams(t *testing.T, n int) ([]*quic.Stream, *scheduled) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"a.example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	seen := new(scheduled)
	ln, err := quic.ListenAddr("127.0.0.1:0",
		&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"h3"}},
		&quic.Config{Tracer: func(context.Context, bool, quic.ConnectionID) qlogwriter.Trace { return seen }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	client, err := quic.DialAddr(ctx, ln.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.CloseWithError(0, "") })
	server, err := ln.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var all []*quic.Stream
	for range n {
		str, err := client.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := str.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		str, err = server.AcceptStream(ctx)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, str)
	}
	return all, seen
}

// The library is told what a client wants, by the field of its request or on the
// control stream, whichever comes first; the latter counts for more.
func TestPriorities(t *testing.T) {
	str, seen := serverStreams(t, 4)
	c := new(Conn)
	begin := func(i int, value string) {
		t.Helper()
		c.next = uint64(str[i].StreamID()) + 4
		s := &stream{c: c, str: str[i], told: c.priorities.begin(str[i])}
		var h httpmsg.Header
		if value != "" {
			h.AddField([]byte("priority"), []byte(value), httpmsg.NamePriority)
		}
		s.prioritize(&h)
	}
	told := func(want ...string) {
		t.Helper()
		seen.mu.Lock()
		defer seen.mu.Unlock()
		if !slices.Equal(seen.all, want) {
			t.Errorf("the library was told %q, not %q", seen.all, want)
		}
		seen.all = nil
	}
	begin(0, "")
	told()
	c.prioritize(0, 5, false)
	told("0 5 false")
	begin(1, "u=1")
	told("4 1 false")
	c.prioritize(4, 2, true)
	told("4 2 true")
	for id := range uint64(20) { // of which the last eight are kept
		c.prioritize(8+4*id, 7, false)
	}
	c.prioritize(12, 6, true)
	c.prioritize(12, 0, true)
	begin(2, "u=4, i")
	told("8 4 true")
	begin(3, "u=4")
	told("12 0 true")
	c.priorities.end(str[3])
	c.prioritize(12, 1, false)
	told()
	if n := len(c.priorities.open); n != 3 {
		t.Errorf("%d streams are known", n)
	}
}
