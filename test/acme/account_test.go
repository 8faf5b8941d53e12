package acme

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A stored account that is damaged holds up no certificate: it is set aside, and
// a new one is made. One of which only the URL is lost is found again by its key.
func TestDamagedAccount(t *testing.T) {
	t.Parallel()
	plain, secure := ports(t)
	a := newAuthority(t, settings{httpPort: plain, tlsPort: 1})
	state := filepath.Join(t.TempDir(), "state")
	files := func(pattern string) []string {
		t.Helper()
		list, err := filepath.Glob(filepath.Join(state, "acme", pattern))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	start(t, a.shop(plain, secure), state).reachesAndStops("Issued")
	stored := files("accounts/*")
	if len(stored) != 1 {
		t.Fatalf("accounts: %q", stored)
	}
	good, err := os.ReadFile(stored[0])
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(good, &fields); err != nil {
		t.Fatal(err)
	}
	but := func(name string, value any) string {
		changed := map[string]any{}
		for k, v := range fields {
			changed[k] = v
		}
		changed[name] = value
		text, err := json.Marshal(changed)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, c := range []struct {
		name, text string
		aside      bool
	}{
		{"empty", "", true},
		{"half", string(good[:len(good)/2]), true},
		{"without a key", but("key", ""), true},
		{"with half a key", but("key", strings.Replace(fields["key"].(string), "\nM", "\nMM", 1)), true},
		{"long", strings.Repeat(" ", 1<<20) + string(good), true},
		{"without a URL", but("location", ""), false},
	} {
		for _, path := range append(files("certificates/*"), files("accounts/*.damaged-*")...) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(stored[0], []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		g := start(t, a.shop(plain, secure), state)
		g.reachesAndStops("Issued")
		after, err := os.ReadFile(stored[0])
		if err != nil || string(after) == c.text {
			t.Errorf("%s: the account is still damaged: %v", c.name, err)
		}
		key := func(text []byte) string {
			var v struct{ Key, Location string }
			if json.Unmarshal(text, &v) != nil || v.Location == "" {
				t.Errorf("%s: stored: %s", c.name, text)
			}
			return v.Key
		}
		aside := files("accounts/*.damaged-*")
		if !c.aside {
			if len(aside) > 0 {
				t.Errorf("%s: %q is set aside", c.name, aside)
			}
			if key(after) != fields["key"].(string) {
				t.Errorf("%s: the key is another one", c.name)
			}
			continue
		}
		if len(aside) != 1 || !strings.HasPrefix(aside[0], stored[0]+".damaged-") {
			t.Errorf("%s: set aside: %q", c.name, aside)
			continue
		}
		if kept, err := os.ReadFile(aside[0]); err != nil || string(kept) != c.text {
			t.Errorf("%s: what is set aside has changed: %v", c.name, err)
		}
		if text := g.Output.String(); !strings.Contains(text, "the stored account is damaged, and set aside") || !strings.Contains(text, filepath.Base(aside[0])) {
			t.Errorf("%s: the log does not say so", c.name)
		}
	}
}

// reachesAndStops waits until the only certificate is in a phase, and ends the process.
func (g *gridway) reachesAndStops(phase string) {
	g.t.Helper()
	g.reaches(phase)
	g.Stop()
}
