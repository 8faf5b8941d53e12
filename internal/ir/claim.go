package ir

import (
	"errors"
	"strings"
)

// maxClaimDepth bounds how deep a claim may be named.
const maxClaimDepth = 16

// ParseClaim reads how configuration names a claim: the name of one at the top,
// whatever characters it is of ("sub", "https://example.com/roles"), or, beginning
// with a slash, a JSON Pointer (RFC 6901) to one inside another
// ("/realm_access/roles").
func ParseClaim(text string) (path []string, err error) {
	switch {
	case text == "":
		return nil, errors.New("a claim needs a name")
	case text[0] != '/':
		return []string{text}, nil
	}
	path = strings.Split(text[1:], "/")
	if len(path) > maxClaimDepth {
		return nil, errors.New("a claim can be 16 deep at most")
	}
	for i, step := range path {
		for at := strings.IndexByte(step, '~'); at >= 0; {
			if at+1 == len(step) || step[at+1] != '0' && step[at+1] != '1' {
				return nil, errors.New("in a JSON Pointer ~ is written ~0 and / inside a name ~1")
			}
			next := strings.IndexByte(step[at+1:], '~')
			if next < 0 {
				break
			}
			at += 1 + next
		}
		path[i] = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
	}
	return path, nil
}
