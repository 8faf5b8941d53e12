package cli

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// electionStale is how old what is known of an election may be before it says nothing.
const electionStale = time.Minute

// printElection says which process does the periodic work of those that share a state store.
func printElection(t *term.Terminal, e *adminapi.ElectionStatus, now time.Time) {
	switch {
	case e == nil:
	case e.Process == "":
		t.Printf("periodic work: %s\n", term.Paint("nobody is elected", term.Bad))
	case e.Self:
		t.Printf("periodic work: this process is elected (term %d)\n", e.Term)
	case now.Sub(e.Read) > electionStale:
		t.Printf("periodic work: %s\n", term.Paint("the state store has not said for "+age(now.Sub(e.Read))+" who is elected", term.Bad))
	default:
		t.Printf("periodic work: %s is elected (term %d)\n", e.Process, e.Term)
	}
}

func workloadName(w *adminapi.MeshWorkload) string {
	if w.Name == "" {
		return w.Namespace + "/" + w.Service
	}
	return w.Namespace + "/" + w.Service + " (" + w.Name + ")"
}

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
		for i := range p.Workloads {
			w := &p.Workloads[i]
			is := term.Paint("healthy", term.Good)
			if !w.Healthy {
				is = term.Paint("not healthy", term.Bad)
			}
			table.Row("  "+workloadName(w), "workload", "", is, "")
		}
	}
	if table.Len() > 0 {
		t.Printf("%s", table)
	}
	printFederation(t, m.Federation, now)
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
