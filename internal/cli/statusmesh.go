package cli

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// printMeshStatus says which proxies serve the newest configuration, and why others do not.
func printMeshStatus(t *term.Terminal, m *adminapi.MeshStatus, now time.Time) {
	if m == nil {
		return
	}
	t.Printf("\nmesh %s at %s: %d of %d proxies serve what they were sent\n", m.TrustDomain, m.Address, m.Serving, len(m.Proxies))
	table := term.NewTable("proxy", "role", "revision", "state", "uses").Right(2)
	for _, p := range m.Proxies {
		state := term.Paint(p.State, term.Good) + " for " + age(now.Sub(p.Since))
		if p.State != "Serving" {
			state = term.Paint(p.State, term.Bad) + ": " + p.Why
		}
		uses := cmp.Or(strings.Join(p.Services, ", "), "–")
		table.Row(p.Name, p.Role, strconv.FormatUint(p.Revision, 10), state, uses)
	}
	if table.Len() > 0 {
		t.Printf("%s", table)
	}
	printPeers(t, m.Peers, now)
	printFederation(t, m.Federation, now)
}

// printPeers says which other meshes' Services are used, and what is wrong there.
func printPeers(t *term.Terminal, list []adminapi.MeshPeer, now time.Time) {
	if len(list) == 0 {
		return
	}
	table := term.NewTable("peer", "trust domain", "services", "edges", "control plane").Right(2).Right(3)
	for _, p := range list {
		since := age(now.Sub(p.Since))
		state := term.Paint("connected", term.Good) + " to " + p.Address + " for " + since
		switch {
		case p.Error != "" && p.Known:
			state = term.Paint("away", term.Bad) + " for " + since + ", what it said last holds: " + p.Error
		case p.Error != "":
			state = term.Paint("away", term.Bad) + " for " + since + ": " + p.Error
		case p.Address == "":
			state = "connecting"
		}
		table.Row(p.Name, p.TrustDomain, strconv.Itoa(p.Services), strconv.Itoa(p.Edges), state)
	}
	t.Printf("\n%s", table)
}

// printFederation says which other trust domains are trusted, and what is wrong there.
func printFederation(t *term.Terminal, list []adminapi.MeshFederation, now time.Time) {
	if len(list) == 0 {
		return
	}
	table := term.NewTable("trust domain", "roots", "bundle", "from").Right(1)
	for _, f := range list {
		state := "kept from before"
		switch {
		case f.Error != "":
			state = term.Paint(f.Error, term.Bad)
		case !f.Fetched.IsZero():
			state = "fetched " + age(now.Sub(f.Fetched)) + " ago"
		}
		table.Row(f.TrustDomain, strconv.Itoa(f.Roots), state, f.URL)
	}
	t.Printf("\n%s", table)
}
