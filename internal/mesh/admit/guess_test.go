package admit

import (
	"fmt"
	"testing"
)

// An address may leave so many challenges unproven; who proves what it asked for is not
// counted, and memory is bounded however many addresses there are.
func TestUnprovenChallenges(t *testing.T) {
	g := newGuesses()
	if !g.allow("192.0.2.1") {
		t.Fatal("the first is refused")
	}
	for range 10 * maxUnproven {
		if !g.challenge("192.0.2.1") {
			t.Fatal("who proves is refused")
		}
		g.proven("192.0.2.1")
	}
	for i := range maxUnproven {
		if !g.challenge(fmt.Sprintf("2001:db8::%x", i)) {
			t.Fatalf("the challenge %d of a network is refused", i)
		}
	}
	if g.challenge("2001:db8::ffff") {
		t.Error("a network goes on without a proof")
	}
	if !g.challenge("192.0.2.2") {
		t.Error("another address is refused")
	}
	refused := 0
	for i := range maxAddresses + 2*maxOthers {
		if !g.challenge(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)) {
			refused++
		}
	}
	if len(g.unproven) > maxAddresses+1 || refused == 0 {
		t.Errorf("%d addresses are remembered, %d challenges were refused", len(g.unproven), refused)
	}
	g.since = g.since.Add(-2 * period)
	if !g.allow("192.0.2.1") || !g.challenge("2001:db8::ffff") {
		t.Error("a period later it is still refused")
	}
}
