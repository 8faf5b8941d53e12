// Package fleet knows what all proxies of a mesh serve: those of its own process, as
// mesh/distrib says, and those of other control planes, which tell it by a state store
// that they share (Shared).
//
// The goroutine that writes and reads is Shared.Run's. The package may be imported by
// what is of the control plane.
package fleet

import (
	"cmp"
	"maps"
	"slices"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/troubles"
)

// maxOthers bounds the proxies that are named of one object. All are counted.
const maxOthers = 16

// Report is what one control plane knows of its proxies.
type Report struct {
	// Replica is how it calls itself before others in the state store; Shared says it.
	Replica string `json:"-"`
	// Control names its process.
	Control string `json:"control"`
	// Address is where other control planes reach it, HOST:PORT.
	Address string `json:"address,omitempty"`
	// Own is the process's own proxy, which is not among Proxies; nil is none.
	Own     *Own                   `json:"own,omitempty"`
	Proxies []*distrib.ProxyStatus `json:"proxies,omitempty"`
	// Objects are those that its proxies need, "Kind/namespace/name".
	Objects map[string]*Reach `json:"objects,omitempty"`
	// Troubles are what its proxies, and its own one, say is not well.
	Troubles []troubles.Seen `json:"troubles,omitempty"`
}

// Own names a control plane's own proxy.
type Own struct {
	Name     string `json:"name"`
	Identity string `json:"identity"`
}

// Reach says how far an object has got.
type Reach struct {
	// Version is of the object's content, the same in all control planes; zero is
	// none that could be compared.
	Version uint64 `json:"version,omitempty"`
	// Serving of Proxies, which need the object, serve its newest state.
	Proxies int `json:"proxies"`
	Serving int `json:"serving"`
	// Others are those that do not, the first 16 by name.
	Others []distrib.Other `json:"others,omitempty"`
}

// NewReport makes the report of a control plane, with the versions of objects.
func NewReport(name string, proxies []*distrib.ProxyStatus, objects map[string]*distrib.Summary, version func(object string) uint64) *Report {
	r := &Report{Control: name, Proxies: proxies, Objects: make(map[string]*Reach, len(objects))}
	for object, sum := range objects {
		r.Objects[object] = &Reach{Version: version(object), Proxies: sum.Proxies, Serving: sum.Serving, Others: sum.Others}
	}
	return r
}

// Proxy is one of the mesh, with the control plane that it has its configuration from.
type Proxy struct {
	*distrib.ProxyStatus
	Control string
}

// Fleet is what all control planes say together.
type Fleet struct {
	// Proxies are in the order of their names.
	Proxies []Proxy
	Objects map[string]*Reach
	// Troubles are what each of them, and control planes' own ones, say is not well.
	Troubles []troubles.Seen
}

// Merge puts the own report and those of others together. Who has another version of an
// object than the own one has no proxy that serves it.
func Merge(own *Report, others ...*Report) *Fleet {
	f := &Fleet{Objects: make(map[string]*Reach, len(own.Objects))}
	byName := map[string]Proxy{}
	for _, r := range append([]*Report{own}, others...) {
		for _, p := range r.Proxies {
			if had, ok := byName[p.Name]; !ok || newer(p, had.ProxyStatus) {
				byName[p.Name] = Proxy{p, r.Control}
			}
		}
	}
	for _, r := range append([]*Report{own}, others...) {
		for _, t := range r.Troubles {
			// What a proxy has said to a control plane that it has left is of the past.
			if p, known := byName[t.Proxy]; !known || p.Control == r.Control {
				f.Troubles = append(f.Troubles, t)
			}
		}
	}
	f.Proxies = slices.SortedFunc(maps.Values(byName), func(a, b Proxy) int { return cmp.Compare(a.Name, b.Name) })
	for object, reach := range own.Objects {
		sum := *reach
		f.Objects[object] = &sum
	}
	for _, r := range others {
		for object, reach := range r.Objects {
			f.add(object, reach, r.Control)
		}
	}
	return f
}

// newer tells which of two control planes has a proxy.
func newer(a, b *distrib.ProxyStatus) bool {
	if gone := a.State == distrib.StateGone; gone != (b.State == distrib.StateGone) {
		return !gone
	}
	return a.Since.After(b.Since)
}

func (f *Fleet) add(object string, reach *Reach, control string) {
	sum := f.Objects[object]
	if sum == nil {
		sum = &Reach{Version: reach.Version}
		f.Objects[object] = sum
	}
	sum.Proxies += reach.Proxies
	others := reach.Others
	if sum.Version != 0 && reach.Version != 0 && sum.Version != reach.Version {
		others = []distrib.Other{{Proxy: "the proxies of " + control, State: distrib.StatePending, Why: "their control plane has another version of it"}}
	} else {
		sum.Serving += reach.Serving
	}
	sum.Others = slices.Concat(sum.Others, others) // the list may be the report's
	slices.SortFunc(sum.Others, func(a, b distrib.Other) int { return cmp.Compare(a.Proxy, b.Proxy) })
	sum.Others = sum.Others[:min(len(sum.Others), maxOthers)]
}
