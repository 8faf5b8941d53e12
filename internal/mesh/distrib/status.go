package distrib

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// Revision names a state of the configuration, as one proxy has it.
type Revision struct {
	// Number can be compared with others of the same Epoch.
	Number uint64 `json:"number"`
	Epoch  string `json:"epoch,omitempty"`
	// Hash is of the proxy's view: it is the same for the same content.
	Hash uint64 `json:"hash"`
}

func (r Revision) String() string { return fmt.Sprintf("%d (%016x)", r.Number, r.Hash) }

func revisionOf(m *meshpb.Revision) Revision {
	return Revision{m.GetNumber(), short(m.GetEpoch()), m.GetHash()}
}

func (r Revision) message() *meshpb.Revision {
	return &meshpb.Revision{Number: r.Number, Epoch: r.Epoch, Hash: r.Hash}
}

// State is how far a proxy is.
type State string

const (
	// StateServing: it serves its newest view.
	StateServing State = "Serving"
	// StatePending: it has not answered yet.
	StatePending State = "Pending"
	// StateRefused: it cannot serve its newest view, and goes on with the one before.
	StateRefused State = "Refused"
	// StateNewer: it serves something newer, of another control plane.
	StateNewer State = "Newer"
	// StateGone: its stream broke, and it may serve its last good view.
	StateGone State = "Gone"
)

// Refusal is why a proxy does not serve what it was sent.
type Refusal struct {
	// Key is empty where it is not known which resource it is.
	Key    `json:"resource"`
	Reason string `json:"reason"`
}

func (r Refusal) String() string {
	if r.Kind == "" {
		return r.Reason
	}
	return r.Key.String() + ": " + r.Reason
}

// ProxyStatus is what is known of one proxy.
type ProxyStatus struct {
	Name     string `json:"name"`
	Identity string `json:"identity"`
	Role     Role   `json:"role"`
	Zone     string `json:"zone,omitempty"`
	Version  string `json:"version,omitempty"`
	State    State  `json:"state"`
	// Since is when its stream began or, if it is gone, ended.
	Since time.Time `json:"since"`
	// Serving is what it said last that it serves, Wanted its newest view.
	Serving  Revision  `json:"serving"`
	Wanted   Revision  `json:"wanted"`
	Refusals []Refusal `json:"refusals,omitempty"`
	// Partly: it serves Wanted but for what it refuses.
	Partly bool `json:"partly,omitempty"`
	// Problem is why there is no view for it.
	Problem  string   `json:"problem,omitempty"`
	Services []string `json:"services,omitempty"`
	// Workloads are those that a node proxy says it stands before.
	Workloads []Workload `json:"workloads,omitempty"`
	// Withheld are services of which it wants workloads and may have none.
	Withheld []Withheld `json:"withheld,omitempty"`
}

// Why says in a sentence why the proxy does not serve its newest view.
func (p *ProxyStatus) Why() string {
	switch {
	case p.Problem != "":
		return "there is no view for it: " + p.Problem
	case p.State == StateGone:
		return "not connected since " + p.Since.UTC().Format(time.RFC3339)
	case p.State == StateRefused:
		reasons := make([]string, len(p.Refusals))
		for i, r := range p.Refusals {
			reasons[i] = r.String()
		}
		if p.Partly {
			return "serves the rest without " + strings.Join(reasons, "; ")
		}
		return "refused: " + strings.Join(reasons, "; ")
	case p.State == StateNewer:
		return fmt.Sprintf("serves revision %s of another control plane, which is newer", p.Serving)
	case p.State == StatePending:
		return "has not answered yet"
	}
	return ""
}

func (x *session) isReady() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.ready
}

func (x *session) status() *ProxyStatus {
	p := x.proxy.Load()
	x.mu.Lock()
	defer x.mu.Unlock()
	st := &ProxyStatus{
		Name: p.Name, Identity: p.Identity, Role: p.Role, Zone: p.Zone, Version: p.Version, Services: p.Services,
		State: StateServing, Since: x.since, Serving: x.served,
		Wanted: Revision{x.view.Number, x.view.Epoch, x.view.Hash}, Refusals: x.refused,
	}
	st.Partly = x.partial && x.refused != nil
	if p.Role == RoleNode {
		st.Workloads, st.Withheld = p.Workloads, p.withheld
	}
	switch {
	case x.failed != nil:
		st.State, st.Problem = StatePending, x.failed.Error()
	case !x.begun, x.making, x.waiting, x.todo.view:
		st.State = StatePending
	case x.older:
		st.State = StateNewer
	case x.refused != nil:
		st.State = StateRefused
	}
	return st
}

// Proxies returns the status of each proxy, by name.
func (s *Server) Proxies() []*ProxyStatus {
	s.catchUp()
	var out []*ProxyStatus
	s.each(func(x *session) { out = append(out, x.status()) })
	s.forgetGone(time.Now())
	s.mu.Lock()
	for _, d := range s.gone {
		copied := *d.status
		out = append(out, &copied)
	}
	s.mu.Unlock()
	slices.SortFunc(out, func(a, b *ProxyStatus) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Has tells whether a proxy of that name and SPIFFE ID has its stream here.
func (s *Server) Has(name, identity string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.sessions[name]
	return x != nil && x.proxy.Load().Identity == identity
}
