package accesslog

import "strings"

// place is where an exchange went: five texts that come from the configuration
// and so are the same again and again.
type place struct{ listener, route, rule, cluster, endpoint string }

// places remembers how places were written last, by a few characters of their
// names. Comparing strings that share their bytes, as names from one
// configuration do, costs next to nothing.
type places [32]struct {
	place
	text []byte
}

// append appends the members of p.
func (m *places) append(b []byte, p place, limit int) []byte {
	known := &m[(tail(p.endpoint)*31+tail(p.rule)*7+tail(p.route))%uint32(len(m))]
	if known.place != p {
		known.place = p
		known.text = p.append(known.text[:0], limit)
	}
	return append(b, known.text...)
}

// tail mixes the length and the last two characters, where names differ most.
func tail(s string) uint32 {
	if len(s) < 2 {
		return uint32(len(s))
	}
	return uint32(len(s)) + uint32(s[len(s)-1])*5 + uint32(s[len(s)-2])
}

func (p *place) append(b []byte, limit int) []byte {
	b = text(b, `,"listener":"`, raw(p.listener), limit)
	b = text(b, `,"route":"`, raw(p.route), limit)
	b = text(b, `,"rule":"`, raw(p.rule[strings.LastIndexByte(p.rule, '/')+1:]), limit)
	b = text(b, `,"cluster":"`, raw(p.cluster), limit)
	return text(b, `,"endpoint":"`, raw(p.endpoint), limit)
}
