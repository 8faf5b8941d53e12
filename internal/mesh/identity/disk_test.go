package identity_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/identity/identitytest"
)

func TestWhatIsSavedIsLoaded(t *testing.T) {
	a, b := identitytest.New(t, "ours"), identitytest.New(t, "theirs")
	k := a.Keyring("shop", "cart", b)
	intermediate := a.Intermediate().Workload("shop", "reviews")
	k.Apply(identity.Change{Put: []*identity.SVID{intermediate}, Denied: []identity.Denial{{Serial: "ab", Reason: "lost"}}})
	folder := filepath.Join(t.TempDir(), "state", "mesh")
	if _, err := identity.Load(folder); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for range 2 {
		if err := k.Save(folder); err != nil {
			t.Fatal(err)
		}
	}
	c, err := identity.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	again := identity.NewKeyring(identity.Options{})
	again.Apply(c)
	if again.Own() != k.Own() || len(again.SVIDs()) != 2 || len(again.Bundles()) != 2 || len(again.Denials()) != 1 {
		t.Errorf("%v", again)
	}
	for i, s := range again.SVIDs() {
		if was := k.SVIDs()[i]; !bytes.Equal(s.Chain(), was.Chain()) || s.ID() != was.ID() {
			t.Errorf("SVID %d is another", i)
		}
		if _, err := k.VerifyPeer(chainOf(s)); err != nil {
			t.Error(err)
		}
	}
	if !again.Bundle(b.TrustDomain()).Equal(b.Bundle()) {
		t.Error("the bundle is another")
	}
	list, err := os.ReadDir(folder)
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	path := filepath.Join(folder, list[0].Name())
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, want string }{
		{"", "unexpected end"},
		{"{", "unexpected end"},
		{`{"version":2}`, "version 2"},
		{string(text[:len(text)/2]), "joins anew"},
		{strings.Replace(string(text), "BEGIN PRIVATE", "BEGIN OTHER", 1), "joins anew"},
		{strings.Replace(string(text), `"own":"spiffe://ours`, `"own":"spiffe://o urs`, 1), "joins anew"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := identity.Load(folder); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.30q: %v", c.text, err)
		}
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := identity.Load(folder); err == nil || !strings.Contains(err.Error(), "may be read by others") {
		t.Error(err)
	}
}

type outcome struct{ error }

// A folder that cannot be written stops nobody; when it can, all is saved.
func TestDiskThatFails(t *testing.T) {
	a := identitytest.New(t, "ours")
	k := a.Keyring("shop", "cart")
	folder := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(folder, nil, 0o600); err != nil { // where a folder should be
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var log text
		var last atomic.Value
		failed := func() error { return last.Load().(outcome).error }
		s := &identity.Saver{Keyring: k, Folder: folder, Log: slog.New(slog.NewTextHandler(&log, nil)), Report: func(err error) { last.Store(outcome{err}) }}
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Run(ctx)
		}()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if failed() == nil || strings.Count(log.String(), "cannot be saved") != 1 {
			t.Errorf("%v\n%s", failed(), &log)
		}
		if err := os.Remove(folder); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if failed() != nil || !strings.Contains(log.String(), "saved again") {
			t.Errorf("%v\n%s", failed(), &log)
		}
		reviews := a.Workload("shop", "reviews")
		k.Apply(identity.Change{Put: []*identity.SVID{reviews}})
		synctest.Wait()
		if c, err := identity.Load(folder); err != nil || len(c.Put) != 2 {
			t.Errorf("%d SVIDs, %v", len(c.Put), err)
		}
		cancel()
		<-done
	})
}

func FuzzLoad(f *testing.F) {
	k := identitytest.New(f, "ours").Keyring("shop", "cart")
	folder := f.TempDir()
	if err := k.Save(folder); err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "keyring.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"version":1,"bundles":{"a":{"keys":[]}}}`))
	f.Fuzz(func(_ *testing.T, text []byte) {
		if c, err := identity.ParseFile(text); err == nil {
			identity.NewKeyring(identity.Options{}).Apply(c)
		}
	})
}
