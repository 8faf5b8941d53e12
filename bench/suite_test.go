package main

import (
	"regexp"
	"testing"

	"github.com/gridway/gridway/bench/peers"
)

// Two builds are compared under the load of a case, and with nothing else.
func TestBuilds(t *testing.T) {
	for _, w := range suite(true) {
		b := w.builds()
		if len(b.proxies) != 2 || b.proxies[0].Kind != peers.Gridway || b.proxies[1].Kind != peers.Before || b.rate != 0 {
			t.Errorf("%s: %+v", w.name, b.proxies)
			continue
		}
		is := b.proxies[1]
		is.Kind, is.Label = peers.Gridway, b.proxies[0].Label
		if is != b.proxies[0] {
			t.Errorf("%s: %+v is not %+v", w.name, is, b.proxies[0])
		}
	}
	all := plan(options{filter: regexp.MustCompile("")})
	if builds := plan(options{filter: regexp.MustCompile(""), against: "another"}); len(builds) >= len(all) || len(builds) < len(suite(false)) {
		t.Errorf("%d parts of %d", len(builds), len(all))
	}
}
