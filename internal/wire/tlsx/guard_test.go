package tlsx_test

import (
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/tlsx"
	"github.com/gridway/gridway/internal/wire/tlsx/meshtest"
)

func TestSerial(t *testing.T) {
	for n, want := range map[int64]string{0x1f: "1f", 0xabc: "abc", 0x0a0b0c: "a0b0c"} {
		if got := tlsx.Serial(&x509.Certificate{SerialNumber: big.NewInt(n)}); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

// A guard cuts whom it looks after, once, also who was denied during the handshake.
func TestGuard(t *testing.T) {
	const who, other = "spiffe://example.org/ns/a/sa/who", "spiffe://example.org/ns/a/sa/other"
	a := meshtest.NewAuthority(t)
	ids := meshtest.New(a, other)
	g := tlsx.NewGuard(ids)
	defer g.Close()
	state := func(id string) *tls.ConnectionState {
		return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{a.Issue(id, time.Hour).Leaf}}
	}
	cuts := map[string]int{}
	add := func(name string, s *tls.ConnectionState, since uint64) *tlsx.Guarded {
		t.Helper()
		c, err := g.Add(s, since, func() { cuts[name]++ })
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	began := g.Denials()
	first := add("first", state(who), began)
	left := add("left", state(who), began)
	add("other", state(other), began)
	left.Leave()
	if p := first.Peer(); p.ID != who || p.SerialNumber == "" {
		t.Errorf("the peer is %+v", p)
	}
	ids.Deny(who)
	ids.Deny(who)
	if len(cuts) != 1 || cuts["first"] != 1 {
		t.Errorf("cut: %v", cuts)
	}
	if _, err := g.Add(state(who), began, func() {}); err == nil {
		t.Error("who was denied during the handshake is in")
	}
	late := state(other)
	add("late", late, began)
	ids.Deny(tlsx.Serial(late.PeerCertificates[0]))
	if cuts["late"] != 1 || cuts["other"] != 0 {
		t.Errorf("cut by its serial number: %v", cuts)
	}
	var nobody *tlsx.Guarded
	nobody.Leave()
	if nobody.Peer() != (tlsx.Peer{}) {
		t.Error("nobody is somebody")
	}
}
