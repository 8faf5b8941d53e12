package route

import (
	"cmp"

	"github.com/gridway/gridway/internal/ir"
)

// The classes of path matches in order of precedence.
const (
	classExact uint8 = iota
	classRegex
	classPrefix
)

func classOf(t ir.MatchType) uint8 {
	switch t {
	case ir.Exact:
		return classExact
	case ir.Regex:
		return classRegex
	default:
		return classPrefix
	}
}

// candidate is one match of one rule while a tree is built.
type candidate struct {
	class uint8
	// method tells that the match names one; headers and query are how many
	// conditions it has, without repeated names.
	method         bool
	headers, query int32
	// length of the path value, in bytes; without the slash at the end of a prefix.
	// For an expression that was made for gRPC, what rankOf says.
	length int32
	// age is the place of the route when sorted from the oldest, then by name.
	age                int32
	route, rule, match int32
	node               int32
	cond               *conditions
	path               string
	pattern            *pattern
}

// rankOf orders matches of gRPC by the length of the service, then of the method.
func rankOf(g *ir.GRPCMatch) int32 {
	const most = 1<<12 - 1 // the Gateway API allows 1024 characters for each
	return int32(min(len(g.Service), most)<<12 | min(len(g.Method), most))
}

// ComparePaths orders two matches by the precedence of their paths alone.
func ComparePaths(a, b *ir.Match) int {
	length := func(m *ir.Match) int32 {
		if m.GRPC != nil && m.Path.Type == ir.Regex {
			return rankOf(m.GRPC)
		}
		return int32(len(m.Path.Value))
	}
	return cmp.Or(cmp.Compare(classOf(a.Path.Type), classOf(b.Path.Type)), cmp.Compare(length(b), length(a)))
}

// comparePath orders by the precedence of the path alone.
func comparePath(a, b *candidate) int {
	return cmp.Or(
		cmp.Compare(a.class, b.class),
		cmp.Compare(b.length, a.length), // longer first
	)
}

// compareRest orders candidates whose paths have equal precedence.
func compareRest(a, b *candidate) int {
	if a.method != b.method {
		if a.method {
			return -1
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(b.headers, a.headers),
		cmp.Compare(b.query, a.query),
		cmp.Compare(a.age, b.age),
		cmp.Compare(a.rule, b.rule),
		cmp.Compare(a.match, b.match),
	)
}

func compareCandidates(a, b *candidate) int {
	return cmp.Or(comparePath(a, b), compareRest(a, b))
}

// compareAge orders routes from the oldest, then by "namespace/name". A route
// without a time of creation, as from a file, counts as the oldest.
func compareAge(a, b *ir.Route) int {
	return cmp.Or(
		a.Created.Compare(b.Created),
		compareJoined(a.Ref.Namespace, a.Ref.Name, b.Ref.Namespace, b.Ref.Name),
		cmp.Compare(a.Name, b.Name),
	)
}

// compareJoined compares "ns/name" texts without joining them.
func compareJoined(ns1, name1, ns2, name2 string) int {
	if ns1 == ns2 {
		return cmp.Compare(name1, name2)
	}
	return cmp.Compare(ns1+"/"+name1, ns2+"/"+name2)
}
