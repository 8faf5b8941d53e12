package signals

import (
	"fmt"
	"strings"
)

// Subject is what Series are of. The zero value is all of the mesh.
type Subject struct {
	// Source and Destination are IDs of nodes, both for an edge. Destination alone is what
	// a node has received, Source alone what it has sent.
	Source, Destination string
	// Route is "KIND/NAMESPACE/NAME".
	Route string
}

// maxSubject is the longest text of a Subject, in bytes.
const maxSubject = 1024

// ParseSubject reads "mesh", "edge:SOURCE>DESTINATION", "service:NAMESPACE/NAME",
// "node:ID", "from:ID" or "route:KIND/NAMESPACE/NAME".
func ParseSubject(text string) (Subject, error) {
	kind, rest, _ := strings.Cut(text, ":")
	var s Subject
	ok := false
	switch kind {
	case "mesh":
		ok = text == kind
	case "edge":
		s.Source, s.Destination, ok = strings.Cut(rest, ">")
		ok = ok && s.Source != "" && s.Destination != ""
	case "service":
		s.Destination = rest
		n := strings.Count(rest, "/")
		ok = (n == 1 || n == 2) && filled(rest)
	case "node":
		s.Destination = rest
		ok = rest != ""
	case "from":
		s.Source = rest
		ok = rest != ""
	case "route":
		s.Route = rest
		ok = strings.Count(rest, "/") >= 2 && filled(rest)
	}
	if !ok || len(text) > maxSubject {
		return Subject{}, fmt.Errorf("%.80q is not mesh, edge:SOURCE>DESTINATION, service:NAMESPACE/NAME, node:ID, from:ID or route:KIND/NAMESPACE/NAME", text)
	}
	return s, nil
}

// filled tells that no part of a path is empty.
func filled(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if part == "" {
			return false
		}
	}
	return true
}

// String is what ParseSubject reads.
func (s Subject) String() string {
	switch {
	case s.Route != "":
		return "route:" + s.Route
	case s.Source != "" && s.Destination == "":
		return "from:" + s.Source
	case s.Source != "":
		return "edge:" + s.Source + ">" + s.Destination
	case s.Destination != "":
		return "node:" + s.Destination
	}
	return "mesh"
}
