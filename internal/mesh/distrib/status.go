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
	// Problem is why there is no view for it.
	Problem  string   `json:"problem,omitempty"`
	Services []string `json:"services,omitempty"`
	// Workloads are those that it says it stands before.
	Workloads []Workload `json:"-"`
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
		Name: p.Name, Identity: p.Identity, Role: p.Role, Zone: p.Zone, Version: p.Version, Services: p.Services, Workloads: p.Workloads,
		State: StateServing, Since: x.since, Serving: x.served,
		Wanted: Revision{x.view.Number, x.view.Epoch, x.view.Hash}, Refusals: x.refused,
	}
	switch {
	case x.failed != nil:
		st.State, st.Problem = StatePending, x.failed.Error()
	case !x.begun, x.waiting, x.todo.view:
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
	var out []*ProxyStatus
	s.each(func(x *session) { out = append(out, x.status()) })
	s.forgetGone(time.Now())
	s.mu.Lock()
	for _, st := range s.gone {
		copied := *st
		out = append(out, &copied)
	}
	s.mu.Unlock()
	slices.SortFunc(out, func(a, b *ProxyStatus) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Summary says how many proxies serve what.
type Summary struct {
	// Revision is the newest number that a proxy was sent.
	Revision uint64 `json:"revision"`
	Proxies  int    `json:"proxies"`
	Serving  int    `json:"serving"`
	// Others are those that do not, by name.
	Others []Other `json:"others,omitempty"`
}

// Other is a proxy that does not serve what it should, and why.
type Other struct {
	Proxy string `json:"proxy"`
	State State  `json:"state"`
	Why   string `json:"why"`
}

// String is "2 of 3 proxies serve revision 7".
func (s Summary) String() string {
	return fmt.Sprintf("%d of %d proxies serve revision %d", s.Serving, s.Proxies, s.Revision)
}

// Summary is about all proxies and their whole views. One whose stream broke counts
// among those that do not serve for as long as ServerConfig.Gone.
func (s *Server) Summary() Summary {
	var out Summary
	for _, st := range s.Proxies() {
		out.Proxies++
		out.Revision = max(out.Revision, st.Wanted.Number)
		if st.State == StateServing {
			out.Serving++
			continue
		}
		out.Others = append(out.Others, Other{st.Name, st.State, st.Why()})
	}
	return out
}

// Objects says of each object, "Kind/namespace/name", how many of the proxies that
// need it serve its newest state.
func (s *Server) Objects() map[string]*Summary {
	out := map[string]*Summary{}
	s.each(func(x *session) {
		st := x.status()
		if !x.isReady() {
			return
		}
		newest, acked := x.newest()
		serves := map[string]bool{}
		for _, r := range newest {
			i, ok := find(acked, r.Key())
			ok = ok && (acked[i] == r || acked[i].Hash == r.Hash || r.Kind == KindEndpoints)
			for _, object := range r.Objects {
				before, known := serves[object]
				serves[object] = ok && (before || !known)
			}
		}
		for object, ok := range serves {
			sum := out[object]
			if sum == nil {
				sum = &Summary{}
				out[object] = sum
			}
			sum.Proxies++
			sum.Revision = max(sum.Revision, st.Wanted.Number)
			if ok {
				sum.Serving++
				continue
			}
			sum.Others = append(sum.Others, Other{st.Name, st.State, cmp.Or(st.Why(), "has not answered yet")})
		}
	})
	for _, sum := range out {
		slices.SortFunc(sum.Others, func(a, b Other) int { return cmp.Compare(a.Proxy, b.Proxy) })
	}
	return out
}

// newest are the resources that the proxy is to have, and those that it serves.
func (x *session) newest() (newest, acked []*Resource) {
	x.mu.Lock()
	newest, acked = x.view.Resources, x.acked
	behind := x.todo.view
	x.mu.Unlock()
	if behind {
		// Its view is made when it is sent; what is asked for is that of now.
		if v, err := x.server.cfg.Views.View(x.proxy.Load()); err == nil {
			newest = v.Resources
		}
	}
	return newest, acked
}
