package faults

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// disk is a small one at a folder.
type disk struct {
	t    *testing.T
	path string
}

func newDisk(t *testing.T, path string) *disk {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", path, "tmpfs", 0, "size=3m,mode=0700"); err != nil {
		if errors.Is(err, os.ErrPermission) {
			t.Skip("file systems cannot be mounted here")
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	return &disk{t, path}
}

func (d *disk) filler() string { return filepath.Join(d.path, "filler") }

// fill leaves no room.
func (d *disk) fill() {
	d.t.Helper()
	f, err := os.Create(d.filler())
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size > 0; {
		if _, err = f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatal(err)
	}
}

func (d *disk) free() {
	d.t.Helper()
	if err := os.Remove(d.filler()); err != nil {
		d.t.Fatal(err)
	}
}

const moved = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ratings}
spec:
  parentRefs: [{group: "", kind: Service, name: ratings}]
  rules:
  - backendRefs: [{name: ratings-v2, port: 9080}]
`

// The disks with the state of a proxy and of the control plane are full. Requests and
// changes go on; what cannot be kept is not acknowledged; and when there is room again it
// is kept.
func TestDiskFull(t *testing.T) {
	m := newMesh(t, "")
	plane := newDisk(t, filepath.Join(m.dir, "control1"))
	proxy := newDisk(t, filepath.Join(m.dir, "client"))
	c := m.control()
	m.ratings("one")
	m.member("ratings-v2", "two")
	client := m.reviews()
	client.served("one")
	l := client.load()
	l.goesOn(50)
	plane.fill()
	proxy.fill()
	const denial = `{"id":"spiffe://cluster.local/ns/gone/sa/x","reason":"a test"}`
	eventually(t, "nothing is acknowledged that cannot be kept", func() error {
		status, reply, err := c.api("POST", "/v1/mesh/denials", denial)
		switch {
		case err != nil:
			t.Fatal(err)
		case status == http.StatusCreated: // pages that were free already
			if _, _, err := c.api("DELETE", "/v1/mesh/denials?id=spiffe://cluster.local/ns/gone/sa/x", ""); err != nil {
				t.Fatal(err)
			}
			return errors.New("there is room still")
		case status != http.StatusServiceUnavailable || !bytes.Contains(reply, []byte("state store")):
			t.Errorf("%d %s", status, reply)
		}
		return nil
	})
	m.write(moved)
	l.answeredBy("two")
	client.says("cannot be written to disk")
	plane.free()
	proxy.free()
	eventually(t, "what is changed is kept again", func() error {
		status, reply, err := c.api("POST", "/v1/mesh/denials", denial)
		if err == nil && status != http.StatusCreated {
			err = errors.New(string(reply))
		}
		return err
	})
	// What is changed next is on the proxy's disk, whole.
	m.write(strings.Replace(moved, "ratings-v2", "ratings", 1))
	l.answeredBy("one")
	m.write(moved)
	l.answeredBy("two")
	client.says("is written to disk again")
	l.clean()
	c.kill()
	client.end()
	client.start()
	client.says("kept on disk")
	l = client.load()
	l.goesOn(50)
	if l.by("one") > 0 {
		t.Error("the proxy serves a configuration from before the last one")
	}
	l.clean()
}
