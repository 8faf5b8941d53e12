package netx_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/netx"
)

func TestSpliceTo(t *testing.T) {
	in, src := pair(t)
	dst, out := pair(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	go func() {
		_, _ = in.Write(data)
		_, _ = in.Write([]byte("next"))
	}()
	done := make(chan error, 1)
	go func() {
		n, err := src.SpliceTo(dst, int64(len(data)))
		if n != int64(len(data)) {
			t.Errorf("moved %d bytes", n)
		}
		dst.CloseWrite()
		done <- err
	}()
	got, err := io.ReadAll(out)
	if err != nil || sha256.Sum256(got) != sha256.Sum256(data) {
		t.Errorf("received %d bytes, %v", len(got), err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if s := read(t, src, 4); s != "next" {
		t.Errorf("%q follows", s)
	}
}

func TestSpliceToEnd(t *testing.T) {
	in, src := pair(t)
	dst, out := pair(t)
	src.Unread([]byte("un"))
	write(t, in, "til")
	in.CloseWrite()
	if n, err := src.SpliceTo(dst, -1); n != 5 || err != nil {
		t.Errorf("SpliceTo = %d, %v", n, err)
	}
	if s := read(t, out, 5); s != "until" {
		t.Errorf("got %q", s)
	}
	if n, err := src.SpliceTo(dst, 10); n != 0 || err != io.ErrUnexpectedEOF {
		t.Errorf("SpliceTo = %d, %v", n, err)
	}
}

func TestSpliceDeadlines(t *testing.T) {
	in, src := pair(t)
	dst, out := pair(t)
	src.SetReadBy(netx.After(10 * time.Millisecond))
	var we *netx.WriteError
	if _, err := src.SpliceTo(dst, 1); !netx.IsTimeout(err) || errors.As(err, &we) {
		t.Fatalf("got %v", err)
	}
	// A source that timed out lost nothing.
	src.SetReadBy(netx.After(10 * time.Second))
	write(t, in, "x")
	if n, err := src.SpliceSome(dst, 100); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	read(t, out, 1)

	go func() { _, _ = in.Write(make([]byte, 64<<20)) }()
	dst.SetWriteBy(netx.After(50 * time.Millisecond))
	if _, err := src.SpliceTo(dst, -1); !netx.IsTimeout(err) || !errors.As(err, &we) {
		t.Errorf("got %v", err)
	}
	in.Abort()
}

func TestSpliceToGoneDestination(t *testing.T) {
	in, src := pair(t)
	dst, out := pair(t)
	out.Abort()
	eventually(t, "the reset is seen", dst.Gone)
	write(t, in, "x")
	var we *netx.WriteError
	if _, err := src.SpliceTo(dst, -1); !errors.As(err, &we) || !netx.IsReset(err) {
		t.Errorf("got %v", err)
	}
}
