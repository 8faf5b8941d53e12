package filter

import (
	"bytes"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// ModifiedPath returns the request's path as m changes it; the query is not
// part of it. A prefix is replaced as the Gateway API's table for
// ReplacePrefixMatch shows: whole segments, and slashes at the ends of both
// prefixes do not count. Without a prefix match the path stays.
func (x *Exchange) ModifiedPath(m *ir.PathModifier) []byte {
	if m.Type != ir.Prefix {
		return rooted(x, m.Value, nil)
	}
	if x.Match == nil || x.Match.Path.Type != ir.Prefix {
		return x.Req.Path
	}
	rest, ok := afterPrefix(x.Req.Path, strings.TrimRight(x.Match.Path.Value, "/"))
	if !ok {
		// The prefix may be written with escapes that request paths never have.
		value := x.Req.Arena.CopyString(x.Match.Path.Value)
		normal, valid := httpmsg.NormalizePath(x.Req.Arena.Alloc(len(value)), value, false)
		if !valid {
			return x.Req.Path
		}
		if rest, ok = afterPrefix(x.Req.Path, string(bytes.TrimRight(normal, "/"))); !ok {
			return x.Req.Path
		}
	}
	return rooted(x, strings.TrimRight(m.Value, "/"), rest)
}

func afterPrefix(path []byte, prefix string) ([]byte, bool) {
	if len(path) < len(prefix) || string(path[:len(prefix)]) != prefix {
		return nil, false
	}
	rest := path[len(prefix):]
	return rest, len(rest) == 0 || rest[0] == '/'
}

// rooted joins both parts into a path that starts with a slash.
func rooted(x *Exchange, head string, rest []byte) []byte {
	slash := 0
	if !strings.HasPrefix(head, "/") && (head != "" || len(rest) == 0 || rest[0] != '/') {
		slash = 1
	}
	out := x.Req.Arena.Alloc(slash + len(head) + len(rest))
	if slash == 1 {
		out[0] = '/'
	}
	copy(out[slash:], head)
	copy(out[slash+len(head):], rest)
	return out
}
