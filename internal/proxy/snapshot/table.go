package snapshot

import (
	"fmt"
	"slices"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/route"
)

// fewChanges is up to how many changed routes are put in their places one by
// one: each is looked for among all of its hostname.
const fewChanges = 64

// changeTable makes the listener's table from the one before by putting the
// changed routes in their places. It is false if that is not all that changed.
// Changed is nil if routes were added, removed or put in another order.
func (s *Snapshot) changeTable(l, before *Listener, prev *Snapshot, changed []int32) bool {
	if before == nil || changed == nil || len(changed) > fewChanges || len(l.sections) != len(before.sections) {
		return false
	}
	replaced := make(map[int32]bool, len(changed))
	for _, i := range changed {
		replaced[i] = true
	}
	sections := l.sections
	var changes []route.Change[*Rule]
	for i, section := range sections {
		if !sameAttachments(section.Routes, before.sections[i].Routes) {
			return false
		}
		if len(replaced) == 0 {
			continue
		}
		for j, at := range before.attached[i] {
			if replaced[at] {
				was, is := prev.routes[at], s.routes[at]
				changes = append(changes, route.Change[*Rule]{
					Section: i, Was: was.route,
					Attached: route.Attached[*Rule]{Route: is.route, Hostnames: section.Routes[j].Hostnames, Values: is.rules},
				})
			}
		}
	}
	table, ok := before.Table.With(sections, changes)
	if !ok {
		return false
	}
	l.Table, l.attached = table, before.attached
	return true
}

// sameAttachments compares lists that are nearly always the very same.
func sameAttachments(a, b []ir.Attachment) bool {
	if len(a) != len(b) {
		return false
	}
	if len(a) == 0 || &a[0] == &b[0] {
		return true
	}
	return slices.EqualFunc(a, b, func(x, y ir.Attachment) bool {
		return x.Route == y.Route && slices.Equal(x.Hostnames, y.Hostnames)
	})
}

// buildTable makes the listener's table from all of its routes. Names are the
// places of routes in the configuration.
func (s *Snapshot) buildTable(l, before *Listener, names map[string]int32) error {
	var prevTable *route.Table[*Rule]
	if before != nil {
		prevTable = before.Table
	}
	sections := make([]route.Section[*Rule], len(l.sections))
	l.attached = make([][]int32, len(sections))
	for i, section := range l.sections {
		sections[i].Section = section
		sections[i].Routes = make([]route.Attached[*Rule], len(section.Routes))
		l.attached[i] = make([]int32, len(section.Routes))
		for j, a := range section.Routes {
			at, ok := names[a.Route]
			if !ok {
				return fmt.Errorf("section %s names route %s, which is not in the configuration", section.Name, a.Route)
			}
			b := s.routes[at]
			sections[i].Routes[j] = route.Attached[*Rule]{Route: b.route, Hostnames: a.Hostnames, Values: b.rules}
			l.attached[i][j] = at
		}
	}
	var err error
	l.Table, err = route.Build(sections, prevTable)
	return err
}
