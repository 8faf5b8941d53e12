package redis

import (
	"github.com/gridway/gridway/internal/proxy/limit"
)

const (
	// maxCorrections may wait; maxTogether are sent together.
	maxCorrections = 4096
	maxTogether    = 64
)

// Add charges what a response has cost beyond what was charged, or gives back what
// it has cost less. It does not wait for Redis; what finds no room is lost and
// counted.
func (s *Store) Add(charges ...limit.Charge) {
	for _, c := range charges {
		select {
		case s.corrections <- c:
		default:
			s.opt.Metrics.Lost(1)
		}
	}
}

// correct sends corrections, many in one round trip, until the Store is closed, and
// then what there is.
func (s *Store) correct() {
	select {
	case <-s.ready:
	case <-s.ctx.Done():
		return
	}
	for {
		select {
		case c := <-s.corrections:
			s.send(c)
		case <-s.ctx.Done():
			for {
				select {
				case c := <-s.corrections:
					s.send(c)
				default:
					return
				}
			}
		}
	}
}

// send sends a correction with those that wait behind it.
func (s *Store) send(first limit.Charge) {
	list := append(make([]limit.Charge, 0, maxTogether), first)
	for len(list) < maxTogether && len(s.corrections) > 0 {
		list = append(list, <-s.corrections)
	}
	if !s.up.Load() {
		s.opt.Metrics.Lost(len(list))
		return
	}
	steps := make([]step, len(list))
	for i := range list {
		steps[i] = step{places: []int{i}, keys: []string{keyOf(s.opt.Config.KeyPrefix, &list[i])}}
	}
	lost := 0
	answers, err := s.run(add, list, steps)
	for i := range answers {
		if answers[i].status != statusCharged { // a window that is over needs none
			lost++
		}
	}
	s.opt.Metrics.Lost(lost)
	s.judge(err)
}
