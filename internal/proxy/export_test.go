package proxy

import "github.com/gridway/gridway/internal/wire/loop"

// SetLoops gives listeners that are opened from now on other loops.
func (p *Proxy) SetLoops(g *loop.Group) (before *loop.Group) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, p.loops = p.loops, g
	return before
}
