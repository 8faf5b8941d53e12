package effect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/gridway/gridway/internal/config/decode"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// change is a candidate, decoded.
type change struct {
	put      []*store.Object
	gone     []store.Key
	problems []store.Problem
	mine     map[store.Key]bool // the keys of put and gone
}

// maxObjects bounds how many objects a change may have.
const maxObjects = 1000

// read decodes a candidate. Problems of the text are in the change; the error is a
// *adminapi.CandidateError.
func read(set *store.Set, c adminapi.Candidate) (*change, error) {
	out := &change{mine: map[store.Key]bool{}}
	at := map[store.Key]store.Position{}
	for _, doc := range file.Documents("", c.Text) {
		r := decode.Decode(doc)
		out.problems = append(out.problems, r.Problems...)
		for _, o := range r.Objects {
			if first, twice := at[o.Key]; twice {
				out.problems = append(out.problems, store.Problem{
					Severity: store.Error, Code: "DuplicateObject", Object: o.Key, Field: "metadata.name", Position: o.Locate("metadata.name"),
					Message: fmt.Sprintf("the same object is also on line %d", first.Line), Remedy: "take one of them out, or rename it",
				})
				continue
			}
			if namesFiles(o) {
				out.problems = append(out.problems, store.Problem{
					Severity: store.Error, Code: "FilesNotRead", Object: o.Key, Field: "metadata.annotations", Position: o.Locate("metadata.annotations"),
					Message: "the annotation " + file.FilesAnnotation + " holds in files alone: what is sent may not read the gateway's", Remedy: "write the data into the object",
				})
				continue
			}
			at[o.Key] = o.Locate("")
			out.put, out.mine[o.Key] = append(out.put, o), true
		}
	}
	for _, name := range c.Delete {
		k, ok := find(set, name)
		switch {
		case !ok:
			return nil, &adminapi.CandidateError{Why: fmt.Sprintf("delete: there is no object %q; write KIND/NAMESPACE/NAME, or KIND/NAME of a kind without namespaces", name)}
		case out.mine[k]:
			return nil, &adminapi.CandidateError{Why: fmt.Sprintf("delete: %s is in the text that was sent, too", k)}
		}
		out.gone, out.mine[k] = append(out.gone, k), true
	}
	if n := len(out.mine); n > maxObjects {
		return nil, &adminapi.CandidateError{Why: fmt.Sprintf("the change has %d objects, and may have %d", n, maxObjects)}
	}
	if len(out.mine) == 0 && !hasError(out.problems) {
		return nil, &adminapi.CandidateError{Why: "there is no object in what was sent, and none to delete"}
	}
	return out, nil
}

func namesFiles(o *store.Object) bool {
	switch v := o.Value.(type) {
	case *corev1.Secret:
		return v.Annotations[file.FilesAnnotation] != ""
	case *corev1.ConfigMap:
		return v.Annotations[file.FilesAnnotation] != ""
	}
	return false
}

// find looks for an object by Kind/namespace/name.
func find(set *store.Set, name string) (store.Key, bool) {
	kind, rest, _ := strings.Cut(name, "/")
	namespace, object, both := strings.Cut(rest, "/")
	if !both || namespace == "-" {
		namespace, object = "", cmp.Or(object, rest)
	}
	for _, gk := range set.Kinds() {
		k := store.Key{Group: gk.Group, Kind: gk.Kind, Namespace: namespace, Name: object}
		if gk.Kind == kind && set.Get(k) != nil {
			return k, true
		}
	}
	return store.Key{}, false
}

// keys are the objects of the change, in order.
func (c *change) keys() []store.Key {
	list := slices.Clone(c.gone)
	for _, o := range c.put {
		list = append(list, o.Key)
	}
	slices.SortFunc(list, func(a, b store.Key) int { return cmp.Compare(a.String(), b.String()) })
	return list
}

// inFiles are the objects of the change that files have.
func (c *change) inFiles(set *store.Set) (out []adminapi.PlacedObject) {
	for _, k := range c.keys() {
		if o := set.Get(k); o != nil && o.Source == sourceFile {
			p := o.Locate("")
			out = append(out, adminapi.PlacedObject{Object: k.String(), Place: adminapi.Place{File: p.File, Line: p.Line, Column: p.Column}})
		}
	}
	return out
}

// sourceFile is how objects of files name their source.
const sourceFile = "file"

// without leaves out the problems of objects that the change replaces.
func (c *change) without(list []store.Problem) (out []store.Problem) {
	for _, p := range list {
		if !c.mine[p.Object] {
			out = append(out, p)
		}
	}
	return out
}

// because leaves the problems of the change's objects, and those that were not known.
func (c *change) because(list, known []store.Problem) (out []store.Problem) {
	told := map[string]bool{}
	for _, p := range known {
		told[p.String()] = true
	}
	for _, p := range list {
		if c.mine[p.Object] || !told[p.String()] {
			out = append(out, p)
		}
	}
	return out
}
