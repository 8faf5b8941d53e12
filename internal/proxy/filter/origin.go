package filter

import (
	"bytes"
	"strings"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Origin is "scheme://host[:port]"; the host may be "*" or start with "*.".
type Origin struct {
	scheme, host, port string
}

// ParseOrigin reads what was judged.
func ParseOrigin(s string) Origin {
	scheme, rest, _ := strings.Cut(strings.ToLower(s), "://")
	host, port := splitPort([]byte(rest))
	return Origin{scheme: scheme, host: string(host), port: portOr(string(port), scheme)}
}

// Matches tells whether the value of a header Origin is one that is meant.
func (o *Origin) Matches(value []byte) bool {
	i := bytes.Index(value, []byte("://"))
	if i < 0 || !httpmsg.EqualFold(value[:i], o.scheme) {
		return false
	}
	host, port := splitPort(value[i+3:])
	if len(host) == 0 || string(port) != o.port && (len(port) > 0 || defaultPort(o.scheme) != o.port) {
		return false
	}
	if suffix, ok := strings.CutPrefix(o.host, "*"); ok {
		return len(host) > len(suffix) && httpmsg.EqualFold(host[len(host)-len(suffix):], suffix) && isHost(host)
	}
	return httpmsg.EqualFold(host, o.host)
}

// isHost tells whether a text is a host and nothing more. What a wildcard stands
// for must be that: the host of https://evil.org/.example.com is another.
func isHost(s []byte) bool {
	if s[0] == '[' {
		return s[len(s)-1] == ']' && !bytes.ContainsAny(s, "/?#@\\ ")
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return true
}

func splitPort(s []byte) (host, port []byte) {
	i := bytes.LastIndexByte(s, ':')
	if i < 0 || bytes.IndexByte(s[i:], ']') >= 0 {
		return s, nil
	}
	return s[:i], s[i+1:]
}

func portOr(port, scheme string) string {
	if port == "" {
		return defaultPort(scheme)
	}
	return port
}

func defaultPort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}
