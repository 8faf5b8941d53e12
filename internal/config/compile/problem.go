package compile

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/gridway/gridway/internal/config/spelling"
	"github.com/gridway/gridway/internal/config/store"
)

// What compile finds is an Error if the object itself is invalid, or cannot be
// served beside another one. A reference that does not resolve is a Warning:
// the object is valid and in force, and what it names may come later.

// fault is a semantic error of one field, found while an object is judged.
type fault struct {
	field   string
	code    string // of the Problem
	reason  string // of the condition; empty leaves it to the caller
	message string
	remedy  string
}

// problemAt builds a Problem about a field of an object.
func problemAt(o *store.Object, field string, severity store.Severity, code, message, remedy string) store.Problem {
	return store.Problem{
		Severity: severity, Code: code, Object: o.Key, Field: field,
		Position: o.Locate(field), Message: message, Remedy: remedy,
	}
}

func (f fault) problem(o *store.Object) store.Problem {
	return problemAt(o, f.field, store.Error, f.code, f.message, f.remedy)
}

func (c *compiler) report(p store.Problem) { c.problems = append(c.problems, p) }

// reportOnce drops repetitions of problems that are found from many places.
func (c *compiler) reportOnce(p store.Problem) {
	id := p.Object.String() + "\x00" + p.Field + "\x00" + p.Code + "\x00" + p.Message
	if !c.seen[id] {
		c.seen[id] = true
		c.report(p)
	}
}

// keepsServing reports that the last good version of an object stays in use.
func keepsServing(o *store.Object) store.Problem {
	return problemAt(o, "", store.Warning, "LastGoodKept",
		"the last good version goes on serving", "correct the errors named for this object")
}

func sortProblems(list []store.Problem) []store.Problem {
	rank := map[store.Severity]int{store.Error: 0, store.Warning: 1, store.Note: 2}
	slices.SortStableFunc(list, func(a, b store.Problem) int {
		return cmp.Or(
			cmp.Compare(a.Position.File, b.Position.File),
			cmp.Compare(a.Position.Line, b.Position.Line),
			cmp.Compare(a.Position.Column, b.Position.Column),
			cmp.Compare(rank[a.Severity], rank[b.Severity]),
			compareKeys(a.Object, b.Object),
			cmp.Compare(a.Field, b.Field),
			cmp.Compare(a.Code, b.Code),
			cmp.Compare(a.Message, b.Message),
		)
	})
	return list
}

// didYouMean names the known name nearest to an unknown one, if one is near.
func didYouMean(name string, known []string) string {
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}

func nearest(name string, known []string) string {
	best, bestDistance := "", len(name)/3+2
	for _, k := range known {
		if d := spelling.Distance(name, k, bestDistance); d < bestDistance && k != name {
			best, bestDistance = k, d
		}
	}
	return best
}

// names lists the names of a kind's objects in a namespace, for didYouMean.
func (c *compiler) names(group, kind, namespace string) []string {
	var out []string
	for _, o := range c.set.Kind(group, kind) {
		if o.Key.Namespace == namespace {
			out = append(out, o.Key.Name)
		}
	}
	return out
}

// elsewhere says in which other namespace an object of that name is, if in one.
func (c *compiler) elsewhere(group, kind, namespace, name string) string {
	for _, o := range c.set.Kind(group, kind) {
		if o.Key.Name == name && o.Key.Namespace != namespace {
			return fmt.Sprintf("there is one in namespace %q", o.Key.Namespace)
		}
	}
	return ""
}

// notFound says what is wrong with a reference to an object that there is not,
// and what to do.
func (c *compiler) notFound(k store.Key) (message, remedy string) {
	if c.in.Refused[k] {
		return k.String() + " has errors and is left out", "correct the errors named for it"
	}
	return k.String() + " not found", c.missing(k.Group, k.Kind, k.Namespace, k.Name)
}

// missing is the remedy for a reference to an object that does not exist.
func (c *compiler) missing(group, kind, namespace, name string) string {
	return cmp.Or(didYouMean(name, c.names(group, kind, namespace)), c.elsewhere(group, kind, namespace, name),
		"add it, or correct the reference")
}
