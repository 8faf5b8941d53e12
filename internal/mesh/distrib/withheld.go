package distrib

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// ServiceName is a service of the mesh.
type ServiceName struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

func (n ServiceName) String() string { return n.Namespace + "/" + n.Name }

func compareNames(a, b ServiceName) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// Withheld is a service of which a node proxy may have no workload, though it wants one.
type Withheld struct {
	ServiceName
	// Reason is for people.
	Reason string `json:"reason"`
}

// maxWaiting bounds the services that a node proxy may wait for.
const maxWaiting = maxWorkloads

func (w *Workload) service() ServiceName { return ServiceName{w.Namespace, w.Service} }

// sift divides the workloads that a proxy claims, and the services that it waits for, into
// those that it may have and those that are withheld from it: what a node proxy may have
// can become less while it runs, and then it goes on with the others. A proxy of any other
// role has one identity, and who claims another's is an impostor. The error is the status
// of a stream.
func (s *Server) sift(p *Proxy) (granted []Workload, withheld []Withheld, err error) {
	domain, _, _ := strings.Cut(strings.TrimPrefix(p.Identity, "spiffe://"), "/")
	may := map[ServiceName]bool{}
	look := func(n ServiceName) (bool, error) {
		if is, known := may[n]; known {
			return is, nil
		}
		id := "spiffe://" + domain + "/ns/" + n.Namespace + "/sa/" + n.Name
		is := id == p.Identity
		if !is && s.cfg.Granted != nil {
			var err error
			if is, err = s.cfg.Granted(p, id); err != nil {
				return false, status.Error(codes.PermissionDenied, fmt.Sprintf("%s may not speak for %s: %v", p.Identity, id, err))
			}
		}
		if may[n] = is; is {
			return true, nil
		}
		if p.Role != RoleNode {
			return false, status.Error(codes.PermissionDenied, fmt.Sprintf("%s may not speak for %s", p.Identity, id))
		}
		withheld = append(withheld, Withheld{n, p.Identity + " may not have " + id + ": what it joined by does not grant it, or does not any more"})
		return false, nil
	}
	for i := range p.claimed {
		is, err := look(p.claimed[i].service())
		if err != nil {
			return nil, nil, err
		}
		if is {
			granted = append(granted, p.claimed[i])
		}
	}
	for _, n := range p.Waiting {
		if _, err := look(n); err != nil {
			return nil, nil, err
		}
	}
	slices.SortFunc(withheld, func(a, b Withheld) int { return compareNames(a.ServiceName, b.ServiceName) })
	return granted, withheld, nil
}

// claim has a proxy have those of its workloads that it may.
func (s *Server) claim(p *Proxy) (err error) {
	p.claimed = p.Workloads
	p.Workloads, p.withheld, err = s.sift(p)
	return err
}

// Regrant looks anew at what node proxies may have, when that may have changed. Those of
// other control planes are theirs to look at.
func (s *Server) Regrant() {
	s.each(func(x *session) { x.regrant() })
}

func (x *session) regrant() {
	x.changing.Lock()
	defer x.changing.Unlock()
	p := *x.proxy.Load()
	if p.Role != RoleNode {
		return
	}
	granted, withheld, err := x.server.sift(&p)
	if err != nil {
		x.server.cfg.Log.Warn("what a node proxy may have cannot be told now; what it had goes on", "proxy", x.name, "error", status.Convert(err).Message())
		return
	}
	if len(granted) == len(p.Workloads) && slices.Equal(withheld, p.withheld) {
		return
	}
	x.server.cfg.Log.Info("a node proxy may have other workloads", "proxy", x.name, "workloads", len(granted), "withheld", len(withheld))
	p.Workloads, p.withheld = granted, withheld
	x.proxy.Store(&p)
	x.server.rejoin(x, &p)
	x.mark(func(w *work) { w.view, w.withheld = true, true })
	x.server.activity.Add(1)
}

// sendWithheld tells a node proxy what it may not have.
func (x *session) sendWithheld() error {
	m := &meshpb.Withheld{}
	for _, w := range x.proxy.Load().withheld {
		m.Services = append(m.Services, &meshpb.WithheldService{Service: &meshpb.ServiceName{Namespace: w.Namespace, Name: w.Name}, Reason: w.Reason})
	}
	return x.stream.Send(&meshpb.FromControl{Message: &meshpb.FromControl_Withheld{Withheld: m}})
}

// withhold takes in what the control plane does not let the proxy have.
func (c *Client) withhold(m *meshpb.Withheld) error {
	if len(m.GetServices()) > maxWorkloads+maxWaiting {
		return fmt.Errorf("the control plane withholds %d services, more than a proxy can ask for", len(m.GetServices()))
	}
	list := make([]Withheld, 0, len(m.GetServices()))
	for _, w := range m.GetServices() {
		list = append(list, Withheld{ServiceName{short(w.GetService().GetNamespace()), short(w.GetService().GetName())}, short(w.GetReason())})
	}
	c.mu.Lock()
	c.state.Withheld = list
	c.mu.Unlock()
	if c.cfg.Withheld != nil {
		c.cfg.Withheld(list)
	}
	return nil
}

// waitingOf reads the services that a proxy waits for.
func waitingOf(list []*meshpb.ServiceName) (out []ServiceName, err error) {
	if len(list) > maxWaiting {
		return nil, fmt.Errorf("it waits for %d services, and there can be %d", len(list), maxWaiting)
	}
	for _, n := range list {
		x := ServiceName{n.GetNamespace(), n.GetName()}
		if !validLabel(x.Namespace) || !validLabel(x.Name) {
			return nil, errors.New("it waits for " + short(x.String()) + ", which is no service")
		}
		out = append(out, x)
	}
	slices.SortFunc(out, compareNames)
	return slices.Compact(out), nil
}
