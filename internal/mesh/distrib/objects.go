package distrib

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// maxOthers bounds the proxies that are named of one object. All are counted.
const maxOthers = 16

// Summary says how many proxies serve what.
type Summary struct {
	// Revision is the newest number that a proxy was sent.
	Revision uint64 `json:"revision"`
	Proxies  int    `json:"proxies"`
	Serving  int    `json:"serving"`
	// Others are those that do not, by name; of an object the first 16 alone.
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

// departed is a proxy whose stream broke. It may serve what it acknowledged for as long
// as it likes.
type departed struct {
	status *ProxyStatus
	proxy  *Proxy
	acked  []*Resource
}

// standing is what one proxy is to have and what it has.
type standing struct {
	status        *ProxyStatus
	newest, acked []*Resource
}

// Objects says of each object, "Kind/namespace/name", how many of the proxies that
// need it serve it as it is. Since tells by which number of views an object became what it
// is, and zero if that is not known: who serves a view of that number or a later one serves
// the object, also if something else that is in the same resource has changed afterwards.
// Without a number the resources must be the newest.
func (s *Server) Objects(since func(object string) uint64) map[string]*Summary {
	s.catchUp()
	list := s.standings()
	slices.SortFunc(list, func(a, b standing) int { return cmp.Compare(a.status.Name, b.status.Name) })
	t := tally{since: since, out: map[string]*count{}}
	for i := range list {
		t.add(i+1, &list[i])
	}
	out := make(map[string]*Summary, len(t.out))
	for object, c := range t.out {
		out[object] = &c.Summary
	}
	return out
}

func (s *Server) standings() (list []standing) {
	s.each(func(x *session) {
		if !x.isReady() {
			return
		}
		st := standing{status: x.status()}
		st.newest, st.acked = x.newest()
		list = append(list, st)
	})
	s.forgetGone(time.Now())
	s.mu.Lock()
	gone := make([]*departed, 0, len(s.gone))
	for _, d := range s.gone {
		gone = append(gone, d)
	}
	s.mu.Unlock()
	for _, d := range gone {
		if v, err := s.cfg.Views.View(d.proxy); err == nil {
			list = append(list, standing{d.status, v.Resources, d.acked})
		}
	}
	return list
}

// count is what is known of one object.
type count struct {
	Summary
	// proxy is the number of the last one that was counted; late, that it does not serve
	// the object.
	proxy int
	late  bool
}

type tally struct {
	since func(object string) uint64
	out   map[string]*count
}

// add counts what a proxy serves.
func (t *tally) add(proxy int, st *standing) {
	all := st.status.State == StateServing && same(st.newest, st.acked)
	for _, r := range st.newest {
		serves := all || servedBy(st.acked, r)
		for _, object := range r.Objects {
			c := t.out[object]
			if c == nil {
				c = &count{}
				t.out[object] = c
			}
			if c.proxy != proxy {
				c.proxy, c.late = proxy, false
				c.Proxies++
				c.Serving++
				c.Revision = max(c.Revision, st.status.Wanted.Number)
			}
			if serves || c.late || st.holds(r, t.since(object)) {
				continue
			}
			c.late = true
			c.Serving--
			if len(c.Others) < maxOthers {
				c.Others = append(c.Others, Other{st.status.Name, st.status.State, st.status.whyNot(r.Key())})
			}
		}
	}
}

// same tells whether two lists are one, or both empty.
func same(a, b []*Resource) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// servedBy tells whether a resource is among those that are served. Endpoints are sent
// by themselves and not acknowledged.
func servedBy(acked []*Resource, r *Resource) bool {
	i, ok := find(acked, r.Key())
	return ok && (acked[i] == r || acked[i].Hash == r.Hash || r.Kind == KindEndpoints)
}

// holds tells whether the proxy serves a resource, of whatever state, in a view of at least
// that number.
func (st *standing) holds(r *Resource, since uint64) bool {
	p := st.status
	if since == 0 || p.Serving.Number < since || p.Serving.Epoch != p.Wanted.Epoch {
		return false
	}
	_, has := find(st.acked, r.Key())
	return has && !slices.ContainsFunc(p.Refusals, func(f Refusal) bool { return f.Key == r.Key() })
}

// whyNot is why the proxy does not serve a resource.
func (p *ProxyStatus) whyNot(k Key) string {
	if p.State == StateRefused {
		for _, f := range p.Refusals {
			if f.Key == k {
				return "refused: " + f.String()
			}
		}
	}
	return cmp.Or(p.Why(), "has not answered yet")
}

// newest are the resources that the proxy is to have, and those that it serves.
func (x *session) newest() (newest, acked []*Resource) {
	x.mu.Lock()
	newest, acked = x.view.Resources, x.acked
	behind := x.todo.view || x.making || !x.begun
	x.mu.Unlock()
	if behind {
		// Its view is made when it is sent; what is asked for is that of now.
		if v, err := x.server.cfg.Views.View(x.proxy.Load()); err == nil {
			newest = v.Resources
		}
	}
	return newest, acked
}
