package question

import "testing"

// Proxies that come and go while nobody takes what was said leave a bounded number of
// reasons, and what they say counts as lost beyond the bound.
func TestProblemsThatWaitAreBounded(t *testing.T) {
	a := &asking{wake: make(chan struct{}, 1)}
	for range 2 * maxProblems {
		a.put(&Part{Problem: "it has left"})
	}
	if len(a.waiting) != maxProblems {
		t.Errorf("%d parts wait, and %d may", len(a.waiting), maxProblems)
	}
	a.put(&Part{Items: [][]byte{[]byte("x")}, Problem: "it has left"})
	if len(a.waiting) != maxProblems || a.lost != 1 {
		t.Errorf("%d parts wait, and %d items are lost", len(a.waiting), a.lost)
	}
}
