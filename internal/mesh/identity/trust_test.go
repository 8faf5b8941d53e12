package identity_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/identity/identitytest"
)

func TestTrust(t *testing.T) {
	one, two := identitytest.New(t, "one.example"), identitytest.New(t, "two.example")
	denials := []identity.Denial{
		{ID: "spiffe://one.example/ns/default/sa/reviews", Reason: "stolen"},
		{Serial: "badc0de", Expires: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)},
	}
	trusted, denied, err := identity.EncodeTrust([]*identity.Bundle{one.Bundle(), two.Bundle()}, denials)
	if err != nil {
		t.Fatal(err)
	}
	c, err := identity.DecodeTrust(trusted, denied)
	if err != nil {
		t.Fatal(err)
	}
	k := identity.NewKeyring(identity.Options{})
	k.Apply(c)
	if b := k.Bundles(); len(b) != 2 || !b[0].Equal(one.Bundle()) || !b[1].Equal(two.Bundle()) {
		t.Errorf("bundles %v", b)
	}
	if !k.Denied(denials[0].ID, "1") || !k.Denied("spiffe://two.example/ns/default/sa/x", denials[1].Serial) || k.Denied("spiffe://two.example/ns/default/sa/x", "1") {
		t.Errorf("denied %v", k.Denials())
	}

	// Nobody is denied any more, which is another thing than that nothing is said of it.
	if trusted, denied, err = identity.EncodeTrust([]*identity.Bundle{one.Bundle(), two.Bundle()}, nil); err != nil {
		t.Fatal(err)
	}
	if c, err = identity.DecodeTrust(trusted, denied); err != nil {
		t.Fatal(err)
	}
	k.Apply(c)
	if len(k.Denials()) != 0 {
		t.Errorf("denied %v", k.Denials())
	}
}

func TestTrustThatIsNone(t *testing.T) {
	good, none, err := identity.EncodeTrust([]*identity.Bundle{identitytest.New(t, "one.example").Bundle()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ trusted, denied, want string }{
		{"", string(none), "trust bundles"},
		{"{}", string(none), "no trust bundle"},
		{`{"One":{}}`, string(none), "trust domain"},
		{`{"one.example":{}}`, string(none), "one.example"},
		{string(good), "", "deny list"},
		{string(good), `[{}]`, "deny list"},
		{string(good), `[{"id":"x"}]`, "deny list"},
	} {
		if _, err := identity.DecodeTrust([]byte(c.trusted), []byte(c.denied)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q %q: %v, want %q", c.trusted, c.denied, err, c.want)
		}
	}
}

// FuzzTrust: what is read is written and read as the same.
func FuzzTrust(f *testing.F) {
	trusted, denied, err := identity.EncodeTrust([]*identity.Bundle{identitytest.New(f, "one.example").Bundle()}, []identity.Denial{{Serial: "1"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(trusted, denied)
	f.Add([]byte(`{"one.example":{"keys":[]}}`), []byte("null"))
	f.Fuzz(func(t *testing.T, trusted, denied []byte) {
		c, err := identity.DecodeTrust(trusted, denied)
		if err != nil {
			return
		}
		again, still, err := identity.EncodeTrust(c.Bundles, c.Denied)
		if err != nil {
			t.Fatal(err)
		}
		d, err := identity.DecodeTrust(again, still)
		if err != nil || len(d.Bundles) != len(c.Bundles) || len(d.Denied) != len(c.Denied) {
			t.Fatalf("%v: %s %s", err, again, still)
		}
	})
}
