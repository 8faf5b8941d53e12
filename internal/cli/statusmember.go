package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/cli/excerpt"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// printMemberStatus says how a proxy stands in its mesh.
func printMemberStatus(t *term.Terminal, m *adminapi.MemberStatus, now time.Time) {
	if m == nil {
		return
	}
	t.Printf("\n%s %s at %s\n", m.Role, m.Identity, m.Address)
	c := &m.Control
	since := age(now.Sub(c.Since))
	switch {
	case c.Target != "":
		t.Printf("configuration from %s at %s for %s\n", c.Name, c.Target, since)
	case c.Problem != "":
		t.Printf("%s for %s: %s\n", term.Paint("no control plane", term.Bad), since, c.Problem)
	default:
		t.Printf("%s for %s\n", term.Paint("no control plane", term.Warn), since)
	}
	if c.FromDisk {
		t.Printf("what serves is what a control plane had sent before this process started\n")
	}
	for _, r := range c.Refused {
		t.Printf("%s %s\n", term.Paint("not in service:", term.Bad), r)
	}
	for _, w := range m.Withheld {
		t.Printf("%s %s\n", term.Paint("withheld: "+w.Workload+":", term.Bad), w.Reason)
	}
	if len(m.Services) > 0 {
		t.Printf("uses %s\n", strings.Join(m.Services, ", "))
	}
	svids := term.NewTable("certificate", "serial", "valid for")
	for _, s := range m.SVIDs {
		left := age(s.NotAfter.Sub(now))
		if !s.NotAfter.After(now) {
			left = term.Paint("ended "+age(now.Sub(s.NotAfter))+" ago", term.Bad)
		}
		svids.Row(s.ID, s.Serial, left)
	}
	trusted := term.NewTable("trust domain", "roots", "until")
	for _, d := range m.TrustDomains {
		trusted.Row(d.Name, fmt.Sprint(d.Roots), d.NotAfter.UTC().Format(time.RFC3339))
	}
	t.Printf("\n%s\n%s", svids, trusted)
	if m.Denied > 0 {
		t.Printf("%s on the deny list\n", excerpt.Count(m.Denied, "entry"))
	}
}
