package h2

import "github.com/gridway/gridway/internal/wire/head"

const (
	urgencies      = head.Urgencies
	defaultUrgency = head.DefaultUrgency
)

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
