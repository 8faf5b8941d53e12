package netx_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/netx"
)

func tlsConfig(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "netx"}, DNSNames: []string{"netx.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		MinVersion:   tls.VersionTLS12,
	}
}

// tlsPair is a connection with TLS on both ends.
func tlsPair(t testing.TB, maxVersion uint16) (client, server *netx.Conn) {
	t.Helper()
	config := tlsConfig(t)
	client, server = pair(t)
	done := make(chan error, 1)
	go func() { done <- server.HandshakeServer(config, netx.After(10*time.Second)) }()
	if err := client.HandshakeClient(&tls.Config{InsecureSkipVerify: true, MaxVersion: maxVersion}, netx.After(10*time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return client, server
}

func TestTLS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		a, b := tlsPair(t, version)
		if !b.IsTLS() || b.TLSState().Version != version || b.TLSState() != b.TLSState() {
			t.Errorf("state: %+v", b.TLSState())
		}
		// Idle reads: nothing yet, one record, several records in one segment.
		b.SetReadBy(netx.After(20 * time.Millisecond))
		if _, _, err := b.ReadIdle(4096); !netx.IsTimeout(err) {
			t.Fatalf("got %v", err)
		}
		b.SetReadBy(netx.After(10 * time.Second))
		for range 5 {
			write(t, a, "record")
		}
		for got := 0; got < 30; {
			buf, n, err := b.ReadIdle(4096)
			if err != nil {
				t.Fatal(err)
			}
			got += n
			buf.Release()
		}
		// Partial reads leave decrypted bytes inside crypto/tls, which an idle
		// wait must not sleep on.
		write(t, a, "0123456789")
		if got := read(t, b, 1); got != "0" {
			t.Errorf("got %q", got)
		}
		buf, n, err := b.ReadIdle(4096)
		if err != nil || string(buf.B[:n]) != "123456789" {
			t.Fatal(n, err)
		}
		buf.Release()
		// A time-out of a read leaves the connection intact.
		b.SetReadBy(netx.After(10 * time.Millisecond))
		if _, err := b.Read(make([]byte, 1)); !netx.IsTimeout(err) {
			t.Errorf("got %v", err)
		}
		b.SetReadBy(netx.After(10 * time.Second))
		for _, size := range []int{1, 5000, 16 << 10, 100 << 10} {
			head, body := bytes.Repeat([]byte("h"), 300), bytes.Repeat([]byte("b"), size)
			go func() {
				if n, err := a.Writev(head, body); n != 300+size || err != nil {
					t.Errorf("Writev = %d, %v", n, err)
				}
			}()
			if got := read(t, b, 300+size); got != string(head)+string(body) {
				t.Error("the bytes differ")
			}
		}
		done := make(chan error, 1)
		go func() {
			_, _, err := b.ReadIdle(4096)
			done <- err
		}()
		b.Interrupt()
		if err := <-done; err != netx.ErrInterrupted {
			t.Errorf("got %v", err)
		}
		a.Close()
		eventually(t, "close_notify and FIN are seen", b.Gone)
		if _, _, err := b.ReadIdle(4096); err != io.EOF {
			t.Errorf("got %v", err)
		}
	}
}

func TestTLSHandshakeDeadline(t *testing.T) {
	_, b := pair(t)
	if err := b.HandshakeServer(&tls.Config{}, netx.After(20*time.Millisecond)); !netx.IsTimeout(err) {
		t.Errorf("got %v", err)
	}
}

func TestTLSCutOffIsNotEOF(t *testing.T) {
	a, b := tlsPair(t, tls.VersionTLS13)
	write(t, a, "x")
	read(t, b, 1)
	a.Abort() // no close_notify
	if _, err := b.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("got %v", err)
	}
}

func TestTLSSplice(t *testing.T) {
	in, src := tlsPair(t, tls.VersionTLS13)
	dst, out := pair(t)
	go func() {
		_, _ = in.Write(make([]byte, 200<<10))
		in.CloseWrite()
	}()
	go func() {
		if n, err := src.SpliceTo(dst, -1); n != 200<<10 || err != nil {
			t.Errorf("SpliceTo = %d, %v", n, err)
		}
		dst.CloseWrite()
	}()
	if got, err := io.ReadAll(out); len(got) != 200<<10 || err != nil {
		t.Errorf("received %d, %v", len(got), err)
	}
}

func TestTLSWatch(t *testing.T) {
	_, b := tlsPair(t, tls.VersionTLS13)
	w := new(watcher)
	w.gone.Store(true)
	b.SetWatch(w)
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, netx.ErrWatchGone) {
		t.Errorf("got %v", err)
	}
}
