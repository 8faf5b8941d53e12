package transcoding

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/dynamicpb"
)

// Variable is a part of a path that has become the value of a field.
type Variable struct{ Field, Value string }

// Variables are those of the match. What is not percent-encoded as it must be is
// left out.
func (m *Match) Variables() (list []Variable) {
	for i := range m.template.variables {
		if value, ok := m.value(&m.template.variables[i]); ok {
			list = append(list, Variable{m.template.variables[i].path, value})
		}
	}
	return list
}

// Preview is the message as JSON that path and query make without the request's
// body. The error is that of Message.
func (s *Schema) Preview(m *Match, j *JSON, query string) (string, error) {
	msg := dynamicpb.NewMessage(m.input)
	if err := m.setPath(msg, s); err != nil {
		return "", err
	}
	if err := m.setQuery(msg, s, query, j.IgnoreUnknown); err != nil {
		return "", err
	}
	out, err := s.marshal(j, msg)
	return string(out), err
}

// Miss is a binding that a request is not for.
type Miss struct {
	*Binding
	Why string
}

// Nearest are bindings that have not matched a request, those first that came nearest.
func (s *Schema) Nearest(method, path string, most int) []Miss {
	if path == "" || path[0] != '/' || strings.Count(path, "/") > maxPathSegments {
		return nil
	}
	type scored struct {
		Miss
		score int
	}
	var segments []string
	if path != "/" {
		segments = strings.Split(path[1:], "/")
	}
	all := make([]scored, 0, len(s.bindings))
	for _, b := range s.bindings {
		score, why := b.miss(method, segments)
		if why != "" {
			all = append(all, scored{Miss{b, why}, score})
		}
	}
	slices.SortStableFunc(all, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	var list []Miss
	for _, one := range all[:min(most, len(all))] {
		list = append(list, one.Miss)
	}
	return list
}

// miss says why a binding does not match; the score is how much of it does. Why
// is empty if it matches.
func (b *Binding) miss(method string, segments []string) (score int, why string) {
	t := &b.template
	verb := ""
	if last := len(segments) - 1; last >= 0 && t.verb != "" {
		if at := strings.LastIndexByte(segments[last], ':'); at >= 0 {
			verb = segments[last][at+1:]
			segments = append(slices.Clone(segments[:last]), segments[last][:at])
		}
	}
	for i, seg := range t.segments {
		if seg.kind == rest {
			segments = segments[:min(i, len(segments))]
			break
		}
		if i >= len(segments) {
			return score, fmt.Sprintf("the path ends before %s", seg)
		}
		text, ok := decode(segments[i], false)
		switch {
		case !ok:
			return score, fmt.Sprintf("the percent-encoding of segment %d is not valid", i+1)
		case seg.kind == literal && text != seg.text:
			return score, fmt.Sprintf("segment %d is %q, not %q", i+1, text, seg.text)
		case text == "":
			return score, fmt.Sprintf("segment %d is empty", i+1)
		}
		score += 2
		if seg.kind == literal {
			score++
		}
	}
	switch n := len(t.segments); {
	case len(segments) > n && t.segments[max(n-1, 0)].kind != rest:
		return score, fmt.Sprintf("the path goes on after segment %d", n)
	case verb != t.verb && verb == "":
		return score, fmt.Sprintf("the path has no verb %q", ":"+t.verb)
	case verb != t.verb:
		return score, fmt.Sprintf("the verb is %q, not %q", ":"+verb, ":"+t.verb)
	}
	if verb != "" {
		score += 3
	}
	if b.HTTPMethod != "*" && b.HTTPMethod != method {
		return score + 10, fmt.Sprintf("the method is %s, not %s", method, b.HTTPMethod)
	}
	return score, ""
}

func (s segment) String() string {
	switch s.kind {
	case star:
		return `"*"`
	case rest:
		return `"**"`
	}
	return fmt.Sprintf("%q", s.text)
}
