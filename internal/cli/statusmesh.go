package cli

import (
	"cmp"
	"fmt"
	"slices"
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

// proxiesShown bounds the table of proxies: those that do not serve what they were sent
// come first, and all of them are shown.
const proxiesShown = 50

func workloadName(w *adminapi.MeshWorkload) string {
	if w.Name == "" {
		return w.Namespace + "/" + w.Service
	}
	return w.Namespace + "/" + w.Service + " (" + w.Name + ")"
}

// printMeshStatus says which proxies serve the newest configuration, and why others do not.
func printMeshStatus(t *term.Terminal, m *adminapi.MeshStatus, all bool, now time.Time) {
	if m == nil {
		return
	}
	t.Printf("\nmesh %s at %s: %d of %d proxies serve what they were sent\n", m.TrustDomain, m.Address, m.Serving, len(m.Proxies))
	list := slices.Clone(m.Proxies)
	slices.SortStableFunc(list, func(a, b adminapi.MeshProxy) int {
		return cmp.Compare(rank(a.State), rank(b.State))
	})
	several := slices.ContainsFunc(list, func(p adminapi.MeshProxy) bool { return p.Control != m.Control })
	columns := []string{"proxy", "role", "revision", "state", "uses"}
	if several {
		columns = append(columns, "control plane")
	}
	table := term.NewTable(columns...).Right(2)
	shown := 0
	for i, p := range list {
		if !all && i >= proxiesShown && p.State == "Serving" {
			break
		}
		shown++
		row := []string{p.Name, p.Role, revisionText(&p), stateText(&p, now), usesText(p.Services)}
		if several {
			row = append(row, p.Control)
		}
		table.Row(row...)
		for i := range p.Workloads {
			w := &p.Workloads[i]
			is := term.Paint("healthy", term.Good)
			if !w.Healthy {
				is = term.Paint("not healthy", term.Bad)
			}
			row = []string{"  " + workloadName(w), "workload", "", is, ""}
			if several {
				row = append(row, "")
			}
			table.Row(row...)
		}
		for _, w := range p.Withheld {
			row = []string{"  " + w.Workload, "workload", "", term.Paint("withheld: "+w.Reason, term.Bad), ""}
			if several {
				row = append(row, "")
			}
			table.Row(row...)
		}
	}
	if table.Len() > 0 {
		t.Printf("%s", table)
	}
	if more := len(list) - shown; more > 0 {
		t.Printf("and %d more that serve; --all shows every one\n", more)
	}
	if g := m.SVIDJoins; g != nil && g.Error != "" {
		t.Printf("grants for joining by SVIDs: %s; the %d that were read %s ago hold\n", term.Paint(g.Error, term.Bad), g.Grants, age(now.Sub(g.Read)))
	} else if g != nil {
		t.Printf("grants for joining by SVIDs: %d of %s, read %s ago\n", g.Grants, g.File, age(now.Sub(g.Read)))
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

func rank(state string) int {
	if state == "Serving" {
		return 1
	}
	return 0
}

func revisionText(p *adminapi.MeshProxy) string {
	if p.Revision == p.Wanted || p.State == "Gone" {
		return strconv.FormatUint(p.Revision, 10)
	}
	return fmt.Sprintf("%d of %d", p.Revision, p.Wanted)
}

func stateText(p *adminapi.MeshProxy, now time.Time) string {
	if p.State == "Serving" {
		return term.Paint(p.State, term.Good) + " for " + age(now.Sub(p.Since))
	}
	return term.Paint(p.State, term.Bad) + ": " + p.Why
}

// usesShown bounds the services that a row names.
const usesShown = 4

func usesText(services []string) string {
	text := strings.Join(services[:min(len(services), usesShown)], ", ")
	if more := len(services) - usesShown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return cmp.Or(text, "–")
}

// findProxy finds one by its name, or by what can be no other's beginning.
func findProxy(m *adminapi.MeshStatus, name string) (*adminapi.MeshProxy, error) {
	if m == nil {
		return nil, hintError{Err: fmt.Errorf("the gateway has no proxy %s: it is no control plane of a mesh", name), Hint: `ask one that runs "gridway control", with --admin`}
	}
	var found []*adminapi.MeshProxy
	var names []string
	for i := range m.Proxies {
		p := &m.Proxies[i]
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
		if strings.HasPrefix(p.Name, name+"/") || strings.HasPrefix(p.Name, "default/"+name+"/") {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		hint := `"gridway status" lists those that there are`
		if near := nearest(name, names); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return nil, hintError{Err: fmt.Errorf("the mesh has no proxy %s", name), Hint: hint}
	}
	names = names[:0]
	for _, p := range found {
		names = append(names, p.Name)
	}
	return nil, hintError{Err: fmt.Errorf("there are %d proxies of %s", len(found), name), Hint: "name one of " + strings.Join(names[:min(len(names), 8)], ", ")}
}

// printProxy shows all that is known of one proxy.
func printProxy(t *term.Terminal, p *adminapi.MeshProxy, now time.Time) {
	t.Printf("%s %s\n", p.Name, stateText(p, now))
	table := term.NewTable("", "")
	table.Row("identity", p.Identity)
	table.Row("role", p.Role)
	if p.Zone != "" {
		table.Row("zone", p.Zone)
	}
	table.Row("version", p.Version)
	table.Row("control plane", p.Control)
	table.Row("serves revision", strconv.FormatUint(p.Revision, 10))
	table.Row("is to serve", strconv.FormatUint(p.Wanted, 10))
	for i, s := range p.Services {
		table.Row(map[bool]string{true: "uses"}[i == 0], s)
	}
	for _, r := range p.Refusals {
		what := strings.TrimSpace(r.Kind + " " + r.Name)
		table.Row("refuses", strings.TrimPrefix(what+": "+r.Reason, ": "))
	}
	t.Printf("%s", table)
}
