package app

import (
	"bytes"
	"crypto/x509"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/ca"
	"github.com/gridway/gridway/internal/mesh/federation"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

// Over many rotations of the roots there, whoever has an SVID of the other trust domain
// is trusted here, with a bundle that is fetched as often as it asks for.
func TestFederationOverRotations(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		db := statetest.Open(t, place)
		var at atomic.Int64
		at.Store(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC).Unix())
		now := func() time.Time { return time.Unix(at.Load(), 0) }
		theirs, _ := identity.ParseTrustDomain("west.example")
		west, err := ca.Open(t.Context(), ca.Options{DB: db, TrustDomain: theirs, Secrets: [][]byte{bytes.Repeat([]byte{1}, 32)}, Rotation: 6 * time.Hour, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewUnstartedServer(federation.Handler(west.Bundle))
		s.TLS = federation.ServerTLS(west.Keyring())
		s.StartTLS()
		s.TLS.Certificates = nil
		t.Cleanup(s.Close)
		file := filepath.Join(t.TempDir(), "west.json")
		if err := os.WriteFile(file, west.Bundle().JSON(), 0o600); err != nil {
			t.Fatal(err)
		}
		ours, _ := identity.ParseTrustDomain("east.example")
		relation, err := federation.ParseRelation("west.example=" + s.URL + ",endpoint=" + identity.Control(theirs).String() + ",bundle=" + file)
		if err != nil {
			t.Fatal(err)
		}
		east := identity.NewKeyring(identity.Options{Now: now})
		fed, err := federation.New(federation.Options{Own: ours, Relations: []federation.Relation{relation}, Folder: t.TempDir(), Now: now})
		if err != nil {
			t.Fatal(err)
		}
		roots := map[string]bool{}
		for hours := 0; hours < 24; hours++ {
			west.Look(t.Context())
			fed.Refresh(t.Context())
			if s := fed.States()[0]; s.Error != "" {
				t.Fatalf("after %d hours: %s", hours, s.Error)
			}
			east.Apply(identity.Change{Bundles: fed.Bundles()})
			// Others of west look later than the one that is asked, and sign by what is new.
			at.Add(int64((5 * time.Minute).Seconds()))
			west.Look(t.Context())
			svid, err := west.Issue(identity.Workload(theirs, "shop", "ratings"), "test")
			if err != nil {
				t.Fatal(err)
			}
			chain, err := x509.ParseCertificates(svid.Chain())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := east.VerifyPeer(chain); err != nil {
				t.Fatalf("after %d hours: %v", hours, err)
			}
			for _, r := range west.Bundle().Roots() {
				roots[identity.Serial(r.SerialNumber)] = true
			}
			at.Add(int64((55 * time.Minute).Seconds()))
		}
		if len(roots) < 4 {
			t.Errorf("only %d roots were there", len(roots))
		}
	})
}
