package route

import (
	"bytes"
	"strings"
)

// hostIndex finds what is configured under hostnames: exact ones, wildcards
// ("*.example.com", any number of labels, not the bare domain) and none.
type hostIndex[V any] struct {
	exact map[string]V
	// wild is keyed by what follows the star, with its dot: ".example.com".
	wild map[string]V
	// longest bounds the suffixes that are worth a look.
	longest int
	any     V
	hasAny  bool
}

func (h *hostIndex[V]) set(hostname string, v V) {
	switch {
	case hostname == "":
		h.any, h.hasAny = v, true
	case hostname[0] == '*':
		if h.wild == nil {
			h.wild = make(map[string]V)
		}
		h.wild[hostname[1:]] = v
		h.longest = max(h.longest, len(hostname)-1)
	default:
		if h.exact == nil {
			h.exact = make(map[string]V)
		}
		h.exact[hostname] = v
	}
}

// sizeLike makes room for as much as other holds.
func (h *hostIndex[V]) sizeLike(other *hostIndex[V]) {
	if n := len(other.exact); n > 0 {
		h.exact = make(map[string]V, n)
	}
	if n := len(other.wild); n > 0 {
		h.wild = make(map[string]V, n)
	}
}

// get returns what was set for just this hostname.
func (h *hostIndex[V]) get(hostname string) (v V, ok bool) {
	switch {
	case hostname == "":
		return h.any, h.hasAny
	case hostname[0] == '*':
		v, ok = h.wild[hostname[1:]]
	default:
		v, ok = h.exact[hostname]
	}
	return v, ok
}

// The stages of a lookup, from the most to the least specific.
const (
	stageExact = iota
	stageWild
	stageAny
	stageDone
)

// cursor remembers where a lookup is, for the next less specific hostname.
type cursor struct {
	stage  int
	offset int // of the next byte to look for a dot from
}

// next returns what the next less specific hostname holds that matches host.
func (h *hostIndex[V]) next(host []byte, c *cursor) (v V, ok bool) {
	if c.stage == stageExact {
		c.stage = stageWild
		// A name has at least one label in front of a wildcard's suffix.
		c.offset = max(1, len(host)-h.longest)
		if v, ok = h.exact[string(host)]; ok {
			return v, true
		}
	}
	if c.stage == stageWild {
		for len(h.wild) > 0 && c.offset < len(host) {
			i := bytes.IndexByte(host[c.offset:], '.')
			if i < 0 {
				break
			}
			suffix := host[c.offset+i:]
			c.offset += i + 1
			if v, ok = h.wild[string(suffix)]; ok {
				return v, true
			}
		}
		c.stage = stageAny
	}
	if c.stage == stageAny {
		c.stage = stageDone
		return h.any, h.hasAny
	}
	return v, false
}

// best returns what the most specific hostname that matches holds.
func (h *hostIndex[V]) best(host []byte) (V, bool) {
	var c cursor
	return h.next(host, &c)
}

// covers tells whether a configured hostname matches a host.
func covers(hostname string, host []byte) bool {
	var only hostIndex[struct{}]
	only.set(hostname, struct{}{})
	_, ok := only.best(host)
	return ok
}

// normalHost gives a configured hostname the form in which hosts come. "*" is
// the same as none.
func normalHost(h string) string {
	h = strings.TrimSuffix(strings.ToLower(h), ".")
	if h == "*" {
		return ""
	}
	return h
}

// withoutPort cuts ":8080" from a host. The brackets of an IPv6 address stay.
func withoutPort(host []byte) []byte {
	i := bytes.LastIndexByte(host, ':')
	if i < 0 || bytes.IndexByte(host[i:], ']') >= 0 {
		return host
	}
	return host[:i]
}
