package h2

import (
	"bytes"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

const (
	urgencies      = 8
	defaultUrgency = 3
)

// parsePriority reads a Priority field (RFC 9218 §4): a dictionary of which u
// and i are understood. What cannot be read counts as not there.
func parsePriority(v []byte) (urgency uint8, incremental bool) {
	urgency = defaultUrgency
	for item, rest := httpmsg.NextItem(v); item != nil; item, rest = httpmsg.NextItem(rest) {
		item, _, _ = bytes.Cut(item, []byte(";"))
		key, value, _ := bytes.Cut(httpmsg.TrimOWS(item), []byte("="))
		switch string(key) {
		case "u":
			if len(value) == 1 && '0' <= value[0] && value[0] < '0'+urgencies {
				urgency = value[0] - '0'
			}
		case "i":
			switch string(value) {
			case "", "?1":
				incremental = true
			case "?0":
				incremental = false
			}
		}
	}
	return urgency, incremental
}

// pendingPriorities keeps PRIORITY_UPDATE frames that come before their streams
// (RFC 9218 §7.1), the last few of them.
type pendingPriorities struct {
	ids    [8]uint32
	values [8]priorityValue
	n      int
}

type priorityValue struct {
	urgency    uint8
	sequential bool
}

func (p *pendingPriorities) add(id uint32, v priorityValue) {
	for i := range p.ids {
		if p.ids[i] == id {
			p.values[i] = v
			return
		}
	}
	p.ids[p.n%len(p.ids)], p.values[p.n%len(p.ids)] = id, v
	p.n++
}

func (p *pendingPriorities) take(id uint32) (priorityValue, bool) {
	if p.n == 0 {
		return priorityValue{}, false
	}
	for i := range p.ids {
		if p.ids[i] == id {
			p.ids[i] = 0
			return p.values[i], true
		}
	}
	return priorityValue{}, false
}
